#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "core/process.hpp"

namespace xtasc::launch {

/// A script of launch/bench/peer in the project's Python that answers line by line, so that it can take turns with us.
class PeerProcess {
 public:
  /// Starts it and waits for its first line. \throws Error  with the last line that it said when it ends instead
  PeerProcess(const std::string& script, const std::vector<std::string>& arguments);
  /// Closes its input, at which it ends, and waits for that.
  ~PeerProcess();
  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;

  /// Sends one line. \returns the answer: one line of JSON \throws Error  as above
  [[nodiscard]] nlohmann::json ask(const std::string& line);
  /// The first line: what the peer says about itself.
  [[nodiscard]] const std::string& greeting() const { return greeting_; }

 private:
  [[nodiscard]] std::string read_line();

  std::string script_;
  Pipe to_peer_, from_peer_;
  Process process_;
  std::string unread_;
  std::string greeting_;
};

}  // namespace xtasc::launch
