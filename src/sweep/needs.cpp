#include "sweep/needs.hpp"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <map>
#include <set>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "core/nearest.hpp"
#include "net/kd4mtl.hpp"
#include "run/weights_digest.hpp"

namespace xtasc::sweep {

namespace {

/// "A", "A" and "B".
std::string quoted(const std::vector<Placed>& rows) {
  std::vector<std::string> names;
  std::ranges::transform(rows, std::back_inserter(names),
                         [](const Placed& row) { return fmt::format("\"{}\"", row.text); });
  return fmt::format("{}", fmt::join(names, " and "));
}

/// Goes through the rows, each after those that it needs.
class RowsInOrder {
 public:
  RowsInOrder(const std::vector<Candidate>& candidates, std::vector<std::string>& faults) : faults_(faults) {
    for (std::size_t c = 0; c < candidates.size(); ++c) {
      const auto [row, is_new] = rows_.try_emplace(candidates[c].row);
      if (is_new) {
        names_.push_back(candidates[c].row);
      }
      row->second.candidates.push_back(c);
      row->second.needs.insert(row->second.needs.end(), candidates[c].needs.begin(), candidates[c].needs.end());
    }
    for (const std::string& name : names_) {
      visit(name);
    }
  }

  /// Indices of the candidates.
  [[nodiscard]] const std::vector<std::size_t>& order() const { return order_; }

 private:
  struct Row {
    std::vector<std::size_t> candidates = {};
    std::vector<Placed> needs = {};
    bool is_seen = false, is_in_order = false;
  };

  void fault(const Placed& need, const std::string& what) {
    if (told_.insert(need.where).second) {  // the runs of axes have their needs from one place
      faults_.push_back(fmt::format("{}: {}", need.where, what));
    }
  }

  void visit(const std::string& row) {
    Row& visited = rows_.at(row);
    if (visited.is_seen) {
      return;
    }
    visited.is_seen = true;
    visited.is_in_order = true;
    path_.push_back(row);
    for (const Placed& need : visited.needs) {
      if (!rows_.contains(need.text)) {
        fault(need, fmt::format("\"{}\" needs \"{}\", which is no row of this sweep; {}", row, need.text,
                                did_you_mean(need.text, names_, fmt::format("rows are {}", fmt::join(names_, "; ")))));
        visited.is_in_order = false;
      } else if (const auto begin = std::ranges::find(path_, need.text); begin != path_.end()) {
        const bool is_itself = need.text == row;
        fault(need, is_itself ? fmt::format("\"{}\" needs itself", row)
                              : fmt::format("\"{}\" needs \"{}\": none of them can be the first",
                                            fmt::join(begin, path_.end(), "\" needs \""), need.text));
        visited.is_in_order = false;
      } else {
        visit(need.text);
        visited.is_in_order = visited.is_in_order && rows_.at(need.text).is_in_order;
      }
    }
    path_.pop_back();
    if (visited.is_in_order) {
      order_.insert(order_.end(), visited.candidates.begin(), visited.candidates.end());
    }
  }

  std::vector<std::string>& faults_;
  std::vector<std::string> names_;  ///< in the file's order
  std::map<std::string, Row> rows_;
  std::set<std::string> told_;
  std::vector<std::string> path_;
  std::vector<std::size_t> order_;
};

/// A teacher that was trained on a student's held-out images would tell it of them.
bool is_on_same_data(const config::DataSection& a, const config::DataSection& b) {
  const bool are_known = !a.pack_digest.empty() && !b.pack_digest.empty();
  return (are_known ? a.pack_digest == b.pack_digest : a.pack == b.pack) && a.label_set == b.label_set &&
         a.holdout == b.holdout;
}

/// What may be said of a student's rows before its teachers are looked for.
std::string fault_of_row(const PlannedRun& run, const Candidate& candidate) {
  const std::vector<config::ModelSection> teachers = net::teachers_of(run.config.model);
  const std::string& system = run.config.model.system;
  if (!candidate.needs.empty() && teachers.empty()) {
    return fmt::format(
        "\"{}\" needs {}, but model.system = \"{}\" learns from no teacher: needs is for students, as kd4mtl",
        candidate.row, quoted(candidate.needs), system);
  }
  for (const config::ModelSection& teacher : teachers) {
    const std::string key(config::system_of(teacher).tasks.front());
    const std::string given = run.config.distillation.of(key).weights;
    if (!candidate.needs.empty() && !given.empty()) {
      return fmt::format("\"{}\" needs {}, and distillation.teacher_{} is set as well: keep one", candidate.row,
                         quoted(candidate.needs), key);
    }
    if (candidate.needs.empty() && given.empty()) {
      return fmt::format(
          "\"{}\": model.system = \"{}\" learns from a teacher for each task: set distillation.teacher_{}, or needs = "
          "[\"ROW\"] with the row of its {} runs",
          candidate.row, system, key, teacher.system);
    }
  }
  return {};
}

}  // namespace

std::vector<std::size_t> order_by_needs(const std::vector<Candidate>& candidates, std::vector<std::string>& faults) {
  return RowsInOrder(candidates, faults).order();
}

void set_teachers(PlannedRun& run, const Candidate& candidate, const std::vector<const PlannedRun*>& needed,
                  std::vector<std::string>& faults) {
  const std::string& where = candidate.needs.empty() ? candidate.where : candidate.needs.front().where;
  if (const std::string fault = fault_of_row(run, candidate); !fault.empty()) {
    faults.push_back(fmt::format("{}: {}", where, fault));
    return;
  }
  if (candidate.needs.empty()) {
    return;
  }
  for (const config::ModelSection& section : net::teachers_of(run.config.model)) {
    const config::System& system = config::system_of(section);
    std::vector<const PlannedRun*> found;
    std::ranges::copy_if(needed, std::back_inserter(found), [&](const PlannedRun* other) {
      return &config::system_of(other->config.model) == &system && other->config.run.seed == run.config.run.seed &&
             is_on_same_data(other->config.data, run.config.data);
    });
    if (found.size() != 1) {
      std::vector<std::string> ids;
      std::ranges::transform(found, std::back_inserter(ids), &PlannedRun::id);
      const std::string kind =
          fmt::format("of {} with seed {} on the same data", config::words_of({&system}), run.config.run.seed);
      const char* have = candidate.needs.size() == 1 ? "has" : "have";
      faults.push_back(fmt::format(
          "{}: \"{}\" needs {}, which {} {}", where, candidate.row, quoted(candidate.needs), have,
          found.empty() ? fmt::format("no run {}", kind)
                        : fmt::format("{} runs {}, {}: one is needed", found.size(), kind, fmt::join(ids, ", "))));
      continue;
    }
    const PlannedRun& teacher = *found.front();
    run.needs.push_back(teacher.id);
    if (!teacher.has_id()) {
      if (run.lacks.empty()) {
        run.lacks = teacher.lacks;
        run.recorded = teacher.recorded;
      }
      continue;
    }
    const std::string key(system.tasks.front());
    config::DistillationSection::Teacher& set = run.config.distillation.teachers[key];
    set.weights = (std::filesystem::path(teacher.config.run.output) / teacher.id).string();
    set.digest = run::digest_of_run(teacher.config);
    run.assignments.push_back(fmt::format("distillation.teacher_{}={}", key, set.weights));
    run.assignments.push_back(fmt::format("distillation.teacher_{}_digest={}", key, set.digest));
  }
}

bool come_from_needs(const PlannedRun& run, const std::string& weights) {
  return std::ranges::find(run.needs, std::filesystem::path(weights).filename().string()) != run.needs.end();
}

}  // namespace xtasc::sweep
