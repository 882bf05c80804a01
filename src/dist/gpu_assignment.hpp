#pragma once

#include <string>
#include <vector>

namespace xtasc::dist {

/// What one rank sees: its host and that host's GPUs by PCI bus id, in the order of CUDA's device numbers.
struct RankGpus {
  std::string host;
  std::vector<std::string> bus_ids;

  /// As one text for MpiSession::gather(), and back.
  [[nodiscard]] std::string to_text() const;
  [[nodiscard]] static RankGpus from_text(const std::string& text);
};

/// One GPU for each rank, as an index into what that rank sees. Launchers differ: where the ranks of a host see the
/// same GPUs they take them in order of rank; where the launcher already gave each its own (srun --gpus-per-task=1),
/// each takes the first. \param ranks  in order of rank \throws Error (exit code 2) when two ranks would share a GPU;
/// its details are the table rank -> host -> GPU. NCCL allows one rank for each GPU:
/// https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/usage/communicators.html
[[nodiscard]] std::vector<int> assign_gpus(const std::vector<RankGpus>& ranks);

}  // namespace xtasc::dist
