#include "launch/bench/peer_process.hpp"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/error.hpp"
#include "launch/bench/bench.hpp"

namespace xtasc::launch {

namespace {

/// The peer, between the pipes' other ends.
Process start(const std::string& script, const std::vector<std::string>& arguments, const Pipe& to, const Pipe& from) {
  std::vector<std::string> words = {project_python(), "-B", script};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::signal(SIGPIPE, SIG_IGN);  // a peer that has died is an error with its last words, not our end
  return Process({.command = words,
                  .input = to.reader(),
                  .output = from.writer(),
                  .errors = from.writer(),
                  .signal_when_orphaned = SIGTERM});
}

}  // namespace

PeerProcess::PeerProcess(const std::string& script, const std::vector<std::string>& arguments)
    : script_(peer_script(script).string()), process_(start(script_, arguments, to_peer_, from_peer_)) {
  to_peer_.close_reader();
  from_peer_.close_writer();
  greeting_ = read_line();
}

PeerProcess::~PeerProcess() {
  to_peer_.close_writer();
  from_peer_.close_reader();  // it may be writing
  process_.wait();
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
    const ssize_t count = ::read(from_peer_.reader(), part.data(), part.size());
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
  if (::write(to_peer_.writer(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    const std::string reason = errno_text(errno);
    static_cast<void>(read_line());  // throws what it said last
    fail("the peer {} does not listen: {}", script_, reason);
  }
  return nlohmann::json::parse(read_line());
}

}  // namespace xtasc::launch
