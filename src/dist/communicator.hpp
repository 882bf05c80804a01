#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

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

  /// tensor := sum over ranks. Contiguous memory of float32, float64 or int64, of any size.
  virtual void sum(const at::Tensor& tensor) = 0;
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

#ifdef XTASC_WITH_CUDA
/// Device tensors over NCCL on the current CUDA device; its id travels over MPI. Collective. Not run on a GPU yet.
/// \throws Error naming the ranks, hosts and devices when two ranks share a GPU, or NCCL's own words.
[[nodiscard]] std::unique_ptr<Communicator> make_nccl_communicator(const MpiSession& session);

/// "2.28.9", as loaded.
[[nodiscard]] std::string nccl_library_version();
#endif

/// The backend for a world and a device: solo for one rank, MPI for the CPU, NCCL for CUDA. Collective.
[[nodiscard]] std::unique_ptr<Communicator> make_communicator(const MpiSession& session, at::DeviceType device);

}  // namespace xtasc::dist
