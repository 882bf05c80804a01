#include "dist/communicator.hpp"

#include <ATen/ATen.h>
#include <mpi.h>

#include <algorithm>
#include <chrono>
#include <cstddef>

#include "core/error.hpp"

namespace xtasc::dist {

namespace {

using Clock = std::chrono::steady_clock;

class SoloCommunicator final : public Communicator {
 public:
  void sum(const at::Tensor& /*tensor*/) override {}
  void broadcast(const at::Tensor& /*tensor*/) override {}
  [[nodiscard]] int rank() const override { return 0; }
  [[nodiscard]] int size() const override { return 1; }
  [[nodiscard]] std::string_view backend() const override { return "solo"; }
};

MPI_Datatype mpi_type(at::ScalarType type) {
  switch (type) {
    case at::kFloat:
      return MPI_FLOAT;
    case at::kDouble:
      return MPI_DOUBLE;
    case at::kLong:
      return MPI_INT64_T;
    default:
      fail("MPI communicator: tensors of {} are not summed, use float32, float64 or int64", c10::toString(type));
  }
}

class MpiCommunicator final : public Communicator {
 public:
  explicit MpiCommunicator(const MpiSession& session) : session_(session) {}

  void sum(const at::Tensor& tensor) override {
    const OnBoard on_board(session_.board(), RankBoard::Operation::sum);
    const auto start = Clock::now();
    for_each_piece(tensor, [](void* data, int count, MPI_Datatype type) {
      check(MpiCode{MPI_Allreduce(MPI_IN_PLACE, data, count, type, MPI_SUM, MPI_COMM_WORLD)}, "MPI_Allreduce");
    });
    in_sums_ += Clock::now() - start;
  }
  [[nodiscard]] std::optional<double> seconds_in_sums() const override {
    return std::chrono::duration<double>(in_sums_).count();
  }

  void broadcast(const at::Tensor& tensor) override {
    const OnBoard on_board(session_.board(), RankBoard::Operation::broadcast);
    for_each_piece(tensor, [](void* data, int count, MPI_Datatype type) {
      check(MpiCode{MPI_Bcast(data, count, type, 0, MPI_COMM_WORLD)}, "MPI_Bcast");
    });
  }

  [[nodiscard]] int rank() const override { return session_.rank(); }
  [[nodiscard]] int size() const override { return session_.size(); }
  [[nodiscard]] std::string_view backend() const override { return "MPI"; }

 private:
  /// In pieces that stay in the caches while ranks of a host pass them on, and since MPI counts in int.
  template <typename Call>
  static void for_each_piece(const at::Tensor& tensor, const Call& call) {
    xtasc::check(tensor.is_cpu() && tensor.is_non_overlapping_and_dense(),
                 "MPI communicator: a dense host tensor expected, found one on {}", tensor.device().str());
    constexpr std::int64_t kPieceBytes = 1 << 20;
    const MPI_Datatype type = mpi_type(tensor.scalar_type());
    auto* bytes = static_cast<std::byte*>(tensor.mutable_data_ptr());
    const std::int64_t piece = kPieceBytes / static_cast<std::int64_t>(tensor.element_size());
    for (std::int64_t first = 0; first < tensor.numel(); first += piece) {
      const std::int64_t count = std::min(piece, tensor.numel() - first);
      call(bytes + static_cast<std::size_t>(first) * tensor.element_size(), static_cast<int>(count), type);
    }
  }

  const MpiSession& session_;
  Clock::duration in_sums_{};
};

}  // namespace

void Communicator::sum_all(std::span<const at::Tensor> tensors) {
  for (const at::Tensor& tensor : tensors) {
    sum(tensor);
  }
}

std::unique_ptr<Communicator> make_solo_communicator() {
  return std::make_unique<SoloCommunicator>();
}

std::unique_ptr<Communicator> make_mpi_communicator(const MpiSession& session) {
  return std::make_unique<MpiCommunicator>(session);
}

std::unique_ptr<Communicator> make_communicator(const MpiSession& session, at::DeviceType device, GpuSharing sharing) {
  if (session.size() == 1) {
    return make_solo_communicator();
  }
  if (device == at::kCPU) {
    return make_mpi_communicator(session);
  }
  if (device == at::kCUDA) {
    return make_nccl_communicator(session, sharing);
  }
  fail("no communicator for {} ranks on device {}", session.size(), c10::DeviceTypeName(device, true));
}

}  // namespace xtasc::dist
