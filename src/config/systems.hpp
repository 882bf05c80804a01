#pragma once

#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "task/task.hpp"

// The words of model.system, one row each: all that programs without torch know of a system. What computes it is found
// by the same word in model/.
namespace xtasc::config {

struct ModelSection;

/// What a prediction made from another task's prediction is held to; a new kind is a case of each `switch` over it,
/// which the compiler names: its losses (loss/objective.cpp) and, for the proposition, its inequalities (analysis/).
enum class Consistency {
  none,   ///< there is no such prediction
  xtc,    ///< the other task's direct prediction (cross-task consistency, eq. 3)
  align,  ///< the ground truth (alignment, eq. 8)
};

/// A row of the table of systems: a network, its tasks, and what is known of both without torch.
struct System {
  std::string_view word;                          ///< "base_st_seg"
  std::string_view label;                         ///< in tables: "Base ST-Net"
  std::string_view label_of_several = {};         ///< with more than one of model.tasks; empty: the same
  std::string_view help = {};                     ///< a few words for who chooses: "alignment loss"
  std::string_view network = "xtasc";             ///< the word of what computes it, in src/net and src/model
  int place = 0;                                  ///< among the rows of a table: what is compared with comes first
  std::vector<std::string_view> tasks;            ///< keys; none in the table: those of model.tasks
  std::array<std::size_t, 2> num_tasks = {1, 0};  ///< how few and how many model.tasks may name; 0: no limit
  Consistency consistency = Consistency::none;
  /// "base_st": with the row's other parts, one row of a table. A net of model.tasks that has a single one is a part of
  /// the row of all such nets.
  std::string_view part_of = {};
  /// The part_of of the single-task nets that Delta_m is over; empty: of those that name none either the row whose
  /// tasks are nearest.
  std::string_view set_against = {};
  double beta_2 = 0.99;  ///< default of Adam's second decay rate
  /// "section.key" of keys that say something to this system and not to every one; "section.": all of it.
  std::vector<std::string_view> keys;

  [[nodiscard]] bool has(std::string_view task) const;
  [[nodiscard]] bool has_transfer() const { return consistency != Consistency::none; }
  /// Whether there are several tasks, whose losses can be weighed.
  [[nodiscard]] bool has_weights() const { return tasks.size() > 1; }
  [[nodiscard]] bool uses(std::string_view full_key) const;
  /// Whether a row of these single-task nets is what this system's Delta_m is over.
  [[nodiscard]] bool is_set_against(const System& single) const;
};

/// All rows, those that were added last.
[[nodiscard]] const std::vector<System>& systems();

/// \throws Error when there is no such word
[[nodiscard]] const System& system_of(std::string_view word);
/// The system with its tasks, those of model.tasks where the row leaves them open; equal systems are one object.
/// \throws Error (exit code 2) when it cannot have them
[[nodiscard]] const System& system_of(const ModelSection& model);

/// The tasks that rows of single-task nets are about where these systems stand together: all of theirs, in the order of
/// task::all(); those that model.tasks has by default, too, where it is a single one.
[[nodiscard]] task::Tasks tasks_of_rows(std::span<const System* const> systems);

/// All systems that stand in one row of a table with this one, itself among them, where the table is about these tasks.
[[nodiscard]] std::vector<const System*> parts_of_row(const System& system, const task::Tasks& tasks);

/// The parts of the row that a system with these tasks is set against: where System::set_against names none, of those
/// which have all of them the one with the fewest tasks, the first of equals. Empty where there is none.
[[nodiscard]] std::vector<const System*> baseline_of(const System& system, const task::Tasks& tasks);

/// Every row of several parts, each as parts_of_row() gives it.
[[nodiscard]] std::vector<std::vector<const System*>> rows_of_parts(const task::Tasks& tasks);

/// "base_st_seg and base_st_depth"; "stan (segmentation) and stan (depth)".
[[nodiscard]] std::string words_of(const std::vector<const System*>& systems);

/// The tasks of a system, in the order of its row.
[[nodiscard]] task::Tasks tasks_of(const System& system);

/// One row more, for systems that live outside of this source tree. Before anything is read.
void add_system(System system);

}  // namespace xtasc::config
