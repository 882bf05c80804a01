#include "core/rank_board.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <optional>

extern char** environ;  // NOLINT: POSIX's name

namespace xtasc {

namespace {

/// The clock's zero is the host's start, the same for all its processes.
std::int64_t now_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

std::optional<int> number_in(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? std::nullopt : std::optional(std::atoi(text));
}

/// What the server of the ranks of one host is reached by: no two jobs have the same.
std::string pmix_job() {
  const char* name_space = std::getenv("PMIX_NAMESPACE");
  std::string job = name_space == nullptr ? "" : name_space;
  for (char** entry = environ; !job.empty() && *entry != nullptr; ++entry) {
    constexpr std::string_view kServer = "PMIX_SERVER_URI";
    if (std::string_view(*entry).starts_with(kServer)) {
      job += std::string(" ") + *entry;
    }
  }
  return job;
}

/// A process as /proc/PID/stat has it. \returns 'T' stopped, 'D' waits for a file system or device, 'Z' it has ended,
/// ' ' anything else, or nobody knows
char state_of(pid_t pid) {
  std::ifstream stream(fmt::format("/proc/{}/stat", pid));
  std::string text;
  if (!std::getline(stream, text)) {
    return ::access("/proc/self/stat", R_OK) == 0 ? 'Z' : ' ';
  }
  const auto name_end = text.rfind(") ");
  const char state = name_end == std::string::npos || name_end + 2 >= text.size() ? ' ' : text[name_end + 2];
  switch (state) {
    case 'T':
    case 't':
      return 'T';
    case 'Z':
    case 'X':
      return 'Z';
    case 'D':
      return 'D';
    default:
      return ' ';
  }
}

std::string_view state_text(char state) {
  switch (state) {
    case 'T':
      return ", stopped";
    case 'D':
      return ", waiting for a file system or device";
    case 'Z':
      return ", has ended";
    default:
      return "";
  }
}

std::string_view name_of(RankBoard::Operation operation) {
  constexpr std::array<std::string_view, 7> kNames = {"", "start", "sum", "broadcast", "maximum", "gather", "barrier"};
  return kNames[static_cast<std::size_t>(operation)];
}

constexpr std::size_t kTextWords = 14;

}  // namespace

/// All zero before its rank takes it. Atomics in shared memory: no other process sees half a word.
struct alignas(64) RankBoard::Entry {
  std::atomic<std::int32_t> is_taken, rank, pid;
  std::atomic<Operation> operation;
  std::atomic<std::uint64_t> num_beats, num_begun, num_ended;
  std::atomic<std::int64_t> since_ns, number;
  std::array<std::atomic<std::uint64_t>, kTextWords> doing;
};

struct RankBoard::Memory {
  std::atomic<std::uint32_t> num_taken;
  std::atomic<bool> is_reported;
  /// The entries lie behind this, where their alignment lets them begin.
  Entry* entry(std::size_t index) {
    return reinterpret_cast<Entry*>(reinterpret_cast<std::byte*>(this) + alignof(Entry)) + index;
  }
};

LaunchedAs launched_as() {
  LaunchedAs as;
  as.by_mpirun = std::getenv("OMPI_COMM_WORLD_SIZE") != nullptr;
  const auto rank = as.by_mpirun ? number_in("OMPI_COMM_WORLD_RANK") : number_in("PMIX_RANK");
  const auto size = as.by_mpirun ? number_in("OMPI_COMM_WORLD_SIZE") : number_in("SLURM_STEP_NUM_TASKS");
  if (rank && size && *size > 1) {
    as.rank = *rank;
    as.num_ranks = *size;
    as.num_local = number_in("OMPI_COMM_WORLD_LOCAL_SIZE").value_or(0);
    as.job = pmix_job();
  }
  return as;
}

RankBoard::RankBoard(const LaunchedAs& launched) : num_expected_(launched.num_local) {
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<Operation>::is_always_lock_free);
  static_assert(sizeof(Memory) <= alignof(Entry), "see entry()");
  constexpr int kMostUnknown = 512;
  const std::size_t num_entries = static_cast<std::size_t>(num_expected_ > 0 ? num_expected_ : kMostUnknown);
  num_bytes_ = alignof(Entry) + num_entries * sizeof(Entry);
  void* memory = MAP_FAILED;
  if (!launched.job.empty()) {
    name_ = fmt::format("/xtasc-ranks-{}-{:016x}", ::getuid(), std::hash<std::string>()(launched.job));
    const int file = ::shm_open(name_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    // Where /dev/shm is full, this fails; a hole would end the process when it is written to.
    if (file >= 0 && ::posix_fallocate(file, 0, static_cast<off_t>(num_bytes_)) == 0) {
      memory = ::mmap(nullptr, num_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    }
    if (file >= 0) {
      ::close(file);
    }
  }
  if (memory == MAP_FAILED) {
    close_entry();
    num_expected_ = 0;
    memory = ::mmap(nullptr, num_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  }
  if (memory == MAP_FAILED) {
    return;  // there is not even a page: all that follows is silent
  }
  memory_ = static_cast<Memory*>(memory);
  const std::uint32_t place = memory_->num_taken.fetch_add(1);
  if (place < num_entries) {
    own_ = memory_->entry(place);
    own_->rank = launched.rank;
    own_->pid = ::getpid();
    set_doing("its start", 0);
    own_->is_taken = 1;
  }
}

RankBoard::~RankBoard() {
  close_entry();
  if (memory_ != nullptr) {
    ::munmap(memory_, num_bytes_);
  }
}

void RankBoard::close_entry() noexcept {
  if (!name_.empty()) {
    ::shm_unlink(name_.c_str());
    name_.clear();
  }
}

void RankBoard::set_doing(std::string_view now, std::int64_t number) noexcept {
  if (own_ == nullptr) {
    return;
  }
  std::array<char, kTextWords * sizeof(std::uint64_t)> text{};
  std::copy_n(now.begin(), std::min(now.size(), text.size() - 1), text.begin());
  for (std::size_t i = 0; i < kTextWords; ++i) {
    std::uint64_t word = 0;
    std::memcpy(&word, text.data() + i * sizeof(word), sizeof(word));
    own_->doing[i].store(word, std::memory_order_relaxed);
  }
  own_->number.store(number, std::memory_order_relaxed);
  own_->since_ns.store(now_ns(), std::memory_order_relaxed);
  own_->num_beats.fetch_add(1, std::memory_order_release);
}

void RankBoard::begin(Operation operation) noexcept {
  if (own_ != nullptr) {
    own_->operation.store(operation, std::memory_order_relaxed);
    own_->num_begun.fetch_add(1, std::memory_order_relaxed);
  }
}

void RankBoard::end() noexcept {
  if (own_ != nullptr) {
    own_->num_ended.fetch_add(1, std::memory_order_relaxed);
  }
}

std::vector<const RankBoard::Entry*> RankBoard::entries() const {
  std::vector<const Entry*> all;
  const std::size_t places = (num_bytes_ - alignof(Entry)) / sizeof(Entry);
  for (std::size_t i = 0; memory_ != nullptr && i < std::min<std::size_t>(memory_->num_taken, places); ++i) {
    if (memory_->entry(i)->is_taken != 0) {
      all.push_back(memory_->entry(i));
    }
  }
  std::ranges::sort(all, {}, [](const Entry* entry) { return entry->rank.load(); });
  return all;
}

std::uint64_t RankBoard::num_beats() const noexcept {
  std::uint64_t sum = 0;
  const std::size_t places = (num_bytes_ - alignof(Entry)) / sizeof(Entry);
  for (std::size_t i = 0; memory_ != nullptr && i < std::min<std::size_t>(memory_->num_taken, places); ++i) {
    sum += memory_->entry(i)->num_beats.load(std::memory_order_acquire);
  }
  return sum;
}

std::string RankBoard::doing_of(const Entry& entry) {
  std::array<char, kTextWords * sizeof(std::uint64_t)> text{};
  for (std::size_t i = 0; i < kTextWords; ++i) {
    const std::uint64_t word = entry.doing[i].load(std::memory_order_relaxed);
    std::memcpy(text.data() + i * sizeof(word), &word, sizeof(word));
  }
  text.back() = '\0';
  const std::int64_t number = entry.number.load(std::memory_order_relaxed);
  return number > 0 ? fmt::format("{} {}", text.data(), number) : text.data();
}

std::string RankBoard::doing() const {
  return own_ == nullptr ? "its work" : doing_of(*own_);
}

bool RankBoard::claim_report() noexcept {
  return memory_ == nullptr || !memory_->is_reported.exchange(true);
}

std::vector<std::string> RankBoard::table() const {
  std::vector<std::string> lines;
  for (const Entry* entry : entries()) {
    std::string line = fmt::format("rank {} (process {}{}): {}, for {:.1f} s", entry->rank.load(), entry->pid.load(),
                                   state_text(state_of(entry->pid)), doing_of(*entry),
                                   static_cast<double>(now_ns() - entry->since_ns) * 1e-9);
    if (const std::uint64_t begun = entry->num_begun; begun > 0) {
      line += fmt::format("; {} {} of the ranks, {}", name_of(entry->operation), begun,
                          entry->num_ended < begun ? "waiting in it" : "which is done");
    }
    lines.push_back(std::move(line));
  }
  return lines;
}

std::string RankBoard::who_is_missing() const {
  const std::vector<const Entry*> all = entries();
  if (num_expected_ > static_cast<int>(all.size())) {
    const int missing = num_expected_ - static_cast<int>(all.size());
    return fmt::format("{} of this host's {} ranks did not arrive: {} not reached the program's first line", missing,
                       num_expected_, missing == 1 ? "it has" : "they have");
  }
  if (all.size() < 2) {
    return {};
  }
  std::uint64_t most = 0;
  for (const Entry* entry : all) {
    most = std::max<std::uint64_t>(most, entry->num_begun);
  }
  // The surest sign first: who does not run; who has begun fewer operations; who is in none while others wait in one.
  const auto those = [&all](const auto& is_one) {
    std::vector<const Entry*> found;
    std::ranges::copy_if(all, std::back_inserter(found), is_one);
    return found.size() == all.size() ? std::vector<const Entry*>() : found;
  };
  std::vector<const Entry*> missing = those([](const Entry* entry) {
    const char state = state_of(entry->pid);
    return state == 'T' || state == 'Z';
  });
  if (missing.empty()) {
    missing = those([most](const Entry* entry) { return entry->num_begun < most; });
  }
  if (missing.empty()) {
    missing = those([](const Entry* entry) { return entry->num_ended == entry->num_begun; });
  }
  std::vector<std::string> names;
  for (const Entry* entry : missing) {
    names.push_back(
        fmt::format("rank {} (process {}{})", entry->rank.load(), entry->pid.load(), state_text(state_of(entry->pid))));
  }
  return names.empty() ? "" : fmt::format("{} did not arrive", fmt::join(names, ", "));
}

}  // namespace xtasc
