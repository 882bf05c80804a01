// Which GPU each rank takes, on made-up hosts, and why there is none.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <map>

#include "core/error.hpp"
#include "dist/gpu_assignment.hpp"
#include "dist/nccl/nccl_environment.hpp"
#include "dist/numa.hpp"
#include "gpu/presence.hpp"

namespace xtasc {
namespace {

namespace fs = std::filesystem;
using dist::assign_gpus;
using dist::GpuSharing;
using dist::RankGpus;
using dist::VisibleGpu;
using testing::AllOf;
using testing::ElementsAre;
using testing::Eq;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Optional;

const std::vector<VisibleGpu> kFour = {{"01"}, {"02"}, {"03"}, {"04"}};

/// A rank on the host whose first rank is `leader`.
RankGpus rank_on(int leader, std::vector<VisibleGpu> gpus, std::string host = "") {
  return {host.empty() ? fmt::format("host-{}", leader) : std::move(host), leader, std::move(gpus)};
}

/// A rank near to the GPUs whose place in the word has an 'n'.
RankGpus near_to(const std::string& word) {
  RankGpus rank = rank_on(0, {});
  for (std::size_t i = 0; i < word.size(); ++i) {
    rank.gpus.push_back({fmt::format("0{}", i), word[i] == 'n'});
  }
  return rank;
}

Error error_of(const std::vector<RankGpus>& ranks) {
  try {
    static_cast<void>(assign_gpus(ranks));
  } catch (const Error& error) {
    return error;
  }
  return Error("nothing was thrown");
}

TEST(Gpus, RanksThatSeeTheSameTakeThemInOrder) {
  EXPECT_THAT(
      assign_gpus({rank_on(0, kFour), rank_on(0, kFour), rank_on(2, kFour), rank_on(0, kFour), rank_on(2, kFour)}),
      ElementsAre(0, 1, 0, 2, 1));
}

TEST(Gpus, RanksThatSeeOneEachTakeIt) {
  EXPECT_THAT(assign_gpus({rank_on(0, {{"01"}}), rank_on(0, {{"02"}}), rank_on(2, {{"01"}}), rank_on(2, {{"02"}})}),
              ElementsAre(0, 0, 0, 0));
}

TEST(Gpus, HostsOfOneNameAreTwo) {
  EXPECT_THAT(assign_gpus({rank_on(0, {{"01"}}, "node"), rank_on(1, {{"01"}}, "node")}), ElementsAre(0, 0));
  EXPECT_THAT(error_of({rank_on(0, {{"01"}}, "a"), rank_on(0, {{"01"}}, "b")}).what(), HasSubstr("rank 1 finds no"));
}

TEST(Gpus, MoreRanksThanGpusAreRefusedWithTheTable) {
  const std::vector<VisibleGpu> two = {{"01"}, {"02"}};
  const Error error = error_of({rank_on(0, two, "a"), rank_on(0, two, "a"), rank_on(0, two, "a")});
  EXPECT_EQ(error.code(), ExitCode::usage);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("rank 2 finds no GPU left on a"), HasSubstr("one rank for each GPU")));
  EXPECT_THAT(error.details(),
              ElementsAre("rank 0 -> a -> cuda:0 (01) of 2 visible", "rank 1 -> a -> cuda:1 (02) of 2 visible",
                          "rank 2 -> a -> none left of 2 visible"));
}

TEST(Gpus, TwoRanksOnOneGpuAreRefused) {
  // Lists that overlap without being the same: CUDA_VISIBLE_DEVICES set by hand for one rank.
  const Error error = error_of({rank_on(0, {{"01"}, {"02"}}, "a"), rank_on(0, {{"01"}}, "a")});
  EXPECT_THAT(error.what(), HasSubstr("ranks 0 and 1 would share GPU 01 of a"));
  EXPECT_THAT(error_of({rank_on(0, {})}).what(), HasSubstr("rank 0 finds no GPU"));
}

TEST(Gpus, RanksShareWhereTheyMay) {
  const std::vector<VisibleGpu> one = {{"01"}};
  const std::vector<VisibleGpu> two = {{"01"}, {"02"}};
  EXPECT_THAT(assign_gpus({rank_on(0, one), rank_on(0, one)}, GpuSharing::allowed), ElementsAre(0, 0));
  EXPECT_THAT(assign_gpus({rank_on(0, two), rank_on(0, one)}, GpuSharing::allowed), ElementsAre(0, 0));
  const std::vector<int> three = assign_gpus({rank_on(0, two), rank_on(0, two), rank_on(0, two)}, GpuSharing::allowed);
  EXPECT_THAT(three, testing::UnorderedElementsAre(0, 0, 1)) << "no GPU gets three";
  EXPECT_THAT(assign_gpus({rank_on(0, kFour), rank_on(0, kFour)}, GpuSharing::allowed), ElementsAre(0, 1))
      << "as long as there is one for each, nobody shares";
  EXPECT_THROW(static_cast<void>(assign_gpus({rank_on(0, {})}, GpuSharing::allowed)), Error);
}

