// Which GPU each rank takes, on made-up hosts.
#include <gmock/gmock.h>

#include "core/error.hpp"
#include "dist/gpu_assignment.hpp"

namespace xtasc {
namespace {

using dist::assign_gpus;
using dist::RankGpus;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

const std::vector<std::string> kFour = {"01", "02", "03", "04"};

Error error_of(const std::vector<RankGpus>& ranks) {
  try {
    static_cast<void>(assign_gpus(ranks));
  } catch (const Error& error) {
    return error;
  }
  return Error("nothing was thrown");
}

TEST(Gpus, RanksThatSeeTheSameTakeThemInOrder) {
  EXPECT_THAT(assign_gpus({{"a", kFour}, {"a", kFour}, {"b", kFour}, {"a", kFour}, {"b", kFour}}),
              ElementsAre(0, 1, 0, 2, 1));
}

TEST(Gpus, RanksThatSeeOneEachTakeIt) {
  EXPECT_THAT(assign_gpus({{"a", {"01"}}, {"a", {"02"}}, {"b", {"01"}}, {"b", {"02"}}}), ElementsAre(0, 0, 0, 0));
}

TEST(Gpus, MoreRanksThanGpusAreRefusedWithTheTable) {
  const Error error = error_of({{"a", {"01", "02"}}, {"a", {"01", "02"}}, {"a", {"01", "02"}}});
  EXPECT_EQ(error.code(), ExitCode::usage);
  EXPECT_THAT(error.what(), AllOf(HasSubstr("rank 2 finds no GPU left on a"), HasSubstr("one rank for each GPU")));
  EXPECT_THAT(error.details(),
              ElementsAre("rank 0 -> a -> cuda:0 (01) of 2 visible", "rank 1 -> a -> cuda:1 (02) of 2 visible",
                          "rank 2 -> a -> none left of 2 visible"));
}

TEST(Gpus, TwoRanksOnOneGpuAreRefused) {
  // Lists that overlap without being the same: CUDA_VISIBLE_DEVICES set by hand for one rank.
  const Error error = error_of({{"a", {"01", "02"}}, {"a", {"01"}}});
  EXPECT_THAT(error.what(), HasSubstr("ranks 0 and 1 would share GPU 01 of a"));
  EXPECT_THAT(error_of({{"a", {}}}).what(), HasSubstr("rank 0 finds no GPU"));
}

TEST(Gpus, SurviveTheTripAsText) {
  const RankGpus rank{"host-1.example", {"0000:41:00.0", "0000:42:00.0"}};
  const RankGpus back = RankGpus::from_text(rank.to_text());
  EXPECT_EQ(back.host, rank.host);
  EXPECT_EQ(back.bus_ids, rank.bus_ids);
  EXPECT_TRUE(RankGpus::from_text(RankGpus{"a", {}}.to_text()).bus_ids.empty());
}

}  // namespace
}  // namespace xtasc
