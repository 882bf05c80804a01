#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "task/task.hpp"

// The words of model.system and weighting.method, one row each: all that programs without torch know of a system or of
// a method. What computes them is found by the same word in model/ and weighting/.
namespace xtasc::config {

/// What a prediction made from another task's prediction is held to.
enum class Consistency {
  none,   ///< there is no such prediction
  xtc,    ///< the other task's direct prediction (cross-task consistency, eq. 3)
  align,  ///< the ground truth (alignment, eq. 8)
};

struct System {
  std::string_view word;               ///< "base_st_seg"
  std::string_view label;              ///< in tables: "Base ST-Net"
  std::string_view network = "xtasc";  ///< the word of what computes it, in src/net and src/model
  int place = 0;                       ///< among the rows of a table: what is compared with comes first
  std::vector<std::string_view> tasks;
  Consistency consistency = Consistency::none;
  std::string_view half_of = {};  ///< "base_st": with the other half, one row of a table
  double beta_2 = 0.99;           ///< default of Adam's second decay rate
  /// "section.key" of keys that say something to this system and not to every one.
  std::vector<std::string_view> keys;

  [[nodiscard]] bool has(std::string_view task) const;
  [[nodiscard]] bool has_transfer() const { return consistency != Consistency::none; }
  /// Whether there are several tasks, whose losses can be weighed.
  [[nodiscard]] bool has_weights() const { return tasks.size() > 1; }
  [[nodiscard]] bool uses(std::string_view full_key) const;
};

/// What a weighting method asks of a step beside its losses.
enum class Needs {
  losses,             ///< nothing more: one backward pass
  gram,               ///< the dot products of the tasks' gradients
  norms,              ///< the norms of the tasks' gradients at one layer
  losses_after_step,  ///< the losses of the same batch after the net has moved
};

struct Method {
  std::string_view word;
  Needs needs = Needs::losses;
  double learning_rate = 0.0;          ///< what weighting.learning_rate = 0 resolves to; 0: train.learning_rate
  std::vector<std::string_view> keys;  ///< of [weighting], that say something to it

  [[nodiscard]] bool uses(std::string_view key) const;
};

[[nodiscard]] const std::vector<System>& systems();
[[nodiscard]] const std::vector<Method>& methods();

/// \throws Error when there is no such word
[[nodiscard]] const System& system_of(std::string_view word);
[[nodiscard]] const Method& method_of(std::string_view word);

/// Where a word stands in its table, for what is sorted. \throws Error when there is no such word
[[nodiscard]] std::size_t place_of_method(std::string_view word);

/// The system that is the other half of the same row of a table; null for one that has a row of its own.
[[nodiscard]] const System* other_half(const System& system);

/// The tasks of a system, in the order of task::all().
[[nodiscard]] task::Tasks tasks_of(const System& system);

/// One row more, for systems and methods that live outside of this source tree. Before anything is read.
void add_system(System system);
void add_method(Method method);

}  // namespace xtasc::config
