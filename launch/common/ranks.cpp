#include "launch/common/ranks.hpp"

#include <charconv>
#include <chrono>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>

#include "config/run_config.hpp"
#include "core/log.hpp"
#include "launch/common/loading.hpp"
#include "launch/common/rank_errors.hpp"

namespace xtasc::launch {

namespace {

ProgramWatch::Options with_limit(ProgramWatch::Options options) {
  if (options.limit.count() == 0) {
    options.limit = std::chrono::seconds(config::RunSection().stall_seconds);
  }
  return options;
}

}  // namespace

Ranks::Ranks(ProgramWatch::Options options) : watch_(with_limit(std::move(options))) {
  end_loading();  // the watch answers signals now, or the system does
}

const dist::MpiSession& Ranks::start(int* argc, char*** argv) {
  watch_.beat("the start of MPI");
  session_.emplace(argc, argv, &watch_.board());
  set_quiet(session_->rank() != 0);
  watch_.beat("its start, with MPI");
  return *session_;
}

ErrorHooks Ranks::error_hooks(std::function<std::optional<Error>(const std::exception&)> translate) {
  ErrorHooks hooks = rank_error_hooks(session_, [this, translate = std::move(translate)](const std::exception& error) {
    std::optional<Error> known = translate ? translate(error) : std::nullopt;
    return known ? Error(fmt::format("{} (in {})", known->what(), watch_.board().doing()), known->code()) : known;
  });
  hooks.before_message = [this, wait = std::move(hooks.before_message)] {
    wait();
    if (!session_ && watch_.launched().rank > 0) {  // MPI could not start, on this rank as on the first
      std::this_thread::sleep_for(std::chrono::seconds(3));
    }
    static_cast<void>(watch_.board().claim_report());  // this error is what there is to say
  };
  return hooks;
}

void take_limit_of(const std::vector<std::string>& assignments, ProgramWatch& watch) {
  constexpr std::string_view kKey = "run.stall_seconds";
  constexpr std::int64_t kLongest = std::int64_t{1} << 40;  // in milliseconds there still is a number for it
  for (const std::string_view assignment : assignments) {
    const std::size_t equals = assignment.find('=');
    if (assignment.substr(0, equals) == kKey && equals != std::string_view::npos) {
      const std::string_view value = assignment.substr(equals + 1);
      std::int64_t seconds = 0;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
      if (error == std::errc() && end == value.data() + value.size() && seconds >= 0 && seconds < kLongest) {
        watch.set_limit(std::chrono::seconds(seconds), kKey.data());
      }
    }
  }
}

}  // namespace xtasc::launch
