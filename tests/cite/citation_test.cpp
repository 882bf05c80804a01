#include "cite/citation.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "cite/references.hpp"
#include "config/methods.hpp"
#include "config/systems.hpp"
#include "core/error.hpp"
#include "report/field/field_tables.hpp"
#include "report/paper/paper_tables.hpp"

namespace xtasc::cite {

namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

/// All that a run may need an entry for.
std::set<std::string> all_subjects() {
  std::set<std::string> subjects = {"software xtasc", "software torch", "software mpi", "encoder resnet",
                                    "data scenes"};
  for (const config::Method& method : config::methods()) {
    subjects.insert(fmt::format("weighting {}", method.word));
  }
  for (const config::System& system : config::systems()) {
    subjects.insert(fmt::format("system {}", system.word));
  }
  for (const std::string_view optimizer : config::names<config::Optimizer>()) {
    subjects.insert(fmt::format("optimizer {}", optimizer));
  }
  for (const report::PublishedTable& table : report::published_tables()) {
    subjects.insert(fmt::format("data {}", table.data->dataset));
  }
  for (const report::FieldTable& table : report::field_tables()) {
    if (table.is_comparable) {
      subjects.insert(fmt::format("data {}", table.dataset));
    }
  }
  return subjects;
}

/// Lines of `text` that begin with `start`, without it.
std::vector<std::string> lines_of(const std::string& text, const std::string& start) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const std::string line = text.substr(at, end - at);
    if (line.starts_with(start)) {
      lines.push_back(line.substr(start.size()));
    }
    at = end + 1;
  }
  return lines;
}

run::Provenance provenance_on(const std::string& dataset, int world_size = 1) {
  run::Provenance provenance;
  provenance.version = "0.1.0";
  provenance.commit = "1a2b";
  provenance.pack_dataset = dataset;
  provenance.world_size = world_size;
  return provenance;
}

TEST(References, EachRowOfTheTablesHasAnEntryOrIsSaidToNeedNone) {
  for (const std::string& subject : all_subjects()) {
    EXPECT_TRUE(bibliography().knows(subject)) << "results/references.toml lacks it: " << subject;
  }
}

TEST(References, NameWhatThereIsAndAreWhole) {
  const std::set<std::string> subjects = all_subjects();
  std::set<std::string> keys;
  for (const Reference& reference : bibliography().references) {
    EXPECT_TRUE(keys.insert(reference.key).second) << reference.key << " is there twice";
    EXPECT_THAT(std::vector<std::string>({"article", "inproceedings", "misc"}), ::testing::Contains(reference.type));
    const char* venue = reference.type == "article" ? "journal" : reference.type == "misc" ? "arxiv" : "booktitle";
    EXPECT_TRUE(reference.fields.contains(venue)) << reference.key << " has no " << venue;
    EXPECT_TRUE(reference.key.find(std::to_string(reference.year)) != std::string::npos) << reference.key;
    for (const std::string& author : reference.authors) {
      EXPECT_THAT(author, HasSubstr(", ")) << reference.key;
    }
    for (const std::string& subject : reference.of) {
      EXPECT_TRUE(subjects.contains(subject)) << reference.key << " is of no row of a table: " << subject;
    }
  }
  for (const auto& [subject, reason] : bibliography().none) {
    EXPECT_TRUE(subjects.contains(subject)) << subject;
    EXPECT_THAT(bibliography().of(subject), IsEmpty()) << subject << " has an entry and needs none";
  }
}

TEST(Bibtex, HasEachEntryOnceInTheOrderOfUse) {
  const auto first = config::run_config_of({"model.system=mtan", "weighting.method=dwa"});
  const auto second =
      config::run_config_of({"model.system=xtasc", "weighting.method=pcgrad", "weighting.losses=uncertainty"});
  const run::Provenance nyuv2 = provenance_on("nyuv2"), own = provenance_on("mine", 2);
  const std::vector<CitedRun> runs = {{"a", &first, &nyuv2}, {"b", &second, &own}};
  const std::string text = bibtex(runs);
  EXPECT_THAT(lines_of(text, "@misc{"), ElementsAre("xtasc,"));
  EXPECT_THAT(lines_of(text, "@article{"), ElementsAre("nakano2021,", "badrinarayanan2017,"));
  EXPECT_THAT(lines_of(text, "@inproceedings{"), ElementsAre("liu2019,", "silberman2012,", "kingma2015,", "paszke2019,",
                                                             "he2016,", "yu2020,", "kendall2018,", "gabriel2004,"));
  EXPECT_THAT(text, HasSubstr("\n% system mtan: a; weighting dwa: a\n@inproceedings{liu2019,\n"));
  EXPECT_THAT(text, HasSubstr("% this software: all 2 runs\n"));
  EXPECT_THAT(text, HasSubstr("  author        = {Kendall, Alex and Gal, Yarin and Cipolla, Roberto},\n"));
  EXPECT_THAT(text, HasSubstr("% data mine: b: no entry is known for it\n"));
  EXPECT_EQ(std::ranges::count(text, '{'), std::ranges::count(text, '}'));
}

TEST(Bibtex, TellsRevisionsApart) {
  const auto config = config::run_config_of({"model.system=base_st_seg"});
  const run::Provenance before = provenance_on("scenes");
  run::Provenance after = before;
  after.diff_hash = "3c4d";
  const std::vector<CitedRun> runs = {{"a", &config, &before}, {"b", &config, &after}};
  const std::string text = bibtex(runs);
  EXPECT_THAT(lines_of(text, "@misc{"), ElementsAre("xtasc,", "xtasc-2,"));
  EXPECT_THAT(text, HasSubstr("Version 0.1.0, git revision 1a2b, with uncommitted changes (SHA-1 of them 3c4d)"));
  EXPECT_THAT(text, Not(HasSubstr("weighting")));  // of a single task nothing is weighed
  EXPECT_THAT(text, Not(HasSubstr("no entry")));   // scenes need none
}

TEST(CitationFile, ListsTheRunsRevisionAndWork) {
  const auto config = config::run_config_of({"model.system=kd4mtl", "weighting.method=uw_so", "train.optimizer=adamw",
                                             "distillation.teacher_seg=s", "distillation.teacher_depth=d"});
  const std::string text = citation_cff(config, provenance_on("cityscapes"));
  EXPECT_THAT(lines_of(text, "commit: "), ElementsAre("\"1a2b\""));
  EXPECT_THAT(lines_of(text, "    title: "),
              ElementsAre(HasSubstr("Cross-Task Consistency"), HasSubstr("SegNet"), HasSubstr("with Attention"),
                          HasSubstr("Knowledge Distillation"), HasSubstr("Analytical Uncertainty"),
                          HasSubstr("Cityscapes"), HasSubstr("Decoupled"), HasSubstr("PyTorch")));
  EXPECT_THAT(text, HasSubstr("      - family-names: \"K\u00f6hler\"\n        given-names: \"Jan M.\"\n"));
}

}  // namespace

}  // namespace xtasc::cite
