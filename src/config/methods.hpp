#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

// The words of weighting.method, one row each: all that programs without torch know of a method. What computes it is
// found by the same word in weighting/.
namespace xtasc::config {

/// What a weighting method asks of a step beside its losses.
enum class Needs {
  losses,             ///< nothing more: one backward pass
  gram,               ///< the dot products of the tasks' gradients
  vectors,            ///< the tasks' gradients, element by element
  norms,              ///< the norms of the tasks' gradients at one layer
  own_magnitudes,     ///< the mean absolute gradient of each task at the first layer of its own
  losses_after_step,  ///< the losses of the same batch after the net has moved
};

/// Whether a method combines the tasks' gradients.
[[nodiscard]] constexpr bool combines_gradients(Needs needs) {
  return needs == Needs::gram || needs == Needs::vectors;
}

struct RunConfig;

/// A row of the table of weighting methods.
struct Method {
  std::string_view word;
  Needs needs = Needs::losses;
  double learning_rate = 0.0;          ///< what weighting.learning_rate = 0 resolves to; 0: train.learning_rate
  std::vector<std::string_view> keys;  ///< of [weighting], that say something to it
  std::vector<std::string_view> defaults = {};  ///< "key=value": where they are others than most methods'
  /// Refuses values that say nothing to it, each in the range of its key. \throws Error (exit code 2). Null: none
  void (*check_keys)(const RunConfig&) = nullptr;
  /// Whether its factors follow from none of the step's losses and gradients, so that they are known before these are
  /// (train.accumulate).
  bool weighs_before_losses = false;

  [[nodiscard]] bool uses(std::string_view key) const;
};

/// All rows, those that were added last.
[[nodiscard]] const std::vector<Method>& methods();

/// \throws Error when there is no such word
[[nodiscard]] const Method& method_of(std::string_view word);

/// Where a word stands in the table, for what is sorted. \throws Error when there is no such word
[[nodiscard]] std::size_t place_of_method(std::string_view word);

/// One row more, for methods that live outside of this source tree. Before anything is read.
void add_method(Method method);

}  // namespace xtasc::config
