#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "sweep/expand.hpp"
#include "sweep/sweep.hpp"

// `needs` of a sweep file: runs of one row learn from those of others (distillation).
namespace xtasc::sweep {

/// Indices of the candidates, those of rows that others need before them; rows in no such order in the file's. A need
/// that is no row, a row that needs itself and a ring of rows are faults, one line each; their candidates are left out.
[[nodiscard]] std::vector<std::size_t> order_by_needs(const std::vector<Candidate>& candidates,
                                                      std::vector<std::string>& faults);

/// Gives a student a teacher for each of its tasks: among the runs that it needs the one of the teacher's system that
/// has its seed and data. Sets distillation.teacher_KEY to the folder that this run has or will have and
/// teacher_KEY_digest to what it is known by, in the config and the assignments, and PlannedRun::needs. A teacher
/// without an id yet leaves the student without one, for the same lack.
/// Faults, one line each with its place: needs of a run that has nothing to learn from others; teachers that are set by
/// hand as well; no run, or several, for a task; a student that has neither needs nor teachers.
/// \param needed  the runs of the rows that the candidate needs
void set_teachers(PlannedRun& run, const Candidate& candidate, const std::vector<const PlannedRun*>& needed,
                  std::vector<std::string>& faults);

/// Whether weights that a run's config names are those of a run that it needs: they need not be there yet.
[[nodiscard]] bool come_from_needs(const PlannedRun& run, const std::string& weights);

}  // namespace xtasc::sweep
