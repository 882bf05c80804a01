#include "launch/peer_process.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "launch/bench.hpp"

namespace xtasc::launch {

PeerProcess::PeerProcess(const std::string& script, const std::vector<std::string>& arguments)
    : script_((std::filesystem::path(XTASC_SOURCE_DIR) / "tests/peer" / script).string()) {
  std::vector<std::string> words = {project_python(), "-B", script_};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  std::array<int, 2> down{};
  std::array<int, 2> up{};
  check(::pipe(down.data()) == 0, "cannot run the peer: {}", errno_text(errno));
  to_peer_ = down[1];
  if (::pipe(up.data()) != 0) {
    ::close(down[0]);
    close_all();
    fail("cannot run the peer: {}", errno_text(errno));
  }
  from_peer_ = up[0];
  pid_ = ::fork();
  if (pid_ == 0) {
    ::dup2(down[0], STDIN_FILENO);
    ::dup2(up[1], STDOUT_FILENO);
    ::dup2(up[1], STDERR_FILENO);
    for (const int end : {down[0], down[1], up[0], up[1]}) {
      ::close(end);
    }
    ::execvp(argv.front(), argv.data());
    ::_exit(127);
  }
  ::close(down[0]);
  ::close(up[1]);
  check(pid_ > 0, "cannot run the peer: {}", errno_text(errno));
  try {
    greeting_ = read_line();
  } catch (...) {
    close_all();
    throw;
  }
}

PeerProcess::~PeerProcess() {
  close_all();
}

void PeerProcess::close_all() noexcept {
  for (int* end : {&to_peer_, &from_peer_}) {
    if (*end >= 0) {
      ::close(*end);
      *end = -1;
    }
  }
  if (pid_ > 0) {
    ::waitpid(pid_, nullptr, 0);
    pid_ = -1;
  }
}

std::string PeerProcess::read_line() {
  std::array<char, 4096> part{};
  std::size_t end = 0;
  while ((end = unread_.find('\n')) == std::string::npos) {
    const ssize_t count = ::read(from_peer_, part.data(), part.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    check(count > 0, "the peer {} ended: {}", script_, unread_.empty() ? "it said nothing" : unread_);
    unread_.append(part.data(), static_cast<std::size_t>(count));
  }
  std::string line = unread_.substr(0, end);
  unread_.erase(0, end + 1);
  if (line.empty() || line.front() != '{') {  // a warning, or an error: what follows says more, or the end does
    unread_.erase(0, unread_.find_first_not_of('\n'));
    try {
      return read_line();
    } catch (const Error&) {
      fail("the peer {} failed: {}", script_, line);
    }
  }
  return line;
}

nlohmann::json PeerProcess::ask(const std::string& line) {
  const std::string text = line + "\n";
  check(::write(to_peer_, text.data(), text.size()) == static_cast<ssize_t>(text.size()),
        "the peer {} does not listen: {}", script_, errno_text(errno));
  return nlohmann::json::parse(read_line());
}

}  // namespace xtasc::launch
