#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>

#include "core/error.hpp"
#include "io/atomic_file.hpp"
#include "report/plot/plot.hpp"

namespace fs = std::filesystem;

namespace xtasc::report {

namespace {

/// Both ends of a pipe, closed at the end.
class Pipe {
 public:
  Pipe() { check(::pipe2(ends_.data(), O_CLOEXEC) == 0, "cannot make a pipe: {}", errno_text(errno)); }
  ~Pipe() {
    close_writer();
    ::close(ends_[0]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  [[nodiscard]] int writer() const { return ends_[1]; }
  void close_writer() {
    if (ends_[1] >= 0) {
      ::close(ends_[1]);
      ends_[1] = -1;
    }
  }
  /// What comes until the other side has closed it.
  [[nodiscard]] std::string read_all() const {
    std::string text;
    std::array<char, 4096> buffer{};
    for (;;) {
      const ssize_t count = ::read(ends_[0], buffer.data(), buffer.size());
      if (count > 0) {
        text.append(buffer.data(), static_cast<std::size_t>(count));
      } else if (count == 0 || errno != EINTR) {
        return text;
      }
    }
  }

 private:
  std::array<int, 2> ends_ = {-1, -1};
};

class SpawnActions {
 public:
  SpawnActions() { ::posix_spawn_file_actions_init(&actions_); }
  ~SpawnActions() { ::posix_spawn_file_actions_destroy(&actions_); }
  SpawnActions(const SpawnActions&) = delete;
  SpawnActions& operator=(const SpawnActions&) = delete;
  posix_spawn_file_actions_t* get() { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_{};
};

/// What gnuplot said, and how it ended. \param folder  its working directory
struct Outcome {
  int status = 0;
  std::string words;
};

Outcome run_gnuplot(const fs::path& folder, const std::string& script, const std::string& if_missing) {
  Pipe pipe;
  SpawnActions actions;
  ::posix_spawn_file_actions_addopen(actions.get(), STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(actions.get(), pipe.writer(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(actions.get(), pipe.writer(), STDERR_FILENO);
  ::posix_spawn_file_actions_addchdir_np(actions.get(), folder.c_str());
  std::string program = "gnuplot";
  std::string argument = script;
  const std::array<char*, 3> arguments = {program.data(), argument.data(), nullptr};
  pid_t process = 0;
  const int error = ::posix_spawnp(&process, program.c_str(), actions.get(), nullptr, arguments.data(), environ);
  check(error != ENOENT, "{}", if_missing);
  check(error == 0, "cannot start gnuplot: {}", errno_text(error));
  pipe.close_writer();
  Outcome outcome{.status = 0, .words = pipe.read_all()};
  while (::waitpid(process, &outcome.status, 0) < 0) {
    check(errno == EINTR, "cannot wait for gnuplot: {}", errno_text(errno));
  }
  return outcome;
}

/// The line that tells most of gnuplot's message: its last one that is not blank.
std::string last_line(std::string_view words) {
  while (!words.empty() && (words.back() == '\n' || words.back() == ' ')) {
    words.remove_suffix(1);
  }
  return std::string(words.substr(words.rfind('\n') + 1));
}

}  // namespace

void draw(const Plot& plot, const fs::path& prefix) {
  const fs::path folder = prefix.has_parent_path() ? prefix.parent_path() : fs::path(".");
  const std::string name = prefix.filename().string();
  const fs::path script = prefix.string() + ".gp";
  check(!name.empty(), "--output {}: a name is needed after the folder", prefix.string());
  io::write_file_atomically(script, std::string_view(gnuplot_script(plot, name)));
  const Outcome outcome = run_gnuplot(
      folder, name + ".gp",
      fmt::format("gnuplot is not installed (Debian package gnuplot-nox); the script {} is ready: run `gnuplot "
                  "{}.gp` in its folder on a machine that has it",
                  script.string(), name));
  check(WIFEXITED(outcome.status) && WEXITSTATUS(outcome.status) == 0, "gnuplot could not draw {}: {}", script.string(),
        outcome.words.empty() ? "it was stopped" : last_line(outcome.words));
  for (const char* extension : {".svg", ".png"}) {
    std::error_code error;
    const fs::path picture = prefix.string() + extension;
    const auto size = fs::file_size(picture, error);
    check(!error && size > 0, "gnuplot wrote no {}: {}", picture.string(), last_line(outcome.words));
  }
}

}  // namespace xtasc::report
