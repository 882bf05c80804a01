#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "dist/gpu_assignment.hpp"
#include "dist/mpi_session.hpp"

namespace xtasc::dist {

/// Sums and copies tensors across the ranks of a run. Every call is collective: all ranks make the same calls in the
/// same order with tensors of the same size and type. No call waits on the host for a device: what the caller's stream
/// did before is seen, and what it does afterwards sees the result.
///
/// After a call all ranks hold the same bits, so decisions taken from the result need no further talk.
class Communicator {
 public:
  virtual ~Communicator() = default;

  /// tensor := sum over ranks. Contiguous memory of float32, float64 or int64, of any size. A small one does not wait
  /// for sums that were started, where overlaps() says that they proceed by themselves.
  virtual void sum(const at::Tensor& tensor) = 0;
  /// Each tensor := its sum over ranks; one message where the backend can.
  virtual void sum_all(std::span<const at::Tensor> tensors);
  /// Begins tensor := sum over ranks. Nobody touches the tensor before join(); what the caller's stream does meanwhile
  /// need not wait, where overlaps() says so.
  virtual void start_sum(const at::Tensor& tensor) { sum(tensor); }
  /// Everything from now on sees the sums that were started.
  virtual void join() {}
  /// Whether a started sum proceeds beside the caller's own work.
  [[nodiscard]] virtual bool overlaps() const { return false; }
  /// The device's work is being written down instead of done: no other call may touch the communicator's stream.
  virtual void set_capturing(bool /*is_capturing*/) {}
  /// How long this rank's host has stood in sums so far, messages and waiting for peers together; nullopt where the
  /// device sums by itself, or nobody else is there.
  [[nodiscard]] virtual std::optional<double> seconds_in_sums() const { return std::nullopt; }
  /// tensor := rank 0's.
  virtual void broadcast(const at::Tensor& tensor) = 0;

  [[nodiscard]] virtual int rank() const = 0;
  [[nodiscard]] virtual int size() const = 0;
  /// "solo", "MPI" or "NCCL".
  [[nodiscard]] virtual std::string_view backend() const = 0;
};

/// A world of one rank on any device (torch's `meta` device too): every call is the identity.
[[nodiscard]] std::unique_ptr<Communicator> make_solo_communicator();

/// Host tensors over MPI. \param session  must outlive the communicator
[[nodiscard]] std::unique_ptr<Communicator> make_mpi_communicator(const MpiSession& session);

/// Device tensors over NCCL on the current CUDA device. Collective. Not run on a GPU yet; see NcclProtocol for its
/// contract. An operation may take XTASC_NCCL_TIMEOUT_SECONDS (environment, 600 unless set); then, or when NCCL fails,
/// the ranks that see it print what each rank of their host did last, and all ranks end. Under torch's deterministic
/// mode NCCL goes without NVLS (see choose_algorithms). \param session  must outlive the communicator \throws Error
/// when two ranks share a GPU that may not, or with NCCL's own words, the ranks, their hosts and GPUs; or in a build
/// without CUDA
[[nodiscard]] std::unique_ptr<Communicator> make_nccl_communicator(const MpiSession& session,
                                                                   GpuSharing sharing = GpuSharing::refused);

/// "2.28.9", as loaded. \throws Error in a build without CUDA
[[nodiscard]] std::string nccl_library_version();

/// The backend for a world and a device: solo for one rank, MPI for the CPU, NCCL for CUDA. Collective.
[[nodiscard]] std::unique_ptr<Communicator> make_communicator(const MpiSession& session, at::DeviceType device,
                                                              GpuSharing sharing = GpuSharing::refused);

}  // namespace xtasc::dist
