#include "core/log.hpp"

#include <spdlog/sinks/stdout_color_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "core/progress.hpp"
#include "core/terminal.hpp"
#include "core/utf8.hpp"

namespace xtasc {

namespace {

spdlog::logger& logger() {
  static const std::shared_ptr<spdlog::logger> instance = [] {
    const auto colours = may_have_colours(STDERR_FILENO) ? spdlog::color_mode::automatic : spdlog::color_mode::never;
    auto made = spdlog::stderr_color_mt("xtasc", colours);
    made->set_pattern("%H:%M:%S %^%v%$");
    return made;
  }();
  return *instance;
}

}  // namespace

void set_quiet(bool quiet) {
  logger().set_level(quiet ? spdlog::level::off : spdlog::level::info);
}

bool is_quiet() {
  return logger().level() == spdlog::level::off;
}

void log_line(const std::string& text) {
  clear_live_line();
  logger().info(with_escaped_bytes(text));
}

void log_warning_line(const std::string& text) {
  clear_live_line();
  logger().warn("warning: {}", with_escaped_bytes(text));
}

}  // namespace xtasc
