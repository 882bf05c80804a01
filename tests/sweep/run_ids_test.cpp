// What runs are called. Folders of finished runs, tables and batch jobs hold these names: they may never change again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>

#include "config/methods.hpp"
#include "config/systems.hpp"
#include "core/error.hpp"
#include "io/checksum.hpp"
#include "report/results_fixture.hpp"
#include "run/config_values.hpp"
#include "run/run_id.hpp"
#include "support/systems.hpp"
#include "sweep/sweep.hpp"

namespace xtasc::sweep {
namespace {

namespace fs = std::filesystem;
using test::TempFolder;
using test::write_text;
using testing::HasSubstr;

constexpr const char* kNever =
    "\nIds of runs may never change again: folders of finished runs are called by them. A new config key joins the "
    "identity by its default being what runs of before did (it then renames none of them), and says by `.counts` to "
    "which runs it says something; its line is added to tests/golden/run_ids.txt by XTASC_UPDATE_GOLDEN=1, which adds "
    "and changes nothing. Where a sweep or config file itself was changed, its lines are to be removed by hand first.";

/// "what it is" -> id or default, in the file's order.
using Lines = std::vector<std::pair<std::string, std::string>>;

fs::path golden_path() {
  return fs::path(XTASC_SOURCE_DIR) / "tests/golden/run_ids.txt";
}

Lines read_golden() {
  Lines lines;
  std::ifstream stream(golden_path());
  for (std::string line; std::getline(stream, line);) {
    if (const auto colon = line.rfind(": "); colon != std::string::npos && !line.starts_with('#')) {
      lines.emplace_back(line.substr(0, colon), line.substr(colon + 2));
    }
  }
  return lines;
}

/// The run's id where its files hold what their paths say.
std::string id_of(config::RunConfig config) {
  config.data.pack_digest = io::digest_hex(config.data.pack);
  config.model.encoder_weights_digest =
      config.model.encoder_weights.empty() ? "" : io::digest_hex(config.model.encoder_weights);
  return run::run_id(config);
}

std::vector<fs::path> files_of(const char* folder) {
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(fs::path(XTASC_SOURCE_DIR) / folder)) {
    if (entry.path().extension() == ".toml" && entry.path().string().find(".dataset.") == std::string::npos) {
      files.push_back(entry.path());
    }
  }
  std::ranges::sort(files);
  return files;
}

Lines ids_of_configs() {
  Lines lines;
  for (const fs::path& file : files_of("configs")) {
    lines.emplace_back("configs/" + file.filename().string(), id_of(config::read_run_config(file)));
  }
  return lines;
}

Lines ids_of_sweeps() {
  Lines lines;
  for (const fs::path& file : files_of("sweeps")) {
    // With a digest of the pack, without which a student's teachers have none.
    const std::string pack = read_sweep(file).runs.front().config.data.pack;
    for (const PlannedRun& run : read_sweep(file, {"data.pack_digest=" + io::digest_hex(pack)}).runs) {
      lines.emplace_back(fmt::format("sweeps/{} {} seed {} {}", file.filename().string(), run.row, run.config.run.seed,
                                     config::words_of({&config::system_of(run.config.model)})),
                         id_of(run.config));
    }
  }
  return lines;
}

/// Every key that can be part of an identity, with the value at which it is left out.
Lines defaults() {
  std::map<std::string, std::string> found;
  const run::ConfigValues all = run::config_values(config::RunConfig{});
  const auto add = [&](const std::vector<std::string>& assignments) {
    for (const auto& [key, value] : config::deciding_keys(config::run_config_of(assignments))) {
      found["default of " + key] = all.at(key);
    }
  };
  for (const config::Method& method : config::methods()) {
    add({fmt::format("weighting.method={}", method.word)});
  }
  for (const config::System& system : config::systems()) {
    add(test::assignments_of(system));
  }
  add({"model.tasks=[\"segmentation\",\"depth\",\"normals\"]"});
  add({"train.optimizer=sgd", "train.schedule=poly"});
  return {found.begin(), found.end()};
}

TEST(RunIds, AreWhatTheyAlwaysWere) {
  const Lines golden = read_golden();
  const std::map<std::string, std::string> known(golden.begin(), golden.end());
  EXPECT_EQ(known.size(), golden.size()) << "a line stands twice in " << golden_path();
  std::string added;
  for (const Lines& lines : {defaults(), ids_of_configs(), ids_of_sweeps()}) {
    for (const auto& [what, value] : lines) {
      if (const auto found = known.find(what); found != known.end()) {
        EXPECT_EQ(found->second, value) << what << kNever;
      } else if (std::getenv("XTASC_UPDATE_GOLDEN") != nullptr) {
        added += fmt::format("{}: {}\n", what, value);
      } else {
        ADD_FAILURE() << what << " is not in " << golden_path() << kNever;
      }
    }
  }
  std::map<std::string, std::string> now;
  for (const Lines& lines : {defaults(), ids_of_configs(), ids_of_sweeps()}) {
    now.insert(lines.begin(), lines.end());
  }
  for (const auto& [what, value] : golden) {
    EXPECT_TRUE(now.contains(what)) << what << " is gone" << kNever;
  }
  if (!added.empty()) {
    std::ofstream(golden_path(), std::ios::app) << added;
  }
}

/// As the program of revision f459f0b printed them, the last one that knew files by their paths.
TEST(FirstRunIds, AreThoseOfFoldersOfBefore) {
  const auto first = [](std::vector<std::string> assignments) {
    assignments.insert(assignments.begin(), "data.pack=data/p.h5");
    return run::first_run_id(config::run_config_of(assignments));
  };
  EXPECT_EQ(first({}), "xtasc_resnet34-4c5f3669");
  EXPECT_EQ(first({"model.encoder_weights=data/resnet34.pth", "weighting.method=gradnorm", "weighting.alpha=1.5"}),
            "xtasc_resnet34-0a43578b")
      << kNever;
  EXPECT_EQ(first({"model.system=base_st_depth", "train.bucket_mib=8"}), "base_st_depth_resnet34-799ace3a");
  EXPECT_EQ(first({"weighting.method=famo", "run.precision=fp64"}), "xtasc_resnet34-7a590487");
}

TEST(NamesOfRuns, AreReadByTheHashInTheirNames) {
  const TempFolder folder;
  const auto written = [&folder](const std::string& name, const config::RunConfig& config) {
    run::RunFolder run{folder.path() / name};
    fs::create_directories(run.root);
    write_text(run.config(), config::to_toml(config, false));
    return run;
  };
  const auto error_of = [](const run::RunFolder& run) -> std::string {
    try {
      static_cast<void>(run::read_config_of(run));
      return "read";
    } catch (const Error& error) {
      return error.what();
    }
  };
  const config::RunConfig first = config::run_config_of({"data.pack=p.h5"});
  const config::RunConfig now =
      config::run_config_of({"data.pack=p.h5", "data.pack_digest=00112233445566778899aabbccddeeff"});
  const config::RunConfig other_seed =
      config::run_config_of({"data.pack=p.h5", "data.pack_digest=00112233445566778899aabbccddeeff", "run.seed=7"});
  EXPECT_EQ(error_of(written(run::first_run_id(first), first)), "read");
  EXPECT_EQ(error_of(written(run::run_id(now), now)), "read");
  EXPECT_EQ(error_of({folder.path() / (run::run_id(now) + "/")}), "read");
  EXPECT_EQ(error_of(written("named_by_hand", other_seed)), "read");
  EXPECT_THAT(error_of(written(run::run_id(now), other_seed)),
              HasSubstr("is not the config that this run was made with: it gives " + run::run_id(other_seed)));
  EXPECT_THAT(error_of(written(run::first_run_id(first), config::run_config_of({"data.pack=q.h5"}))),
              HasSubstr("is not the config that this run was made with"));
}

}  // namespace
}  // namespace xtasc::sweep
