#include "launch/selftest/selftest.hpp"

#include <fmt/format.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "config/run_config.hpp"
#include "core/version.hpp"
#include "dist/communicator.hpp"
#include "io/atomic_file.hpp"
#include "launch/selftest/checks.hpp"
#include "launch/selftest/runner.hpp"
#include "train/setup.hpp"

namespace xtasc::launch {

namespace {

using nlohmann::json;

/// What the checks run on. Collective.
json describe(const dist::MpiSession& session, at::Device device) {
  auto libraries = train::library_versions(*dist::make_solo_communicator());
  libraries.erase("communicator");
  const auto hosts = session.gather(dist::host_name());
  const auto devices = session.gather(train::describe_device(device));
  json ranks = json::array();
  for (std::size_t rank = 0; rank < hosts.size(); ++rank) {
    ranks.push_back({{"rank", rank}, {"host", hosts[rank]}, {"device", devices[rank]}});
  }
  return {{"version", version_text()}, {"libraries", libraries}, {"ranks", ranks}};
}

void print_description(const json& machine) {
  std::string libraries;
  for (const auto& [name, version] : machine.at("libraries").items()) {
    libraries += fmt::format("{}{} {}", libraries.empty() ? "" : ", ", name, version.get<std::string>());
  }
  fmt::print("xtasc-inspect {} self-test\n{}\n", machine.at("version").get<std::string>(), libraries);
  for (const json& rank : machine.at("ranks")) {
    fmt::print("rank {} -> {} -> {}\n", rank.at("rank").get<int>(), rank.at("host").get<std::string>(),
               rank.at("device").get<std::string>());
  }
  fmt::print("\n");
}

}  // namespace

ExitCode selftest(const dist::MpiSession& session, const SelftestOptions& options) {
  if (!options.json.empty() && session.rank() == 0) {
    io::check_can_write(options.json);
  }
  const auto start = std::chrono::steady_clock::now();
  const config::RunConfig config =
      config::run_config_of({"run.device=" + options.device, fmt::format("run.share_gpu={}", options.share_gpu)});
  Machine machine{.session = session,
                  .device = train::choose_device(config.run, session),
                  .sharing = train::sharing_of(config.run),
                  .scratch = options.scratch,
                  .world = nullptr};
  train::configure_torch(config, session);
  json report = describe(session, machine.device);
  if (session.rank() == 0) {
    print_description(report);
  }

  CheckRunner runner(session, std::chrono::seconds(options.timeout_seconds));
  check_machine(runner, machine);
  check_communicator(runner, machine);
  check_ranks(runner, machine);
  check_device(runner, machine);
  check_cuda_graph(runner, machine);
  check_checkpoint(runner, machine);
  check_bandwidth(runner, machine);

  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (session.rank() == 0) {
    fmt::print("\n{}, on {} rank{} in {:.1f} s\n", summary_line(runner.rows()), session.size(),
               session.size() == 1 ? "" : "s", seconds);
    if (const std::string advice = cuda_graph_advice(runner.rows()); !advice.empty()) {
      fmt::print("{}\n", advice);
    }
    std::fflush(stdout);
    if (!options.json.empty()) {
      report.update(to_json(runner.rows()));
      report["seconds"] = seconds;
      io::write_file_atomically(options.json, report.dump(2) + "\n");
    }
  }
  return any_failed(runner.rows()) ? ExitCode::failure : ExitCode::success;
}

}  // namespace xtasc::launch
