#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "events/event_file.hpp"
#include "run/metrics_log.hpp"

namespace xtasc::events {

/// A run's event files while the run goes on: one for each of its starts, by number, so that a TensorBoard that is open
/// never sees a file become shorter and grow again. Steps of the run are told by tags "live/...", whose step is the
/// optimizer's; the step of all others is the epoch.
class EventLog {
 public:
  /// Where a run goes on from.
  struct Known {
    std::int64_t epochs = 0, steps = 0;
  };

  /// Cuts the files of earlier starts back to what the run knows, a record that was cut short or changed and all behind
  /// it too. From the first epoch of `history` on that is then in none of them all are added anew: what comes again at
  /// an earlier step takes the place of what TensorBoard had from there on. \param class_names  see numbers_of()
  /// \throws Error when a file cannot be read or cut
  EventLog(std::filesystem::path folder, const Known& known, const std::vector<run::EpochRecord>& history,
           std::vector<std::string> class_names);

  /// Whether no file of an earlier start is left, nor what add_text() put into it.
  [[nodiscard]] bool is_new() const { return is_new_; }

  void add_text(std::string_view tag, std::string_view text);
  /// Of a step: "live/loss" for "loss".
  void add_live(std::int64_t step, const std::vector<Number>& numbers);
  void add_epoch(const run::EpochRecord& record);
  void add_picture(std::int64_t epoch, std::string_view tag, std::span<const std::byte> png, std::int64_t height,
                   std::int64_t width);
  /// Writes what was added, durably. Where that fails the log says so, and the next call tries again.
  void write();
  /// The same, unless it was done a few seconds ago: for what comes often.
  void write_now_and_then();

 private:
  /// \returns the epochs whose numbers the file has
  std::set<std::int64_t> cut_back(const std::filesystem::path& file, const Known& known);

  std::filesystem::path file_;
  std::vector<std::string> class_names_;
  bool is_new_ = true;
  std::string pending_;      ///< records that file_ lacks
  std::uint64_t size_ = 0;   ///< bytes that file_ has
  bool has_warned_ = false;  ///< that it cannot be written
  std::chrono::steady_clock::time_point last_write_;
};

}  // namespace xtasc::events