TEST(Gpus, EachRankTakesOneNearToItsCores) {
  // Two sockets of four GPUs; mpirun and srun put ranks on sockets in turns.
  const RankGpus left = near_to("nnnnffff");
  const RankGpus right = near_to("ffffnnnn");
  EXPECT_THAT(assign_gpus({left, right, left, right, left, right, left, right}), ElementsAre(0, 4, 1, 5, 2, 6, 3, 7));
  EXPECT_THAT(assign_gpus({right, left}), ElementsAre(4, 0));
}

TEST(Gpus, WhoIsNearToFewChoosesFirst) {
  EXPECT_THAT(assign_gpus({near_to("nnnn"), near_to("nfff"), near_to("ffnn")}), ElementsAre(1, 0, 2));
}

TEST(Gpus, MoreRanksOnASocketThanItHasGpusTakeFarOnes) {
  EXPECT_THAT(assign_gpus({near_to("nf"), near_to("nf")}), ElementsAre(0, 1));
  EXPECT_THAT(assign_gpus({near_to("fff"), near_to("fff")}), ElementsAre(0, 1)) << "near to none: in order";
}

TEST(Gpus, SurviveTheTripAsText) {
  const RankGpus rank{"host-1.example", 12, {{"0000:41:00.0", true}, {"0000:42:00.0", false}}};
  const RankGpus back = RankGpus::from_text(rank.to_text());
  EXPECT_EQ(back.host, rank.host);
  EXPECT_EQ(back.host_leader, 12);
  ASSERT_EQ(back.gpus.size(), 2U);
  EXPECT_EQ(back.gpus[0].bus_id, "0000:41:00.0");
  EXPECT_TRUE(back.gpus[0].is_near);
  EXPECT_EQ(back.gpus[1].bus_id, "0000:42:00.0");
  EXPECT_FALSE(back.gpus[1].is_near);
  EXPECT_TRUE(RankGpus::from_text(rank_on(0, {}).to_text()).gpus.empty());
}

/// A folder that stands for / or /sys.
class MadeUpMachine : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(root);
    fs::create_directories(root);
  }
  void TearDown() override { fs::remove_all(root); }
  void write(const std::string& path, const std::string& text) const {
    fs::create_directories((root / path).parent_path());
    std::ofstream(root / path) << text << '\n';
  }
  gpu::Presence presence(gpu::Answer answer, const std::map<std::string, std::string>& variables) const {
    gpu::Presence found;
    found.answer = answer;
    found.cuda_words = "system not yet initialized";
    found.runtime_cuda = 13000;
    gpu::look_for_signs(found, root, [&](const char* name) -> const char* {
      const auto value = variables.find(name);
      return value == variables.end() ? nullptr : value->second.c_str();
    });
    return found;
  }

  const fs::path root = fs::temp_directory_path() / fmt::format("xtasc_gpus_test_{}", ::getpid());
};

TEST_F(MadeUpMachine, TellsWhichCoresAreNear) {
  EXPECT_THAT(dist::cores_of_list("0-2,8,10-11"), ElementsAre(0, 1, 2, 8, 10, 11));
  EXPECT_THAT(dist::cores_of_list(""), IsEmpty());
  write("bus/pci/devices/0000:af:00.0/local_cpulist", "0-15,32-47");
  EXPECT_TRUE(dist::is_near("0000:AF:00.0", {15, 16}, root));
  EXPECT_FALSE(dist::is_near("0000:AF:00.0", {16, 31}, root));
  EXPECT_TRUE(dist::is_near("0000:00:00.0", {16}, root)) << "nobody knows";
  EXPECT_TRUE(dist::is_near("0000:AF:00.0", {}, root));
  EXPECT_FALSE(dist::own_cores().empty());
}

TEST_F(MadeUpMachine, WithATooOldDriverIsAFaultWithTheVersions) {
  write("dev/nvidia0", "");
  write("proc/driver/nvidia/version",
        "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 01:15:15 UTC 2023");
  gpu::Presence old = presence(gpu::Answer::driver_too_old, {});
  old.driver_cuda = 12020;
  EXPECT_TRUE(gpu::is_a_fault(old));
  EXPECT_THAT(gpu::why_no_gpu(old), AllOf(HasSubstr("driver 535.104.05 is too old"), HasSubstr("up to 12.2"),
                                          HasSubstr("built for CUDA 13.0"), HasSubstr("580 or newer")));
}

