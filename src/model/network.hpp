#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/run_config.hpp"
#include "model/layers.hpp"
#include "model/parameters.hpp"
#include "net/networks.hpp"
#include "task/task.hpp"

namespace xtasc::model {

/// A task's prediction made from another's, by the tasks' keys.
struct Transfer {
  std::string from, to;
  [[nodiscard]] std::string name() const { return from + "_to_" + to; }
  bool operator==(const Transfer&) const = default;
};

/// What a network says about a batch; float32, or float64 in fp64.
struct Predictions {
  struct Transferred {
    Transfer transfer;
    at::Tensor tensor;  ///< as the direct prediction of transfer.to
  };

  std::map<std::string, at::Tensor, std::less<>> direct;  ///< (N, channels, H, W), by the task's key
  std::vector<Transferred> transferred;                   ///< in the order of Network::transfers()
  /// Maps inside of the network (N, C, h, w), in the predictions' type, by the task's key, where Mode::wants_features:
  /// what a student is compared by with a teacher, in one order for both.
  std::map<std::string, std::vector<at::Tensor>, std::less<>> features = {};

  /// Undefined where the network has none.
  [[nodiscard]] at::Tensor of(std::string_view task) const;
  [[nodiscard]] at::Tensor of(std::string_view from, std::string_view to) const;
  /// Every prediction that there is by its name, "seg" or "seg_to_depth": the direct ones in the order of task::all().
  [[nodiscard]] std::vector<NamedTensor> named() const;
  [[nodiscard]] Predictions detached() const;
};

/// A net for some tasks, and all its tensors. A new one is its layers in src/net, a class in model/nets/ that computes
/// them, a row of each in the tables there, and a row of config::systems() for each system that is made of it.
class Network {
 public:
  virtual ~Network() = default;
  Network(const Network&) = default;
  Network& operator=(const Network&) = delete;

  /// Everything that is trained. \param image_n3hw  (N, 3, H, W), normalised, H and W multiples of 32
  [[nodiscard]] virtual Predictions forward(const at::Tensor& image_n3hw, const Mode& mode) const = 0;
  /// The direct predictions: all that inference needs.
  [[nodiscard]] virtual Predictions forward_direct(const at::Tensor& image_n3hw, const Mode& mode) const {
    return forward(image_n3hw, mode);
  }

  /// The same net as it is now for evaluation, every batch norm that can be folded into the convolution in front of
  /// it: equal in real arithmetic, fewer passes over memory. Its parameters() are this net's; it does not follow them.
  [[nodiscard]] virtual std::unique_ptr<Network> folded() const = 0;

  /// What is predicted from other predictions, in the order of Predictions::transferred.
  [[nodiscard]] virtual std::vector<Transfer> transfers() const { return {}; }
  /// Whether forward() calls mode.at_cut: each parameter is reached by all tasks or lies behind the cut.
  [[nodiscard]] virtual bool has_cut() const { return false; }
  /// The weight of a layer that all tasks share, as near to their branches as can be: GradNorm's W. Where the network
  /// has a cut, it lies in front of the cut's last output.
  [[nodiscard]] virtual at::Tensor last_shared_layer() const = 0;
  /// The weight of the first layer that a task has for itself: ALSW's.
  [[nodiscard]] virtual at::Tensor first_own_layer(std::size_t task) const = 0;
  /// How many of the last parameters are a student's adaptors, which have an optimizer of their own.
  [[nodiscard]] virtual std::size_t num_adaptors() const { return 0; }
  /// Mode::draws_nk: so many for each image of a step of training.
  [[nodiscard]] virtual std::int64_t num_draws() const { return 0; }

  /// From now on for evaluation, or for training others: see ParameterSet::freeze().
  void freeze() { parameters_.freeze(); }
  [[nodiscard]] const ParameterSet& parameters() const { return parameters_; }
  [[nodiscard]] const task::Tasks& tasks() const { return tasks_; }
  /// What a file of its weights may hold beside them, as names and beginnings of names.
  [[nodiscard]] const std::vector<std::string>& unread_in_files() const { return unread_; }
  /// Of the labels, as given.
  [[nodiscard]] std::int64_t num_classes() const { return num_classes_; }

 protected:
  Network(const net::Choice& choice, ParameterSet parameters);
  /// \throws Error unless the image is (N, 3, H, W) with H and W multiples of 32
  static void check_image(const at::Tensor& image_n3hw);

  task::Tasks tasks_;
  std::int64_t num_classes_;
  std::vector<std::string> unread_;
  ParameterSet parameters_;
};

/// What every network is made from.
struct NetworkOptions {
  net::Choice choice;
  std::uint64_t seed = 1;
  at::Device device = at::kCPU;
  at::ScalarType dtype = at::kFloat;
};

using MakeNetwork = std::unique_ptr<Network> (*)(const NetworkOptions& options);

/// The network of a system, with the tasks that its row has.
/// \throws Error when nothing makes the system
[[nodiscard]] std::unique_ptr<Network> make_network(const config::ModelSection& section, const net::Sizes& sizes,
                                                    std::uint64_t seed, at::Device device, at::ScalarType dtype);

/// One maker more, for a network that lives outside of this source tree.
void add_network(std::string_view network, MakeNetwork make);

}  // namespace xtasc::model
