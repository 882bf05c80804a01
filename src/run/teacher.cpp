#include "run/teacher.hpp"

#include <algorithm>
#include <string>
#include <string_view>
#include <system_error>

#include "config/systems.hpp"
#include "core/error.hpp"
#include "io/content.hpp"
#include "io/file.hpp"
#include "run/provenance.hpp"
#include "run/run_folder.hpp"
#include "run/run_id.hpp"

namespace xtasc::run {

namespace {

void check_system(const config::RunConfig& config, const config::ModelSection& teacher) {
  const config::System& wanted = config::system_of(teacher);
  if (&config::system_of(config.model) != &wanted) {
    fail_usage("it is a run of {}, wanted is one of {}", config::words_of({&config::system_of(config.model)}),
               config::words_of({&wanted}));
  }
}

/// A zip archive or a pickle of torch.save, or the header of safetensors, which is JSON behind its length.
bool may_hold_tensors(std::string_view head) {
  constexpr std::size_t kLengthBytes = 8;
  return head.starts_with("PK\x03\x04") || head.starts_with("\x80") ||
         (head.size() > kLengthBytes && head[kLengthBytes] == '{');
}

/// A teacher that was trained on a student's held-out images would tell it of them.
void check_held_out(const config::RunConfig& teacher, const Provenance& provenance, const config::RunConfig& student) {
  const bool are_known = !student.data.pack_digest.empty() && !provenance.pack_digest.empty();
  std::error_code ignored;
  const bool is_same_pack = are_known ? provenance.pack_digest == student.data.pack_digest
                                      : std::filesystem::equivalent(teacher.data.pack, student.data.pack, ignored);
  const auto images_of = [](const config::RunConfig& config) {
    return fmt::format("data.holdout = {} and run.seed = {}", config.data.holdout, config.run.seed);
  };
  check(student.data.holdout == 0.0 || !is_same_pack || images_of(teacher) == images_of(student),
        "it was trained on images that the student holds out: it has {}, the student {}", images_of(teacher),
        images_of(student));
}

void check_run(const RunFolder& run, const config::ModelSection& teacher, const StudentData& student,
               const config::RunConfig& student_config) {
  std::error_code ignored;
  check(std::filesystem::exists(run.config(), ignored), "it is no folder of a run: it has no config.toml");
  const config::RunConfig config = read_config_of(run);
  const config::System& wanted = config::system_of(teacher);
  check_system(config, teacher);
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
  check_held_out(config, provenance, student_config);
}

/// As far as a file of weights shows without being read as such: it must begin as torch.save or safetensors write one,
/// and where it is of a checkpoint (RUN/checkpoint/best/weights.pt), its run answers for it.
void check_file(const std::filesystem::path& file, const config::ModelSection& teacher, const StudentData& student,
                const config::RunConfig& student_config) {
  constexpr std::size_t kHead = 512;
  const std::string head = io::read_head(file, kHead, "a file of weights");
  if (!may_hold_tensors(head)) {
    fail_usage("found {}, a file of torch.save or safetensors is expected", io::describe_content(head));
  }
  const std::filesystem::path checkpoint = std::filesystem::absolute(file).parent_path();
  const RunFolder run{checkpoint.parent_path().parent_path()};
  std::error_code ignored;
  if (checkpoint.parent_path() == run.checkpoints() && std::filesystem::exists(run.config(), ignored)) {
    check_run(run, teacher, student, student_config);
  }
}

}  // namespace

void check_teacher(const std::filesystem::path& path, const config::ModelSection& teacher, const StudentData& student,
                   const config::RunConfig& student_config) {
  std::error_code ignored;
  if (std::filesystem::is_directory(path, ignored)) {
    check_run({path}, teacher, student, student_config);
  } else {
    check_file(path, teacher, student, student_config);
  }
}

}  // namespace xtasc::run
