// A sweep's runs and the files that they are trained on: same bytes elsewhere, repacked, edited, not here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "pack/digest.hpp"
#include "pack/pack_fixture.hpp"
#include "report/results_fixture.hpp"
#include "run/pack_now.hpp"
#include "run/run_id.hpp"
#include "sweep/collect.hpp"
#include "sweep/cost.hpp"
#include "sweep/folder.hpp"
#include "sweep/inputs.hpp"
#include "sweep/other_runs.hpp"
#include "sweep/select.hpp"
#include "sweep/state.hpp"
#include "sweep/sweep.hpp"

namespace xtasc::sweep {
namespace {

namespace fs = std::filesystem;
using test::error_of;
using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

/// A pack with other contents than write_small_pack's.
void repack(const fs::path& path) {
  pack::Writer writer(path, test::small_schema(), /*overwrite=*/true);
  for (std::uint32_t i = 7; i < 10; ++i) {
    writer.append(i < 9 ? pack::Split::train : pack::Split::val, test::SmallSample(i).view());
  }
  static_cast<void>(writer.finish());
}

class FilesOfRuns : public testing::Test {
 protected:
  void SetUp() override {
    digest_ = test::write_small_pack(pack()).content_digest;
    std::ofstream(folder_ / "base.toml") << "[model]\nencoder = \"resnet18\"\n[train]\nepochs = 3\n";
    std::ofstream(folder_ / "trial.toml") << fmt::format(
        "base = \"base.toml\"\nseeds = [1, 2]\n[set]\nrun.output = \"{}\"\n"
        "[[point]]\nname = \"XTasC-Net\"\nmodel.system = \"xtasc\"\n",
        (folder_ / "runs").string());
  }

  [[nodiscard]] fs::path pack() const { return folder_ / "d.h5"; }
  [[nodiscard]] Sweep read(const std::vector<std::string>& more = {}) const {
    std::vector<std::string> assignments = {"data.pack=" + pack().string()};
    assignments.insert(assignments.end(), more.begin(), more.end());
    return read_sweep(folder_ / "trial.toml", assignments);
  }
  [[nodiscard]] static std::vector<std::string> ids(const Sweep& sweep) {
    std::vector<std::string> found;
    std::ranges::transform(sweep.runs, std::back_inserter(found), &PlannedRun::id);
    return found;
  }

  /// A finished run as the trainer leaves it; its pack as it is now.
  void finish(const Sweep& sweep, const PlannedRun& run, const std::string& name = {}) const {
    test::SyntheticRun made{
        .name = name.empty() ? run.id : name, .settings = run.assignments, .pack_digest = run.config.data.pack_digest};
    const run::RunFolder files = test::write_run(sweep.folder, made);
    run::Provenance provenance = run::read_provenance(files.provenance());
    std::error_code ignored;
    if (fs::exists(run.config.data.pack, ignored)) {
      const run::FileStamp stamp = run::stamp_of(run.config.data.pack);
      provenance.pack_bytes = stamp.bytes;
      provenance.pack_modified = stamp.modified;
      run::write_provenance(files.provenance(), provenance);
    }
  }

  /// The same, by a version that knew files by their paths. \returns the folder's name
  std::string finish_before(const Sweep& sweep, const PlannedRun& run) const {
    PlannedRun before = run;
    std::erase_if(before.assignments,
                  [](const std::string& text) { return text.find("_digest=") != std::string::npos; });
    config::RunConfig config = run.config;
    config.data.pack_digest.clear();
    config.model.encoder_weights_digest.clear();
    const std::string name = run::first_run_id(config);
    finish(sweep, before, name);
    return name;
  }

