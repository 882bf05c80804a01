// What Slurm's commands answer on real clusters, and what is made of it.
#include "sweep/slurm/slurm.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <algorithm>

#include "core/error.hpp"
#include "sweep/ledger_fixture.hpp"

namespace xtasc::sweep {

namespace {

namespace fs = std::filesystem;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;

std::string golden(const std::string& file) {
  return io::read_file(fs::path(XTASC_SOURCE_DIR) / "tests/golden" / file);
}

TEST(Queue, RecordedBySlurm2205) {
  const auto jobs = parse_queue(golden("squeue_22.05.json"));
  ASSERT_EQ(jobs.size(), 4U);
  EXPECT_EQ(jobs[0].token, "abc");
  EXPECT_EQ(jobs[0].array, 1);
  EXPECT_THAT(jobs[0].elements, ElementsAre(Pair(0, 0)));
  EXPECT_EQ(jobs[0].state, "PENDING");
  EXPECT_EQ(jobs[0].reason, "BeginTime");
  EXPECT_EQ(jobs[1].array, 2);
  EXPECT_EQ(jobs[1].state, "RUNNING");
  EXPECT_EQ(jobs[1].reason, "");
  EXPECT_EQ(jobs[1].nodes, "n[1-2]");
  EXPECT_THAT(jobs[2].elements, ElementsAre(Pair(1, 1)));
  EXPECT_THAT(jobs[3].elements, ElementsAre(Pair(2, 3)));
}

TEST(Queue, NumbersAsObjectsAndStatesAsListsOfLaterVersions) {
  const auto jobs = parse_queue(golden("squeue_24.05.json"));
  ASSERT_EQ(jobs.size(), 4U);
  EXPECT_EQ(jobs[0].state, "PENDING");
  EXPECT_EQ(jobs[1].state, "COMPLETING");
  EXPECT_EQ(jobs[1].array, 2);
  EXPECT_THAT(jobs[2].elements, ElementsAre(Pair(1, 1)));
  EXPECT_THAT(jobs[3].elements, ElementsAre(Pair(2, 3)));
}

TEST(Queue, WithoutAControllerAnEmptyListIsNoAnswer) {
  const std::string text = golden("squeue_22.05_no_controller.json");
  EXPECT_EQ(fault_in_queue(text), "Failed while looking for jobs");
  EXPECT_THROW(static_cast<void>(parse_queue(text)), Error);
  EXPECT_EQ(fault_in_queue("hello\n" + text + "bye\n"), "Failed while looking for jobs");
  EXPECT_EQ(fault_in_queue(golden("squeue_22.05.json")), "");
  EXPECT_EQ(fault_in_queue("no JSON"), "");
}

TEST(Queue, WhatIsNotOursIsLeftOut) {
  EXPECT_THAT(parse_queue(R"({"jobs": [{"job_id": 7, "comment": "mine", "job_state": "RUNNING"}, {"job_id": 8}]})"),
              IsEmpty());
}

TEST(Queue, LinesOfOthersAroundTheAnswerAreNone) {
  const auto jobs = parse_queue("squeue: warning: {harmless}\nWelcome\n" + golden("squeue_22.05.json") + "bye\n");
  EXPECT_EQ(jobs.size(), 4U);
}

TEST(Queue, BracesOfOthersAroundTheAnswerAreNoPartOfIt) {
  const std::string answer = golden("squeue_22.05.json");
  for (const char* banner : {"{harmless}\n", "{\n", "{}\n", "Kernel } of {n1}\n", "{\"maintenance\": \"today\"}\n"}) {
    EXPECT_EQ(parse_queue(banner + answer).size(), 4U) << banner;
    EXPECT_EQ(parse_queue(answer + banner).size(), 4U) << banner;
    EXPECT_EQ(parse_queue(banner + answer + banner).size(), 4U) << banner;
    EXPECT_EQ(fault_in_queue(banner + golden("squeue_22.05_no_controller.json") + banner),
              "Failed while looking for jobs");
  }
}

TEST(Queue, WhatIsPrintedInsteadOfTheAnswerIsShown) {
  try {
    static_cast<void>(parse_queue("{harmless}\n  the database is being moved {today}\n\n"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_STREQ(
        error.what(),
        "squeue --json ended well, but printed \"the database is being moved {today}\", which is not its JSON");
  }
}

TEST(Queue, WhatIsNoAnswerIsNotTakenForAnEmptyQueue) {
  for (const char* text : {"", "slurm_load_jobs error", "{}", "{\"jobs\": [", "}\n{", "{\"jobs\": null}"}) {
    EXPECT_THROW(static_cast<void>(parse_queue(text)), Error) << text;
  }
}

/// What squeue prints in the plain form: its heading, and a line a job.
std::string queue_text(const std::vector<std::string>& jobs) {
  return fmt::format("xtasc|ARRAY_JOB_ID|ARRAY_TASK_ID|STATE|REASON|NODELIST|COMMENT\n{}{}", fmt::join(jobs, "\n"),
                     jobs.empty() ? "" : "\n");
}

std::string error_of(const std::string& text) {
  try {
    static_cast<void>(parse_plain_queue(text));
  } catch (const Error& error) {
    return error.what();
  }
  return "read";
}

TEST(PlainQueue, RecordedBySlurm2205) {
  const auto jobs = parse_plain_queue(golden("squeue_22.05.txt"));
  ASSERT_EQ(jobs.size(), 9U);
  const auto of = [&](std::int64_t array, std::int64_t first) -> const SlurmJob& {
    return *std::ranges::find_if(
        jobs, [&](const SlurmJob& job) { return job.array == array && job.elements.front().first == first; });
  };
  EXPECT_EQ(of(1, 0).token, "abc");
  EXPECT_EQ(of(1, 0).state, "PENDING");
  EXPECT_EQ(of(1, 0).reason, "BeginTime");
  EXPECT_THAT(of(1, 0).elements, ElementsAre(Pair(0, 0)));
  EXPECT_EQ(of(2, 0).state, "RUNNING");
  EXPECT_EQ(of(2, 0).reason, "");
  EXPECT_EQ(of(2, 0).nodes, "n[1-2]");
  EXPECT_EQ(of(3, 0).state, "COMPLETED");
  EXPECT_EQ(of(3, 1).state, "CANCELLED");
  EXPECT_EQ(of(3, 3).nodes, "");
  EXPECT_EQ(of(4, 0).token, "abe") << "behind a sign of division in the comment";
  EXPECT_EQ(of(8, 0).state, "RUNNING");
  EXPECT_THAT(of(8, 1).elements, ElementsAre(Pair(1, 3)));
}

TEST(PlainQueue, LinesOfOthersAroundTheAnswerAreNone) {
  const auto jobs = parse_plain_queue("Kernel 6.1 on \\r (\\l)\n4711\n" +
                                      queue_text({"xtasc|7|1-2%1|PENDING|Priority||xtasc:abc", "CLUSTER: c2",
                                                  "xtasc|8|N/A|RUNNING|None|n1|a | b, xtasc:abd|c"}) +
                                      "INFO bye\r\n");
  ASSERT_EQ(jobs.size(), 2U);
  EXPECT_THAT(jobs[0].elements, ElementsAre(Pair(1, 2)));
  EXPECT_EQ(jobs[0].reason, "Priority");
  EXPECT_EQ(jobs[1].token, "abd");
  EXPECT_EQ(jobs[1].array, 8);
}

TEST(PlainQueue, WhatIsNoAnswerIsNotTakenForAnEmptyQueue) {
  EXPECT_THAT(parse_plain_queue(queue_text({})), IsEmpty());
  EXPECT_EQ(error_of(""), "squeue ended well, but printed nothing: is it Slurm's own?");
  EXPECT_EQ(error_of("{\"jobs\": []}\n"), "squeue ended well, but printed \"{\"jobs\": []}\": is it Slurm's own?");
  EXPECT_THAT(error_of("xtasc|7|N/A|RUNNING|None|n1|xtasc:abc\n"), HasSubstr("without the line that says what it is"));
  EXPECT_THAT(error_of(queue_text({"xtasc|7|N/A|RUNNING"})), HasSubstr("6 fields of a job are expected"));
  EXPECT_THAT(error_of(queue_text({"xtasc|seven|N/A|RUNNING|None|n1|xtasc:abc"})), HasSubstr("should be a job's id"));
}

TEST(PlainQueue, WhatIsNotOursIsLeftOut) {
  EXPECT_THAT(parse_plain_queue(queue_text({"xtasc|7|N/A|RUNNING|None|n1|mine", "xtasc|8|N/A|RUNNING|None|n1|(null)"})),
              IsEmpty());
}

TEST(JobId, IsTheLastLineThatIsOne) {
  EXPECT_EQ(job_id_of("4711\n"), "4711");
  EXPECT_EQ(job_id_of("4711;cluster2\n"), "4711");
  EXPECT_EQ(job_id_of("  \t4711\n"), "4711");
  EXPECT_EQ(job_id_of("Sun Jul  7 03:08:22 2019 [INFO4] kerberos context initialised\n132826\n"), "132826");
  EXPECT_EQ(job_id_of("16\r\n17 \nsbatch: your project has 12 hours left\n"), "17");
  for (const char* none :
       {"", "\n", "Submitted batch job 4711\n", "4711;\n", "4711;two words\n", "-1\n", "4711.0\n", "  \n"}) {
    EXPECT_EQ(job_id_of(none), std::nullopt) << none;
  }
}

TEST(Queue, ElementsThatWait) {
  EXPECT_THAT(parse_elements("0-3,7,12-15%4"), ElementsAre(Pair(0, 3), Pair(7, 7), Pair(12, 15)));
  EXPECT_THAT(parse_elements(""), IsEmpty());
  EXPECT_THROW(static_cast<void>(parse_elements("1,a")), Error);
  EXPECT_THROW(static_cast<void>(parse_elements("1-")), Error);
}

/// As jupyterhub/batchspawner#148 shows it: `sbatch --parsable` with a plugin's line in front.
TEST_F(Ledger, ABannerAroundTheJobsIdIsNoId) {
  program("sbatch", "echo 'Sun Jul  7 03:08:22 2019 [INFO4] auks_krb5_cred: initialised'\necho 132826");
  Submission made = submission({"a"});
  submit(made, Slurm(seconds(5)), -1);
  EXPECT_EQ(made.job, "132826");
  EXPECT_EQ(read_submissions(folder_).front().job, "132826");
}

TEST_F(Ledger, AnAnswerThatIsNotUnderstoodIsShownAndNothingIsSubmittedAgain) {
  const std::string calls = (root_ / "calls").string();
  program("sbatch", fmt::format("echo x >>{}\necho 'your request was taken'", calls));
  Submission made = submission({"a"});
  try {
    submit(made, Slurm(seconds(5)), -1);
    FAIL() << made.job;
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("sbatch ended with exit code 0 and printed \"your request was taken\""));
    EXPECT_THAT(error.what(), HasSubstr("the queue has no job with the comment xtasc:abc1"));
  }
  EXPECT_EQ(io::read_file(calls), "x\n");
  EXPECT_EQ(read_submissions(folder_).front().refused, "") << "it may still show";
  queue_has(R"({"job_id": 41, "comment": "xtasc:abc1", "job_state": "PENDING"})");
  submit(made, Slurm(seconds(5)), -1);
  EXPECT_EQ(made.job, "41") << "found by its token";
}

TEST_F(Ledger, AJobsIdBesideAFailureIsNotUnderstoodEither) {
  program("sbatch", "echo 17; echo 'sbatch: error: Socket timed out on send/recv operation' >&2; exit 1");
  const SubmitAnswer answer = Slurm(seconds(5)).submit("script", -1);
  EXPECT_EQ(answer.job, "");
  EXPECT_EQ(answer.puzzle, "sbatch ended with exit code 1 and printed \"17\"");
}

TEST_F(Ledger, ANamedPipeInPlaceOfTheWordOnARunsEndIsNone) {
  Submission made = submission({"a"});
  made.job = "41";
  write_submission(made, "");
  ASSERT_EQ(::mkfifo((made.folder / "ended/a").c_str(), 0600), 0);
  const Queue queue = queue_without_answer(folder_);
  ASSERT_TRUE(queue.contains("a"));
  EXPECT_EQ(queue.at("a").kind, QueueState::Kind::queued);
  EXPECT_EQ(queue.at("a").text, "Slurm was asked in vain");
}

TEST_F(Ledger, WhatAVersionBeforeTookForAJobsIdIsLookedUp) {
  Submission made = submission({"a"});
  made.job = "Sun Jul  7 03:08:22 2019 [INFO4] auks_krb5_cred: initialised";
  write_submission(made, "");
  queue_has(R"({"job_id": 41, "comment": "xtasc:abc1", "job_state": "RUNNING"})");
  auto submissions = read_submissions(folder_);
  EXPECT_EQ(submissions.front().job, "");
  static_cast<void>(find_lost_answers(submissions, Slurm(seconds(5))));
  EXPECT_EQ(submissions.front().job, "41");
}

TEST_F(Ledger, NeitherAUsersTasteNorTheJobAroundAShellGetsInTheWay) {
  const auto words = (root_ / "words").string();
  program("squeue", fmt::format("env >{}; echo '{{\"jobs\": []}}'", words));
  program("sbatch", fmt::format("env >{}; echo 18", words));
  for (const auto& [name, value] : {std::pair{"SQUEUE_PARTITION", "gpu"}, {"SQUEUE_STATES", "PD"}}) {
    ::setenv(name, value, 1);
  }
  static_cast<void>(Slurm(seconds(5)).queue());
  EXPECT_THAT(io::read_file(words), Not(HasSubstr("SQUEUE_")));
  EXPECT_THAT(io::read_file(words), HasSubstr("SLURM_BITSTR_LEN=0"));
  for (const auto& [name, value] : {std::pair{"SLURM_JOB_ID", "5"},
                                    {"SLURM_MEM_PER_NODE", "1"},
                                    {"SLURM_CPU_BIND", "x"},
                                    {"PMIX_RANK", "0"},
                                    {"SLURM_CONF", "/c"}}) {
    ::setenv(name, value, 1);
  }
  static_cast<void>(Slurm(seconds(5)).submit("script", -1));
  const std::string seen = io::read_file(words);
  EXPECT_THAT(seen, Not(testing::AnyOf(HasSubstr("SLURM_JOB_ID"), HasSubstr("SLURM_MEM"), HasSubstr("SLURM_CPU"),
                                       HasSubstr("PMIX_"))));
  EXPECT_THAT(seen, HasSubstr("SLURM_CONF=/c"));
  ::unsetenv("SLURM_CONF");
}

/// Of before 21.08, or built without JSON.
TEST_F(Ledger, ASqueueWithoutJsonIsAskedForItsPlainForm) {
  const std::string path = std::string(XTASC_SOURCE_DIR) + "/tests/golden/squeue_22.05.txt";
  for (const char* fault :
       {"squeue: unrecognized option --json",
        "squeue: error: Unable to find plugin: serializer/json\nsqueue: fatal: JSON plugin load failure"}) {
    program("squeue",
            fmt::format("case \"$*\" in *--json*) echo '{}' >&2; exit 1 ;; *'--format=xtasc|%F|%K|%T|%r|%N|%k'*) "
                        "cat '{}' ;; *) exit 9 ;; esac",
                        fault, path));
    EXPECT_EQ(Slurm(seconds(5)).queue().size(), 9U);
  }
}

TEST_F(Ledger, WhatSlurmsCommandsComplainOfIsPassedOn) {
  const auto fault = [](const auto& call) -> std::string {
    try {
      call();
    } catch (const Error& error) {
      return error.what();
    }
    return "went well";
  };
  program("squeue", "echo \"squeue: error: Invalid user: nobody\" >&2; exit 1");
  EXPECT_EQ(fault([] { static_cast<void>(Slurm(seconds(5)).queue()); }), "squeue: Invalid user: nobody");
  program("squeue", "echo \"squeue: unrecognized option '--json'\" >&2; exit 1");
  EXPECT_EQ(
      fault([] { static_cast<void>(Slurm(seconds(5)).queue()); }),
      "squeue: unrecognized option '--json': Slurm >= 21.08 with its JSON serializer is needed, or else a squeue that "
      "takes --format (squeue: unrecognized option '--json')");
  program("scontrol", "printf 'Configuration data\\nMaxJobCount = 1\\n'");
  EXPECT_THAT(fault([] { static_cast<void>(Slurm(seconds(5)).max_array_size()); }), HasSubstr("says no MaxArraySize"));
  program("scontrol", "printf 'Configuration data\\nMaxArraySize            = 0\\n'");
  EXPECT_THAT(fault([] { static_cast<void>(Slurm(seconds(5)).max_array_size()); }), HasSubstr("takes no job arrays"));
  ::setenv("PATH", (root_ / "empty").c_str(), 1);
  EXPECT_THAT(fault([] { static_cast<void>(Slurm(seconds(5)).queue()); }), HasSubstr("there is no squeue here"));
}

}  // namespace

}  // namespace xtasc::sweep
