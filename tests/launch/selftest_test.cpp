// What a self-test makes of the findings of its ranks; no rank and no tensor is needed for it.
#include <gmock/gmock.h>

#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.hpp"
#include "launch/selftest/table.hpp"

namespace xtasc::launch {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

Row row_of(const std::vector<Finding>& by_rank) {
  return merged("group", "name", by_rank, 1.25);
}

TEST(Finding, ALimitIsReachedButNotPassed) {
  EXPECT_EQ(at_most(1e-5, 1e-5).outcome, Outcome::pass);
  EXPECT_EQ(at_most(0.0, 0.0).outcome, Outcome::pass);
  EXPECT_EQ(at_most(1.1e-5, 1e-5).outcome, Outcome::fail);
  EXPECT_EQ(at_most(std::numeric_limits<double>::infinity(), 1.0).outcome, Outcome::fail);
}

TEST(Finding, NanFails) {
  const Finding finding = at_most(std::nan(""), 1e-5, "loss seg");
  EXPECT_EQ(finding.outcome, Outcome::fail);
  EXPECT_THAT(finding.figure, HasSubstr("nan"));
  EXPECT_THAT(finding.reason, HasSubstr("loss seg"));
}

TEST(Finding, OnlyAFailureNamesTheTensor) {
  EXPECT_THAT(at_most(0.5, 1.0, "loss seg").reason, IsEmpty());
}

TEST(Finding, AnExceptionIsItsFirstLine) {
  EXPECT_EQ(failed("out of luck\nframe 0\nframe 1").reason, "out of luck");
}

TEST(Finding, SurvivesTheTripAsText) {
  for (const Finding& finding : {at_most(0.5, 1.0, "x"), at_most(std::nan(""), 1.0, "x"), skipped("no GPU"),
                                 failed("\"quoted\", \xff not UTF-8"), measured("1 GB/s")}) {
    const Finding back = finding_from(to_text(finding));
    EXPECT_EQ(back.outcome, finding.outcome);
    EXPECT_EQ(back.figure, finding.figure);
    EXPECT_EQ(back.bound, finding.bound);
  }
  EXPECT_THROW(static_cast<void>(finding_from("something else")), Error);
  EXPECT_THROW(static_cast<void>(finding_from("{\"outcome\": \"MAYBE\"}")), Error);
}

TEST(Merged, TheLargestValueOfAllRanksIsShown) {
  const Row row = row_of({at_most(1e-9, 1e-5), at_most(3e-6, 1e-5), at_most(2e-6, 1e-5)});
  EXPECT_EQ(row.finding.outcome, Outcome::pass);
  EXPECT_EQ(row.finding.value, 3e-6);
  EXPECT_THAT(row.failed_ranks, IsEmpty());
}

TEST(Merged, AFailOfOneRankIsAFailAndNamesIt) {
  const Row row = row_of({at_most(0.0, 1.0), skipped("no GPU"), failed("out of luck"), at_most(9.0, 1.0)});
  EXPECT_EQ(row.finding.outcome, Outcome::fail);
  EXPECT_THAT(row.failed_ranks, ElementsAre(2, 3));
  EXPECT_EQ(row.finding.reason, "ranks 2, 3: out of luck");
  EXPECT_THAT(row_line(row), AllOf(HasSubstr("FAIL"), HasSubstr("group: name"), HasSubstr("out of luck")));
}

Row row_in(const std::string& group, const Finding& finding) {
  return merged(group, "name", {finding}, 0.0);
}

TEST(CudaGraphAdvice, FollowsItsOwnChecksOnly) {
  const Row elsewhere = row_in("device", failed("out of luck"));
  const Row good = row_in(kCudaGraphGroup, measured("2 graphs")), bad = row_in(kCudaGraphGroup, failed("differs"));
  EXPECT_THAT(cuda_graph_advice({elsewhere, good, good}), HasSubstr("set train.cuda_graph = true"));
  EXPECT_THAT(cuda_graph_advice({good, bad}), HasSubstr("leave train.cuda_graph = false"));
  EXPECT_THAT(cuda_graph_advice({good, row_in(kCudaGraphGroup, skipped("device is cpu"))}), IsEmpty());
  EXPECT_THAT(cuda_graph_advice({elsewhere}), IsEmpty());
  EXPECT_THAT(cuda_graph_advice({}), IsEmpty());
}

TEST(Merged, ASkipOfOneRankIsNoPass) {
  EXPECT_EQ(row_of({measured("1"), skipped("no GPU")}).finding.outcome, Outcome::skip);
}

TEST(Merged, ManyFailedRanksAreCounted) {
  EXPECT_THAT(row_of(std::vector<Finding>(64, failed("no"))).finding.reason, HasSubstr("64 in all"));
}

TEST(Merged, ASingleRankNeedsNoName) {
  EXPECT_EQ(row_of({failed("out of luck")}).finding.reason, "out of luck");
}

TEST(Table, CountsAndJudges) {
  std::vector<Row> rows = {row_of({measured("1")}), row_of({skipped("no GPU")})};
  EXPECT_FALSE(any_failed(rows));
  rows.push_back(row_of({measured("1"), failed("no")}));
  EXPECT_TRUE(any_failed(rows));
  EXPECT_EQ(summary_line(rows), "3 checks: 1 passed, 1 skipped, 1 failed");
  const nlohmann::json json = to_json(rows);
  EXPECT_EQ(json.at("failed"), 1);
  EXPECT_EQ(json.at("checks").at(2).at("failed_ranks").dump(), "[1]");
  EXPECT_EQ(json.at("checks").at(1).at("outcome"), "SKIP");
}

}  // namespace
}  // namespace xtasc::launch
