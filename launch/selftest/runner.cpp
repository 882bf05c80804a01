#include "launch/selftest/runner.hpp"

#include <fmt/format.h>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <thread>

#include "core/error.hpp"

namespace xtasc::launch {

namespace {

Finding finding_of(const std::function<Finding()>& check) {
  try {
    return check();
  } catch (const std::bad_alloc&) {
    return failed("out of memory");
  } catch (const std::exception& error) {
    return failed(error.what());
  }
}

}  // namespace

CheckRunner::CheckRunner(const dist::MpiSession& session, std::chrono::seconds timeout)
    : session_(session), timeout_(timeout), watchdog_(timeout, [this] { end_all_ranks(); }) {
  watchdog_.rest();
  if (session.rank() == 0) {
    fmt::print("{}\n", header_line());
    std::fflush(stdout);
  }
}

Row CheckRunner::run(const std::string& group, const std::string& name, const std::function<Finding()>& check) {
  const auto start = std::chrono::steady_clock::now();
  const std::string title = group + ": " + name;
  set_watched(title, {});
  watchdog_.beat();
  const Finding own = finding_of(check);
  const std::string& failure = own.reason.empty() ? own.figure : own.reason;
  set_watched(title, own.outcome == Outcome::fail ? failure : "");
  std::vector<Finding> by_rank;
  for (const std::string& text : session_.gather(title + '\n' + to_text(own))) {
    const auto end = text.find('\n');
    xtasc::check(text.substr(0, end) == title, "the ranks are out of step: rank {} is at '{}', another at '{}'",
                 session_.rank(), title, text.substr(0, end));
    by_rank.push_back(finding_from(text.substr(end + 1)));
  }
  watchdog_.rest();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  rows_.push_back(merged(group, name, by_rank, seconds));
  if (session_.rank() == 0) {
    fmt::print("{}\n", row_line(rows_.back()));
    std::fflush(stdout);
  }
  return rows_.back();
}

void CheckRunner::set_watched(const std::string& what, const std::string& failure) {
  const std::scoped_lock lock(mutex_);
  watched_ = what;
  failure_ = failure;
}

void CheckRunner::end_all_ranks() {
  std::unique_lock lock(mutex_);
  const bool knows_why = !failure_.empty();
  const std::string text =
      knows_why ? fmt::format("rank {} failed in '{}' ({}), and the others did not come back from it within {} s",
                              session_.rank(), watched_, failure_, timeout_.count())
                : fmt::format("rank {}: '{}' did not end within {} s; a rank or the network hangs", session_.rank(),
                              watched_, timeout_.count());
  lock.unlock();
  if (!knows_why) {
    std::this_thread::sleep_for(std::chrono::seconds(2));  // leaves the word to a rank that knows more
  }
  print_error("xtasc-inspect", Error(text));
  session_.abort(static_cast<int>(ExitCode::failure));
}

bool on_first_rank(const dist::MpiSession& session, const std::function<void()>& work) {
  std::exception_ptr error;
  if (session.rank() == 0) {
    try {
      work();
    } catch (...) {
      error = std::current_exception();
    }
  }
  const bool went_well = session.max(error ? 1 : 0) == 0;
  if (error) {
    std::rethrow_exception(error);
  }
  return went_well;
}

}  // namespace xtasc::launch
