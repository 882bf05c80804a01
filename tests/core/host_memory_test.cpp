#include "core/host_memory.hpp"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "support/temp_folder.hpp"

namespace fs = std::filesystem;

namespace xtasc {
namespace {

/// A folder in the place of "/": files by their paths.
class Root {
 public:
  void write(const fs::path& path, const std::string& text) const {
    fs::create_directories((folder_.path() / path).parent_path());
    std::ofstream(folder_.path() / path) << text;
  }
  [[nodiscard]] const fs::path& path() const { return folder_.path(); }

 private:
  test::TempFolder folder_;
};

TEST(AvailableMemory, IsTheMachinesWithPageCacheAndSwap) {
  const Root root;
  EXPECT_EQ(available_memory(root.path()), std::nullopt);
  root.write("proc/meminfo", "MemTotal:  4000 kB\nMemAvailable:    3000 kB\nSwapTotal: 900 kB\nSwapFree:   500 kB\n");
  EXPECT_EQ(available_memory(root.path()), 3500U * 1024);
  EXPECT_GT(available_memory().value_or(0), 1U << 20);
}

TEST(AvailableMemory, IsNoMoreThanAnyOfTheControlGroupsLeaves) {
  const Root root;
  root.write("proc/meminfo", "MemAvailable: 3000 kB\n");
  root.write("proc/self/cgroup", "0::/slurm/job_1/step_0\n");
  root.write("sys/fs/cgroup/slurm/job_1/step_0/memory.max", "max\n");
  root.write("sys/fs/cgroup/slurm/job_1/step_0/memory.stat", "anon 4096\nfile 900000\n");
  EXPECT_EQ(available_memory(root.path()), 3000U * 1024);
  root.write("sys/fs/cgroup/slurm/job_1/memory.max", "1048576\n");
  root.write("sys/fs/cgroup/slurm/job_1/memory.stat", "anon 48576\nfile 900000\n");
  EXPECT_EQ(available_memory(root.path()), 1'000'000U);
  root.write("sys/fs/cgroup/slurm/job_1/memory.stat", "anon 2000000\n");
  EXPECT_EQ(available_memory(root.path()), 0U);
}

TEST(AvailableMemory, KnowsControlGroupsOfVersion1AndAContainersOwn) {
  const Root root;
  root.write("proc/meminfo", "MemAvailable: 3000 kB\n");
  root.write("proc/self/cgroup", "5:cpu,cpuacct:/\n4:memory,hugetlb:/docker/4711\nnonsense\n");
  root.write("sys/fs/cgroup/memory/memory.stat", "rss 1\nhierarchical_memory_limit 2000000\ntotal_rss 500000\n");
  EXPECT_EQ(available_memory(root.path()), 1'500'000U);  // the mount is the group
  root.write("sys/fs/cgroup/memory/docker/4711/memory.stat", "hierarchical_memory_limit 9223372036854771712\n");
  EXPECT_EQ(available_memory(root.path()), 3000U * 1024);
}

/// Address space, not memory: nothing is touched.
bool takes(std::size_t bytes) {
  void* block = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return block != MAP_FAILED && ::munmap(block, bytes) == 0;
}

TEST(RefuseMemoryBeyond, TellsWhoAsksForMore) {
  constexpr std::size_t kGiB = std::size_t{1} << 30;
  ASSERT_TRUE(takes(1000 * kGiB));
  EXPECT_EXIT(
      {
        refuse_memory_beyond(2 * kGiB);
        const bool is_bounded = takes(kGiB) && !takes(1000 * kGiB);
        refuse_memory_beyond(2000 * kGiB);  // others gave back what they had
        ::_exit(is_bounded && takes(1000 * kGiB) ? 0 : 1);
      },
      testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace xtasc
