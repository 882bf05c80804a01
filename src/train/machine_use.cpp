#include "train/machine_use.hpp"

#include <algorithm>
#include <array>
#include <numeric>
#include <string_view>

#include "core/error.hpp"
#include "core/json.hpp"
#include "net/work.hpp"
#include "train/peak.hpp"
#include "train/peak_memory.hpp"
#include "train/phase.hpp"

namespace xtasc::train {

namespace {

using Values = std::map<std::string, double>;

constexpr const char* kSums = "sums";
constexpr const char* kHost = "host_bytes";
constexpr const char* kDevice = "device_bytes";

/// Each of the ranks' values of one name, where they have it.
std::vector<double> column(const std::vector<Values>& ranks, const std::string& key) {
  std::vector<double> values;
  for (const Values& rank : ranks) {
    if (const auto found = rank.find(key); found != rank.end()) {
      values.push_back(found->second);
    }
  }
  return values;
}

double value_or_zero(const Values& values, const std::string& key) {
  const auto found = values.find(key);
  return found == values.end() ? 0.0 : found->second;
}

}  // namespace

MachineUse::MachineUse(const dist::MpiSession& session, const config::RunConfig& config, const net::Sizes& sizes,
                       const Learner& learner, at::Device device)
    : session_(session), device_(device) {
  constexpr double kPerMultiplyAdd = 2.0;
  flop_of_image_ = kPerMultiplyAdd * net::work_of_image(config, sizes.height, sizes.width, sizes.num_classes).step;
  session.barrier();
  const std::optional<double> own = peak_of_device(config.run, device, learner.types.compute);
  double sum = 0.0;
  for (const std::string& text : session.gather(json_fields::number(own.value_or(0.0)).dump())) {
    const double peak = json_fields::Json::parse(text).get<double>();
    sum = peak > 0.0 && sum >= 0.0 ? sum + peak : -1.0;  // of all, or unknown
  }
  if (sum > 0.0) {
    peak_ = sum;
  }
}

std::map<std::string, std::map<std::string, double>> MachineUse::of_epoch(const Progress& progress) const {
  constexpr std::size_t kNumPhases = kPhaseKeys.size();
  Values own = {{kHost, static_cast<double>(peak_resident_bytes())}};
  if (const auto memory = device_memory(device_)) {
    own[kDevice] = static_cast<double>(memory->peak_allocated);
  }
  if (progress.epoch_phase_seconds.size() > kNumPhases) {
    own[kSums] = progress.epoch_phase_seconds[kNumPhases];
  }
  std::vector<Values> ranks;
  for (const std::string& text : session_.gather(json_fields::object(own).dump())) {
    ranks.push_back(json_fields::parse(text).get<Values>());
  }

  std::map<std::string, Values> use;
  for (std::size_t i = 0; i < std::min(kNumPhases, progress.epoch_phase_seconds.size()); ++i) {
    use["seconds"][std::string(kPhaseKeys[i])] = progress.epoch_phase_seconds[i];
  }
  if (const std::vector<double> sums = column(ranks, kSums); !sums.empty()) {
    const double least = *std::ranges::min_element(sums);  // of who came last: what the sums themselves cost, at most
    use["seconds"][kSums] = least;
    use["seconds"]["waiting"] = std::reduce(sums.begin(), sums.end()) / static_cast<double>(sums.size()) - least;
  }
  use["memory"][kHost] = std::ranges::max(column(ranks, kHost));
  if (const std::vector<double> on_device = column(ranks, kDevice); !on_device.empty()) {
    use["memory"][kDevice] = std::ranges::max(on_device);
  }
  const double rate = flop_of_image_ * static_cast<double>(progress.epoch_images) / progress.epoch_seconds;
  use["flops"]["per_second"] = rate;
  if (peak_) {
    use["flops"]["peak_per_second"] = *peak_;
    use["flops"]["of_peak"] = rate / *peak_;
  }
  return use;
}

std::string machine_text(const run::EpochRecord& record) {
  constexpr double kGiga = 1e9, kMebibyte = 1024.0 * 1024.0;
  const Values& flops = record.machine.at("flops");
  const Values& memory = record.machine.at("memory");
  std::string text = fmt::format("{:.1f} GFLOP/s", flops.at("per_second") / kGiga);
  if (flops.contains("of_peak")) {
    text += fmt::format(", {:.0f} % of peak", 100.0 * flops.at("of_peak"));
  }
  text += fmt::format(", {:.0f} MiB", memory.at(kHost) / kMebibyte);
  if (memory.contains(kDevice)) {
    text += fmt::format(" and {:.0f} MiB of the device", memory.at(kDevice) / kMebibyte);
  }
  const auto seconds = record.machine.find("seconds");
  if (seconds == record.machine.end()) {
    return text;
  }
  const double whole = record.seconds.at("train");
  for (const std::string_view phase : kPhaseKeys) {
    if (const double part = value_or_zero(seconds->second, std::string(phase)); part >= 0.005 * whole) {
      std::string name(phase);
      std::ranges::replace(name, '_', ' ');
      text += fmt::format(", {} {:.0f} %", name, 100.0 * part / whole);
    }
  }
  if (seconds->second.contains("waiting")) {
    text += fmt::format("; sums over ranks {:.1f} s, waiting for peers {:.1f} s", seconds->second.at(kSums),
                        seconds->second.at("waiting"));
  }
  return text;
}

}  // namespace xtasc::train