  test::TempFolder folder_;
  std::string digest_;
};

TEST_F(FilesOfRuns, TheSameBytesElsewhereAreTheSameRunsAndARepackedFileIsNot) {
  const Sweep here = read();
  for (const PlannedRun& run : here.runs) {
    EXPECT_EQ(run.config.data.pack_digest, digest_);
    EXPECT_EQ(run.id, run::run_id(run.config));
    EXPECT_EQ(config::to_toml(config::read_run_config(here.base, run.assignments), false),
              config::to_toml(run.config, false));
  }
  fs::create_directories(folder_ / "scratch.1002");
  fs::copy_file(pack(), folder_ / "scratch.1002/d.h5");
  EXPECT_EQ(ids(read({"data.pack=" + (folder_ / "scratch.1002/d.h5").string()})), ids(here));
  EXPECT_EQ(ids(read({"data.pack=" + (folder_ / "./scratch.1002/../d.h5").string()})), ids(here));
  repack(pack());
  EXPECT_NE(ids(read()), ids(here));
}

TEST_F(FilesOfRuns, WeightsAreKnownByTheirBytes) {
  std::ofstream(folder_ / "a.pth") << "some weights";
  std::ofstream(folder_ / "b.pth") << "some weights";
  std::ofstream(folder_ / "c.pth") << "other weights";
  const auto with = [&](const std::string& name) {
    return ids(read({"model.encoder_weights=" + (folder_ / name).string()}));
  };
  EXPECT_EQ(with("a.pth"), with("b.pth"));
  EXPECT_NE(with("a.pth"), with("c.pth"));
  EXPECT_NE(with("a.pth"), ids(read()));
  const Sweep absent = read({"model.encoder_weights=no/such.pth"});
  EXPECT_EQ(absent.runs[0].lacks, "model.encoder_weights");
  EXPECT_THAT(error_of([&] { require_ids(absent, select(absent, {}), "nothing was submitted"); }),
              HasSubstr("set model.encoder_weights_digest, which `xxhsum -H2 no/such.pth` prints"));
}

TEST_F(FilesOfRuns, WithoutTheFileARunHasNoIdUnlessAKeyNamesWhatItHolds) {
  const Sweep here = read();
  fs::remove(pack());
  const Sweep absent = read();
  EXPECT_THAT(ids(absent), testing::Each(StartsWith("xtasc_resnet18-?")));
  EXPECT_NE(absent.runs[0].id, absent.runs[1].id);
  const RunStatus status = status_of({absent.folder}, absent.runs[0]);
  EXPECT_EQ(status.state, State::waiting);
  EXPECT_EQ(status.detail, "data.pack is not known here");
  EXPECT_EQ(
      error_of([&] { require_ids(absent, select(absent, {}), "nothing was submitted"); }),
      fmt::format("{}: data.pack {} is not on this machine, and a run's folder is named by what it holds: make it "
                  "reachable here, or set data.pack_digest, which `xtasc-preprocess info {}` prints where it is, "
                  "in [set] or by --set; nothing was submitted",
                  absent.file.string(), pack().string(), pack().string()));
  EXPECT_THAT(check_inputs(select(absent, {})).absent, ElementsAre(StartsWith("data.pack: there is no file")));

  const Sweep pinned = read({"data.pack_digest=" + digest_});
  EXPECT_EQ(ids(pinned), ids(here));
  EXPECT_NO_THROW(require_ids(pinned, select(pinned, {}), "nothing was submitted"));
}

TEST_F(FilesOfRuns, RunsOfTheFolderSayWhatAFileHeldThatIsGone) {
  const Sweep here = read();
  prepare_sweep_folder({here.folder});
  freeze_config({here.folder}, here.runs[0]);
  fs::remove(pack());
  EXPECT_EQ(ids(read()), ids(here));
  fs::remove_all(here.folder / ".sweep/configs");
  EXPECT_NE(ids(read()), ids(here));
  finish_before(here, here.runs[0]);  // whose provenance has the digest
  const Sweep known = read();
  EXPECT_EQ(ids(known), ids(here));
  EXPECT_EQ(status_of({known.folder}, known.runs[0]).state, State::done);
  test::SyntheticRun other{.name = "by_hand", .settings = here.runs[0].assignments};
  other.settings.push_back("data.pack_digest=" + other.pack_digest);
  test::write_run(here.folder, other);
  EXPECT_NE(ids(read()), ids(here)) << "two packs were at that path: which one is meant?";
  const Sweep several = read();
  EXPECT_THAT(reasons_without_id(select(several, {})),
              ElementsAre(EndsWith(fmt::format(" (runs here had {} and {})", std::min(digest_, other.pack_digest),
                                               std::max(digest_, other.pack_digest)))));
}

TEST_F(FilesOfRuns, AFileThatIsNotWhatAKeySaysIsRefused) {
  const Sweep pinned = read({"data.pack_digest=00112233445566778899aabbccddeeff"});
  EXPECT_THAT(check_inputs(select(pinned, {})).wrong,
              ElementsAre(AllOf(HasSubstr("d.h5 has the content digest " + digest_),
                                HasSubstr("data.pack_digest = \"00112233445566778899aabbccddeeff\" is wanted"))));
  EXPECT_THAT(check_inputs(select(read({"data.pack_digest=" + digest_}), {})).wrong, IsEmpty());
  std::ofstream(folder_ / "w.pth") << "weights";
  const Sweep weights = read({"model.encoder_weights=" + (folder_ / "w.pth").string(),
                              "model.encoder_weights_digest=00112233445566778899aabbccddeeff"});
  EXPECT_THAT(check_inputs(select(weights, {})).wrong, ElementsAre(HasSubstr("w.pth has the content digest ")));
}

TEST_F(FilesOfRuns, RunsOnAnotherPackAreNamed) {
  const Sweep before = read();
  finish(before, before.runs[0]);
  finish(before, before.runs[1]);
  EXPECT_EQ(other_packs_text(read()), "");
  repack(pack());
  const Sweep after = read();
  EXPECT_EQ(status_of({after.folder}, after.runs[0]).state, State::waiting);
  EXPECT_EQ(other_packs_text(after),
            fmt::format("2 runs here were trained on another pack, of digest {}; this sweep is of {}: other runs, left "
                        "as they are",
                        digest_, after.runs[0].config.data.pack_digest));
  // Tables show them under their own digest, and say that the file is another by now.
  EXPECT_THAT(run::pack_warnings(run::load_runs(std::vector<fs::path>{after.folder}).runs),
              ElementsAre(fmt::format("data.pack {} holds another pack by now (digest {}): 2 runs were trained on {}",
                                      pack().string(), after.runs[0].config.data.pack_digest, digest_)));
}

TEST_F(FilesOfRuns, ARunOfAVersionThatKnewFilesByPathIsDone) {
  const Sweep sweep = read();
  const std::string name = finish_before(sweep, sweep.runs[0]);
  const Sweep again = read();
  const RunStatus status = status_of({again.folder}, again.runs[0]);
  EXPECT_EQ(status.state, State::done);
  EXPECT_EQ(status.detail, "as " + name);
  EXPECT_EQ(status_of({again.folder}, again.runs[1]).state, State::waiting);
  const std::vector<report::Protocol> paper = {report::Protocol::paper};
  finish(again, again.runs[1]);
  const Collected collected = collect(again, statuses(again), paper, report::Checkpoint::best);
  EXPECT_EQ(collected.num_done, 2U);
  ASSERT_THAT(collected.sheets, SizeIs(1));
  EXPECT_THAT(collected.sheets[0].rows, SizeIs(1)) << "seeds of both versions make one row";
  // What it cost counts for the run that it is, and for its other seeds.
  EXPECT_EQ(CostModel(again.folder.parent_path(), 0.0).cost_of(again, again.runs[0]).source, CostSource::measured);
  // On another pack it is another run.
  repack(pack());
  EXPECT_EQ(status_of({again.folder}, read().runs[0]).state, State::waiting);
  EXPECT_THAT(other_packs_text(read()), StartsWith("2 runs here were trained on another pack"));
}

TEST_F(FilesOfRuns, AFolderThatWasRenamedOrCopiedIsNotDone) {
  const Sweep sweep = read();
  finish(sweep, sweep.runs[0]);
  fs::copy(sweep.folder / sweep.runs[0].id, sweep.folder / sweep.runs[1].id, fs::copy_options::recursive);
  const RunStatus copied = status_of({sweep.folder}, sweep.runs[1]);
  EXPECT_EQ(copied.state, State::failed);
  EXPECT_THAT(copied.detail,
              AllOf(StartsWith("DONE, but "), HasSubstr("is not the config that this run was made with")));
  const fs::path provenance = sweep.folder / sweep.runs[0].id / "provenance.json";
  run::Provenance other = run::read_provenance(provenance);
  other.pack_digest = "ff";
  run::write_provenance(provenance, other);
  EXPECT_EQ(
      status_of({sweep.folder}, sweep.runs[0]).detail,
      fmt::format("DONE, but trained on a pack of digest ff, not {}: somebody renamed or copied {}; move it away to "
                  "train this run",
                  digest_, (sweep.folder / sweep.runs[0].id).string()));
  EXPECT_EQ(clear_failures(sweep, {}, {}), 0) << "it would not be this run after that";
  EXPECT_THAT(run::load_runs(std::vector<fs::path>{sweep.folder / sweep.runs[0].id}).left_out, SizeIs(1));
}

TEST_F(FilesOfRuns, APackThatWasEditedInPlaceIsTold) {
  const Sweep sweep = read();
  finish(sweep, sweep.runs[0]);
  EXPECT_THAT(edited_packs(sweep), IsEmpty());
  const auto warnings = [&] { return run::pack_warnings(run::load_runs(std::vector<fs::path>{sweep.folder}).runs); };
  EXPECT_THAT(warnings(), IsEmpty());
  fs::last_write_time(pack(), fs::last_write_time(pack()) + std::chrono::seconds(5));
  EXPECT_THAT(edited_packs(sweep), IsEmpty()) << "touched, but not changed";
  test::edit_in_place(pack());
  fs::last_write_time(pack(), fs::last_write_time(pack()) + std::chrono::seconds(9));
  EXPECT_EQ(ids(read()), ids(sweep)) << "the header is as it was";
  const std::string told = fmt::format(
      "data.pack {} was edited after it was packed: its header says {}, its contents are {}; 1 run was "
      "trained on {}",
      pack().string(), digest_, pack::content_digest(pack()), digest_);
  EXPECT_EQ(edited_packs(sweep).at(pack().string()), told);
  EXPECT_THAT(warnings(), ElementsAre(told));
  // A run that was moved to another copy of the pack says how that one was, not how this one is.
  const fs::path file = sweep.folder / sweep.runs[0].id / "provenance.json";
  run::Provenance moved = run::read_provenance(file);
  moved.starts.push_back(run::start_of(moved));
  moved.starts.back().pack_path = "/scratch/d.h5";
  run::write_provenance(file, moved);
  EXPECT_THAT(edited_packs(sweep), IsEmpty());
  EXPECT_THAT(edited_packs(read({"run.output=" + (folder_ / "elsewhere").string()})), IsEmpty())
      << "where no run says how the file was, nobody has a reason to read it";
}

TEST_F(FilesOfRuns, ASweepReachedThroughALinkIsTheSameSweep) {
  fs::create_directories(folder_ / "disk/trial");
  fs::create_directories(folder_ / "runs");
  fs::create_directory_symlink(folder_ / "disk/trial", folder_ / "runs/trial");
  fs::copy_file(folder_ / "trial.toml", folder_ / "other.toml");
  const Sweep other = read_sweep(folder_ / "other.toml", {"data.pack=" + pack().string()});
  finish(other, other.runs[0]);
  const Sweep sweep = read();
  ASSERT_THAT(link_finished_runs(sweep), SizeIs(1));
  const RunStatus status = status_of({sweep.folder}, sweep.runs[0]);
  EXPECT_EQ(status.state, State::done);
  EXPECT_EQ(status.detail, "in other");
  EXPECT_TRUE(fs::exists(sweep.folder / sweep.runs[0].id / "DONE"));
  // Both sweeps in one table: the run counts once.
  EXPECT_THAT(run::load_runs(std::vector<fs::path>{sweep.folder / sweep.runs[0].id, folder_ / "runs/other/",
                                                   other.folder / other.runs[0].id / "."})
                  .runs,
              SizeIs(1));
}

TEST(Strangers, AreRunsInTheQueueThatTheSweepHasNoMore) {
  Sweep sweep;
  sweep.runs.push_back({.config = {}, .id = "a-00000001", .row = "a", .axes = {}, .assignments = {}});
  const Queue queue = {{"a-00000001", {.kind = QueueState::Kind::queued, .job = "3_0", .text = {}}},
                       {"a-00000002", {.kind = QueueState::Kind::running, .job = "2_0", .text = {}}},
                       {"a-00000003", {.kind = QueueState::Kind::ended, .job = "2_1", .text = {}}}};
  EXPECT_THAT(strangers_text(sweep, queue), AllOf(StartsWith("1 run in the queue is none of this sweep as it is now"),
                                                  EndsWith("a-00000002 (job 2_0)")));
  EXPECT_EQ(strangers_text(sweep, {}), "");
}

}  // namespace
}  // namespace xtasc::sweep
