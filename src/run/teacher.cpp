#include "run/teacher.hpp"

#include <algorithm>
#include <system_error>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "run/provenance.hpp"
#include "run/run_id.hpp"

namespace xtasc::run {

void check_teacher(const RunFolder& run, const config::ModelSection& teacher, const StudentData& student) {
  std::error_code ignored;
  check(std::filesystem::exists(run.config(), ignored), "it is no folder of a run: it has no config.toml");
  const config::RunConfig config = read_config_of(run);
  const config::System& wanted = config::system_of(teacher);
  check(&config::system_of(config.model) == &wanted, "it is a run of {}, wanted is one of {}",
        config::words_of({&config::system_of(config.model)}), config::words_of({&wanted}));
  check(run.is_done(), "it is not DONE: train it to its end first");
  const Provenance provenance = read_provenance(run.provenance());
  const task::Tasks tasks = config::tasks_of(wanted);
  const bool has_classes = std::ranges::count(tasks, task::Kind::classes, &task::Task::kind) > 0;
  check(!has_classes || student.num_classes == 0 || provenance.pack_num_classes == 0 ||
            provenance.pack_num_classes == student.num_classes,
        "it knows {} classes, the student's data have {}", provenance.pack_num_classes, student.num_classes);
  check(student.height == 0 || provenance.pack_height == 0 ||
            (provenance.pack_height == student.height && provenance.pack_width == student.width),
        "it was trained on images of {} x {}, the student's are {} x {}", provenance.pack_height, provenance.pack_width,
        student.height, student.width);
}

}  // namespace xtasc::run