TEST_F(MadeUpMachine, ThatPromisesAGpuMustHaveOne) {
  for (const char* name : {"SLURM_JOB_GPUS", "SLURM_GPUS_ON_NODE", "CUDA_VISIBLE_DEVICES"}) {
    for (const gpu::Answer answer : {gpu::Answer::none, gpu::Answer::driver_too_old, gpu::Answer::failure}) {
      EXPECT_TRUE(gpu::is_a_fault(presence(answer, {{name, "3"}}))) << name;
    }
  }
  EXPECT_THAT(gpu::why_no_gpu(presence(gpu::Answer::none, {{"SLURM_JOB_GPUS", "0"}})),
              HasSubstr("although SLURM_JOB_GPUS=0"));
  EXPECT_FALSE(gpu::is_a_fault(presence(gpu::Answer::none, {{"SLURM_GPUS_ON_NODE", "0"}}))) << "none were asked for";
}

TEST_F(MadeUpMachine, WithADeviceFileMayBelongToOthers) {
  write("dev/nvidia0", "");
  const gpu::Presence others = presence(gpu::Answer::none, {});
  EXPECT_FALSE(gpu::is_a_fault(others)) << "a job without GPUs on a node with some";
  EXPECT_THAT(gpu::note_on_cpu(others), Optional(HasSubstr("CUDA sees no GPU")));
  const gpu::Presence broken = presence(gpu::Answer::failure, {});
  EXPECT_TRUE(gpu::is_a_fault(broken)) << "such as a fabric manager that is not running";
  EXPECT_THAT(gpu::why_no_gpu(broken), HasSubstr("system not yet initialized"));
}

TEST_F(MadeUpMachine, WithHiddenGpusComputesOnTheCpu) {
  write("dev/nvidia0", "");
  for (const char* list : {"", "-1"}) {
    const gpu::Presence hidden =
        presence(gpu::Answer::driver_too_old, {{"CUDA_VISIBLE_DEVICES", list}, {"SLURM_JOB_GPUS", "0"}});
    EXPECT_FALSE(gpu::is_a_fault(hidden));
    EXPECT_THAT(gpu::why_no_gpu(hidden), HasSubstr("CUDA_VISIBLE_DEVICES"));
  }
}

TEST_F(MadeUpMachine, WithoutAnythingSaysNothing) {
  const gpu::Presence bare = presence(gpu::Answer::driver_too_old, {});
  EXPECT_FALSE(gpu::is_a_fault(bare));
  EXPECT_THAT(gpu::note_on_cpu(bare), Eq(std::nullopt));
  EXPECT_THAT(gpu::why_no_gpu(bare), HasSubstr("no library here (libcuda.so.1)"));
}

TEST(NcclAlgorithms, OfADeterministicRunAreWithoutNvls) {
  EXPECT_EQ(dist::choose_algorithms(true, nullptr, nullptr).value, "^NVLS,NVLSTree");
  EXPECT_EQ(dist::choose_algorithms(false, nullptr, nullptr).value, "");
}

TEST(NcclAlgorithms, OfTheUserStay) {
  for (const char* good : {"Ring", "ring,tree", "^NVLS,NVLSTree", "^nvlstree,nvls", "NVLS;allreduce:ring"}) {
    const auto chosen = dist::choose_algorithms(true, good, nullptr);
    EXPECT_EQ(chosen.value, good);
    EXPECT_EQ(chosen.warning, "") << good;
  }
  for (const char* bad : {"NVLS", "ring,NVLSTree", "^ring", "^NVLS", "", "ring;allreduce:nvls", "broadcast:ring"}) {
    EXPECT_EQ(dist::choose_algorithms(true, bad, nullptr).value, bad);
    EXPECT_THAT(dist::choose_algorithms(true, bad, nullptr).warning, HasSubstr("same bits twice")) << bad;
    EXPECT_EQ(dist::choose_algorithms(true, bad, "0").warning, "") << "NVLS is off altogether";
    EXPECT_EQ(dist::choose_algorithms(false, bad, nullptr).warning, "") << "nothing was promised";
  }
}

TEST(NcclVersion, MustNotBeOlderThanTheHeader) {
  EXPECT_NO_THROW(dist::check_nccl_version(22809, 22809, ""));
  EXPECT_NO_THROW(dist::check_nccl_version(22809, 22803, "")) << "a patch";
  EXPECT_NO_THROW(dist::check_nccl_version(22809, 22901, "")) << "newer";
  try {
    dist::check_nccl_version(22809, 22105, "/usr/lib/libnccl.so.2");
    FAIL() << "nothing was thrown";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), AllOf(HasSubstr("NCCL 2.21.5 is loaded (/usr/lib/libnccl.so.2)"), HasSubstr("2.28.9")));
  }
}

TEST(NcclVariables, OfSharedGpusMakeRanksLookLikeHosts) {
  const auto here = dist::variables_of_shared_gpu("a-rank-0", true);
  EXPECT_THAT(here, testing::Contains(std::pair<std::string, std::string>("NCCL_HOSTID", "a-rank-0")));
  EXPECT_THAT(here, testing::Contains(std::pair<std::string, std::string>("NCCL_SOCKET_IFNAME", "lo")));
  EXPECT_EQ(dist::variables_of_shared_gpu("a-rank-0", false).size() + 1, here.size()) << "other hosts: no loopback";
}

}  // namespace
}  // namespace xtasc
