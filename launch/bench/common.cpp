#include <ATen/Parallel.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "config/enums.hpp"
#include "core/command.hpp"
#include "core/error.hpp"
#include "core/processor.hpp"
#include "core/version.hpp"
#include "launch/bench/bench.hpp"
#include "train/setup.hpp"

namespace xtasc::launch {

namespace {

namespace fs = std::filesystem;

}  // namespace

std::filesystem::path peer_script(const std::string& name) {
  std::error_code error;
  const fs::path beside =
      fs::read_symlink("/proc/self/exe", error).parent_path() / "../share/xtasc/launch/bench/peer" / name;
  return fs::exists(beside, error) ? beside.lexically_normal()
                                   : fs::path(XTASC_SOURCE_DIR) / "launch/bench/peer" / name;
}

std::string project_python() {
  if (const char* python = std::getenv("XTASC_PYTHON")) {
    return python;
  }
  const fs::path own = fs::path(XTASC_SOURCE_DIR) / ".venv/bin/python";
  std::error_code error;
  return fs::exists(own, error) ? own.string() : "python3";
}

double Timing::median() const {
  std::vector<double> sorted = seconds;
  std::sort(sorted.begin(), sorted.end());
  const std::size_t half = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[half] : 0.5 * (sorted[half - 1] + sorted[half]);
}

double Timing::min() const {
  return *std::min_element(seconds.begin(), seconds.end());
}

double Timing::max() const {
  return *std::max_element(seconds.begin(), seconds.end());
}

nlohmann::json to_json(const Timing& timing) {
  return {{"median", timing.median()}, {"min", timing.min()}, {"max", timing.max()}, {"rounds", timing.seconds.size()}};
}

double seconds_of(const std::function<void()>& work) {
  const auto start = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double slowest(const dist::MpiSession& session, double seconds) {
  constexpr double kNanoseconds = 1e9;
  return static_cast<double>(session.max(static_cast<std::int64_t>(seconds * kNanoseconds))) / kNanoseconds;
}

nlohmann::json run_peer(const std::string& script, const std::vector<std::string>& arguments) {
  const fs::path path = peer_script(script);
  std::vector<std::string> words = {project_python(), "-B", path.string()};
  words.insert(words.end(), arguments.begin(), arguments.end());
  CommandResult done = run_command(words, {.signal_when_orphaned = SIGTERM, .is_merged = true});
  while (done.output.ends_with('\n')) {
    done.output.pop_back();
  }
  const std::string last = done.output.substr(done.output.find_last_of('\n') + 1);
  check(done.exit_code == 0, "the peer {} failed: {}", path.string(), last);
  try {
    return nlohmann::json::parse(last);
  } catch (const nlohmann::json::exception&) {
    fail("the peer {} printed no JSON: {}", path.string(), last);
  }
}

nlohmann::json machine_json() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  auto libraries = train::library_versions(*dist::make_solo_communicator());
  libraries.erase("communicator");  // of this call, not of the benchmark
  return {{"processor", processor_name()}, {"cores", std::thread::hardware_concurrency()},
          {"version", version_text()},     {"compiler", source_version().compiler},
          {"libraries", libraries},        {"time", text.data()}};
}

std::string command_text(int argc, const char* const* argv) {
  std::string text = fs::path(argv[0]).filename().string();
  for (int i = 1; i < argc; ++i) {
    text += ' ';
    text += argv[i];
  }
  return text;
}

nlohmann::json describe_ranks(const dist::MpiSession& session, at::Device device) {
  return {{"ranks", session.size()},
          {"ranks_on_this_host", session.local_size()},
          {"threads_a_rank", at::get_num_threads()},
          {"device", train::describe_device(device)}};
}

nlohmann::json describe_work(const config::RunConfig& config, const WorkSize& size, const dist::MpiSession& session,
                             at::Device device) {
  nlohmann::json result = describe_ranks(session, device);
  result.update({{"system", config.model.system},
                 {"encoder", config::encoder_of(config.model)},
                 {"precision", config::name(config.run.precision)},
                 {"weighting", config.weighting.method},
                 {"classes", size.num_classes},
                 {"height", size.height},
                 {"width", size.width},
                 {"batch_size", size.batch_size}});
  return result;
}

}  // namespace xtasc::launch
