#include "launch/bench/peer_process.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.hpp"
#include "launch/bench/bench.hpp"

namespace xtasc::launch {

PeerProcess::PeerProcess(const std::string& script, const std::vector<std::string>& arguments)
    : script_(peer_script(script).string()) {
  std::vector<std::string> words = {project_python(), "-B", script_};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) {
    argv.push_back(word.data());
  }
  argv.push_back(nullptr);
  std::array<int, 2> down{};
  std::array<int, 2> up{};
  std::signal(SIGPIPE, SIG_IGN);  // a peer that has died is an error with its last words, not our end
  check(::pipe2(down.data(), O_CLOEXEC) == 0, "cannot run the peer: {}", errno_text(errno));
  to_peer_ = down[1];
  if (::pipe2(up.data(), O_CLOEXEC) != 0) {
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
  std::string last_words = "it said nothing";
  while (true) {
    const std::size_t end = unread_.find('\n');
    if (end != std::string::npos) {
      std::string line = unread_.substr(0, end);
      unread_.erase(0, end + 1);
      if (line.starts_with('{')) {
        return line;
      }
      if (line.find_first_not_of(" \t\r") != std::string::npos) {  // a warning, or an error's last line so far
        last_words = std::move(line);
      }
      continue;
    }
    const ssize_t count = ::read(from_peer_, part.data(), part.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      fail("the peer {} failed: {}", script_, unread_.empty() ? last_words : unread_);
    }
    unread_.append(part.data(), static_cast<std::size_t>(count));
  }
}

nlohmann::json PeerProcess::ask(const std::string& line) {
  const std::string text = line + "\n";
  if (::write(to_peer_, text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    const std::string reason = errno_text(errno);
    static_cast<void>(read_line());  // throws what it said last
    fail("the peer {} does not listen: {}", script_, reason);
  }
  return nlohmann::json::parse(read_line());
}

}  // namespace xtasc::launch
