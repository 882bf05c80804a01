#include "analysis/consistency.hpp"

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <algorithm>
#include <array>

#include "core/error.hpp"

namespace xtasc::analysis {

namespace {

/// How far a batch's transferred prediction is from the direct one, and where that is counted.
struct Distance {
  at::Tensor values, counted;
};

Distance distance(task::Kind kind, const TransferredBatch& batch) {
  const at::Tensor direct = batch.direct.to(at::kDouble);
  const at::Tensor transferred = batch.transferred.to(at::kDouble);
  switch (kind) {
    case task::Kind::classes: {
      const at::Tensor of_direct = at::log_softmax(direct, 1);
      return {(of_direct.exp() * (of_direct - at::log_softmax(transferred, 1))).sum(1),
              batch.truth != task::kIgnoreLabel};
    }
    case task::Kind::depth:
      return {(direct - transferred).abs(), batch.truth > 0};
    case task::Kind::unit_vector:
      return {metric::angles_between(transferred, direct), (batch.truth != 0).any(1)};
  }
  fail("unknown kind of task {}", static_cast<int>(kind));
}

}  // namespace

ConsistencyEnergy::ConsistencyEnergy(std::vector<TaskPair> pairs, at::Device device)
    : pairs_(std::move(pairs)),
      sums_(at::zeros({2 * static_cast<std::int64_t>(pairs_.size()) + 2},
                      at::TensorOptions().dtype(at::kDouble).device(device))) {}

std::size_t ConsistencyEnergy::place_of(std::string_view from, std::string_view to) const {
  const auto found =
      std::ranges::find_if(pairs_, [&](const TaskPair& pair) { return pair.from.key == from && pair.to.key == to; });
  return static_cast<std::size_t>(found - pairs_.begin());
}

void ConsistencyEnergy::add(const std::vector<TransferredBatch>& batches) {
  const c10::NoGradGuard no_grad;
  check(batches.size() == pairs_.size(), "consistency energy: {} pairs of tasks, {} are expected", batches.size(),
        pairs_.size());
  std::vector<Distance> distances;
  std::vector<at::Tensor> sums;
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    const Distance& of_pair = distances.emplace_back(distance(pairs_[i].to.kind, batches[i]));
    sums.push_back(at::where(of_pair.counted, of_pair.values, at::zeros({}, of_pair.values.options())).sum());
    sums.push_back(of_pair.counted.sum().to(at::kDouble));
  }
  const std::size_t to_seg = place_of("depth", "seg");
  const std::size_t to_depth = place_of("seg", "depth");
  at::Tensor energy = at::zeros({0}, sums_.options());
  if (to_seg < pairs_.size() && to_depth < pairs_.size()) {
    const auto num_classes = static_cast<double>(batches[to_seg].direct.size(1));
    energy = 0.5 * distances[to_seg].values / num_classes + 0.5 * distances[to_depth].values.squeeze(1);
  }
  sums.push_back(energy.sum());
  sums.push_back(at::full({}, static_cast<double>(energy.numel()), energy.options()));
  sums_ += at::stack(sums);
}

void ConsistencyEnergy::sum_over_ranks(const std::function<void(const at::Tensor&)>& sum) {
  sum(sums_);
}

std::string ConsistencyEnergy::name_of(const TaskPair& pair) const {
  const bool are_two = std::ranges::all_of(pairs_, [&pair](const TaskPair& other) {
    return (other.from.key == pair.from.key || other.from.key == pair.to.key) &&
           (other.to.key == pair.from.key || other.to.key == pair.to.key);
  });
  return are_two ? std::string(pair.to.key) : fmt::format("{}_to_{}", pair.from.key, pair.to.key);
}

metric::Values ConsistencyEnergy::report() const {
  const at::Tensor sums = sums_.to(at::kCPU);
  metric::Values values;
  const auto add = [&](const std::string& name, std::size_t place) {
    const auto at = static_cast<std::int64_t>(2 * place);
    const double count = sums[at + 1].item<double>();
    if (count > 0) {
      values[name] = sums[at].item<double>() / count;
    }
  };
  for (std::size_t i = 0; i < pairs_.size(); ++i) {
    add(name_of(pairs_[i]), i);
  }
  add("energy_2021", pairs_.size());
  return values;
}

}  // namespace xtasc::analysis
