#pragma once

#include <string>
#include <vector>

namespace xtasc::dist {

/// Whether two ranks may have one GPU between them.
enum class GpuSharing { refused, allowed };

/// A GPU as one rank sees it.
struct VisibleGpu {
  std::string bus_id;   ///< PCI: what tells the GPUs of a host apart
  bool is_near = true;  ///< the rank may run on a core of the GPU's socket; true where nobody knows
};

/// What one rank sees: its host and that host's GPUs, in the order of CUDA's device numbers.
struct RankGpus {
  std::string host;     ///< its name, for messages
  int host_leader = 0;  ///< its first rank: what tells hosts apart
  std::vector<VisibleGpu> gpus;

  /// As one text for MpiSession::gather(), and back.
  [[nodiscard]] std::string to_text() const;
  [[nodiscard]] static RankGpus from_text(const std::string& text);
};

/// One GPU for each rank, as an index into what that rank sees. Launchers differ: where the ranks of a host see the
/// same GPUs they share them out, each taking one that is near to its cores if there is one, in order of rank; where
/// the launcher already gave each its own (srun --gpus-per-task=1), each takes the first.
///
/// \param ranks  in order of rank \param sharing  allowed: where ranks outnumber the GPUs, a GPU gets several
/// \throws Error (exit code 2) when two ranks would share a GPU and may not; its details are the table rank -> host ->
/// GPU. NCCL allows one rank for each GPU:
/// https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/usage/communicators.html
[[nodiscard]] std::vector<int> assign_gpus(const std::vector<RankGpus>& ranks,
                                           GpuSharing sharing = GpuSharing::refused);

}  // namespace xtasc::dist
