#include "report/aggregate.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <string>
#include <vector>

#include "core/error.hpp"
#include "report/results_fixture.hpp"
#include "report/table.hpp"
#include "run/run_summary.hpp"

namespace xtasc::report {

namespace {

namespace fs = std::filesystem;
using test::TempFolder;
using test::write_run;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// A run of `system` with a seed; the folder's name is made of both.
void write_seed(const fs::path& root, const std::string& system, int seed, double quality,
                std::vector<std::string> settings = {}) {
  settings.insert(settings.begin(), {"model.system=" + system, fmt::format("run.seed={}", seed)});
  write_run(root, {.name = fmt::format("{}_{}", system, seed), .settings = settings, .quality = quality});
}

struct Aggregated {
  run::LoadedRuns loaded;
  std::vector<SeedGroup> groups;
};

Aggregated aggregated(const fs::path& root, Protocol protocol = Protocol::paper) {
  Aggregated result{.loaded = run::load_runs(std::vector<fs::path>{root}), .groups = {}};
  const std::vector<Protocol> protocols = {protocol};
  for (const Table& table : make_tables(result.loaded.runs, protocols, Checkpoint::best)) {
    const auto groups = aggregate(table);
    result.groups.insert(result.groups.end(), groups.begin(), groups.end());
  }
  return result;
}

double delta_of(double quality, double base) {
  const double gain = quality - base;
  return 25.0 * (gain / (0.3 + base) + gain / (0.6 + base) + gain / (0.64 - base) + gain / (0.24 - base));
}

TEST(Aggregate, GroupsOverSeedsAndPairsTheHalvesBySeed) {
  const TempFolder folder;
  const double base[] = {0.0, 0.01, -0.01};
  const double quality[] = {0.02, 0.04, 0.03};
  for (int seed = 1; seed <= 3; ++seed) {
    write_seed(folder.path(), "base_st_seg", seed, base[seed - 1]);
    write_seed(folder.path(), "base_st_depth", seed, base[seed - 1]);
    write_seed(folder.path(), "xtasc", seed, quality[seed - 1]);
  }
  const Aggregated result = aggregated(folder.path());
  ASSERT_THAT(result.groups, SizeIs(2));
  const SeedGroup& st = result.groups[0];
  const SeedGroup& xtasc = result.groups[1];
  EXPECT_EQ(st.model, "Base ST-Net");
  EXPECT_TRUE(st.is_baseline());
  EXPECT_THAT(st.seeds, SizeIs(3));
  EXPECT_EQ(xtasc.model, "XTasC-Net");
  EXPECT_FALSE(xtasc.is_baseline());

  EXPECT_NEAR(xtasc.metrics.at("miou").mean, 0.33, 1e-12);
  EXPECT_NEAR(xtasc.metrics.at("miou").deviation.value(), 0.01, 1e-12);
  EXPECT_EQ(xtasc.metrics.at("miou").count, 3);
  std::vector<double> deltas;
  for (int i = 0; i < 3; ++i) {
    deltas.push_back(delta_of(quality[i], base[i]));
    EXPECT_NEAR(xtasc.seeds[static_cast<std::size_t>(i)].delta_m.value(), deltas.back(), 1e-9) << "of its own seed";
  }
  EXPECT_NEAR(xtasc.delta_m->mean, moments(deltas).mean, 1e-9);
  EXPECT_NEAR(xtasc.delta_m->deviation.value(), moments(deltas).deviation.value(), 1e-9);
  EXPECT_NEAR(xtasc.delta_m_of_means.value(), delta_of(0.03, 0.0), 1e-9);
  EXPECT_NE(xtasc.delta_m->mean, *xtasc.delta_m_of_means);
  EXPECT_EQ(st.delta_m->mean, 0.0);
  EXPECT_EQ(value_of(st, "model.system"), "base_st_seg + base_st_depth");
  EXPECT_EQ(value_of(xtasc, "loss.lambda_1"), "0.01");
}

TEST(Aggregate, ComparesMeansWhereNoSeedIsShared) {
  const TempFolder folder;
  write_seed(folder.path(), "base_st_seg", 1, 0.0);
  write_seed(folder.path(), "base_st_depth", 1, 0.0);
  write_seed(folder.path(), "xtasc", 2, 0.02);
  const Aggregated result = aggregated(folder.path());
  ASSERT_THAT(result.groups, SizeIs(2));
  EXPECT_FALSE(result.groups[1].delta_m);
  EXPECT_NEAR(result.groups[1].delta_m_of_means.value(), delta_of(0.02, 0.0), 1e-9);
}

TEST(Aggregate, KeepsApartWhateverDiffersBesideTheSeed) {
  const TempFolder folder;
  write_seed(folder.path(), "xtasc", 1, 0.0);
  write_seed(folder.path(), "xtasc", 2, 0.0, {"loss.lambda_1=0.1"});
  write_seed(folder.path(), "xtasc", 3, 0.0, {"train.learning_rate=1e-3"});
  write_seed(folder.path(), "xtasc", 4, 0.0, {"data.pack=elsewhere/scenes.h5"});
  write_run(folder.path(), {.name = "other_pack", .settings = {"run.seed=5"}, .pack_digest = "ff"});
  const Aggregated result = aggregated(folder.path());
  std::vector<std::vector<std::int64_t>> seeds;
  for (const SeedGroup& group : result.groups) {
    seeds.emplace_back();
    for (const SeedResult& seed : group.seeds) {
      seeds.back().push_back(seed.seed);
    }
  }
  EXPECT_THAT(seeds, ElementsAre(ElementsAre(1, 4), ElementsAre(2), ElementsAre(3), ElementsAre(5)))
      << "a pack that lies elsewhere is the same pack; another digest is not";
}

TEST(Aggregate, CountsASeedOnce) {
  const TempFolder folder;
  write_seed(folder.path() / "a", "xtasc", 1, 0.0);
  write_seed(folder.path() / "b", "xtasc", 1, 0.1);
  const Aggregated result = aggregated(folder.path());
  ASSERT_THAT(result.groups, SizeIs(1));
  EXPECT_THAT(result.groups[0].seeds, SizeIs(1));
  EXPECT_THAT(result.groups[0].notes, ElementsAre(HasSubstr("Seed 1 is there twice")));
  EXPECT_NEAR(result.groups[0].metrics.at("miou").mean, 0.3, 1e-12) << "the first folder counts";
}

TEST(Aggregate, SaysThatAHalfIsMissing) {
  const TempFolder folder;
  write_seed(folder.path(), "base_st_seg", 1, 0.0);
  const Aggregated result = aggregated(folder.path());
  ASSERT_THAT(result.groups, SizeIs(1));
  EXPECT_TRUE(result.groups[0].is_lone_part);
  EXPECT_THAT(result.groups[0].notes, ElementsAre(HasSubstr("no finished base_st_depth run")));
  EXPECT_FALSE(result.groups[0].metrics.contains("abs_err"));
}

TEST(Aggregate, PairsTheSeedsThatBothHave) {
  const TempFolder folder;
  for (const int seed : {1, 2, 4}) {
    write_seed(folder.path(), "xtasc", seed, 0.01 * seed);
  }
  for (const int seed : {2, 3, 4}) {
    write_seed(folder.path(), "base_mt", seed, 0.0);
  }
  const Aggregated result = aggregated(folder.path());
  ASSERT_THAT(result.groups, SizeIs(2));
  const SeedPairs pairs = paired_values(result.groups[1], result.groups[0], "miou");
  EXPECT_THAT(pairs.seeds, ElementsAre(2, 4));
  EXPECT_NEAR(pairs.a[1] - pairs.b[1], 0.04, 1e-12);
  EXPECT_THAT(paired_values(result.groups[1], result.groups[0], "delta_m").seeds, IsEmpty());
  EXPECT_THAT(paired_values(result.groups[1], result.groups[0], "none").seeds, IsEmpty());
}

TEST(ConfigValues, FindKeysByTheirFullOrShortName) {
  EXPECT_EQ(run::full_key("loss.lambda_1"), "loss.lambda_1");
  EXPECT_EQ(run::full_key("lambda_1"), "loss.lambda_1");
  EXPECT_EQ(run::full_key("encoder"), "model.encoder");
  const auto message = [](const std::string& key) {
    try {
      static_cast<void>(run::full_key(key));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ExitCode::usage);
      return std::string(error.what());
    }
    return std::string();
  };
  EXPECT_THAT(message("lamda_1"), HasSubstr("did you mean \"lambda_1\"?"));
  EXPECT_THAT(message("model.encodr"), HasSubstr("did you mean \"model.encoder\"?"));
  EXPECT_THAT(message("batch_size"), HasSubstr("give one of evaluate.batch_size, train.batch_size"));
  EXPECT_EQ(run::shown_value("\"uncertainty\""), "uncertainty");
  EXPECT_EQ(run::shown_value("0.5"), "0.5");
  EXPECT_EQ(run::shown_value("0.0"), "0");
}

}  // namespace

}  // namespace xtasc::report
