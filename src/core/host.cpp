#include "core/host.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <array>

namespace xtasc {

std::string this_host() {
  std::array<char, 256> host{};
  ::gethostname(host.data(), host.size() - 1);
  return host.data();
}

std::string this_process() {
  return fmt::format("{}, process {}", this_host(), ::getpid());
}

}  // namespace xtasc
