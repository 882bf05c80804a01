#include "dist/host_board.hpp"

#include <fcntl.h>
#include <mpi.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstdio>

#include "core/error.hpp"

namespace xtasc::dist {

namespace {

/// The clock's zero is the host's start, the same for all its processes.
std::int64_t now_ns() {
  return std::chrono::steady_clock::now().time_since_epoch() / std::chrono::nanoseconds(1);
}

const char* name(HostBoard::Operation operation) {
  switch (operation) {
    case HostBoard::Operation::none:
      return "no operation yet";
    case HostBoard::Operation::start_up:
      return "start-up";
    case HostBoard::Operation::sum:
      return "sum";
    case HostBoard::Operation::broadcast:
      return "broadcast";
    case HostBoard::Operation::teardown:
      return "teardown";
  }
  return "?";
}

/// Zeroed memory under this name, shared with whoever maps the same name. \returns nullptr with errno on failure
void* map_shared(const char* shared_name, std::size_t num_bytes, bool is_new) {
  const int file = shm_open(shared_name, O_RDWR | (is_new ? O_CREAT | O_EXCL : 0), 0600);
  if (file < 0) {
    return nullptr;
  }
  void* memory = MAP_FAILED;
  if (!is_new || ftruncate(file, static_cast<off_t>(num_bytes)) == 0) {
    memory = mmap(nullptr, num_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  }
  const int cause = errno;
  close(file);
  errno = cause;
  return memory == MAP_FAILED ? nullptr : memory;
}

}  // namespace

HostBoard::HostBoard(const MpiSession& session, const std::string& place) : places_(session.gather(place)) {
  static_assert(std::atomic<std::uint64_t>::is_always_lock_free && std::atomic<Operation>::is_always_lock_free);
  MPI_Comm host = MPI_COMM_NULL;
  check(MpiCode{MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, session.rank(), MPI_INFO_NULL, &host)},
        "MPI_Comm_split_type");
  ranks_.resize(static_cast<std::size_t>(session.local_size()));
  const int rank = session.rank();
  check(MpiCode{MPI_Allgather(&rank, 1, MPI_INT, ranks_.data(), 1, MPI_INT, host)}, "MPI_Allgather");

  std::array<char, 64> shared_name{};
  std::snprintf(shared_name.data(), shared_name.size(), "/xtasc-%d-%lld", getpid(), static_cast<long long>(now_ns()));
  check(MpiCode{MPI_Bcast(shared_name.data(), static_cast<int>(shared_name.size()), MPI_CHAR, 0, host)}, "MPI_Bcast");
  const std::size_t num_bytes = ranks_.size() * sizeof(Entry);
  const bool is_first = session.local_rank() == 0;
  void* memory = is_first ? map_shared(shared_name.data(), num_bytes, true) : nullptr;
  const int cause = errno;
  MPI_Barrier(host);
  if (!is_first) {
    memory = map_shared(shared_name.data(), num_bytes, false);
  }
  MPI_Barrier(host);
  MPI_Comm_free(&host);
  if (is_first) {
    shm_unlink(shared_name.data());
  }
  xtasc::check(memory != nullptr, "shared memory of {} bytes between the ranks of a host: {}", num_bytes,
               errno_text(is_first ? cause : errno));
  entries_ = static_cast<Entry*>(memory);  // all zero, which is how its plain atomics begin
  own_ = entries_ + session.local_rank();
}

HostBoard::~HostBoard() {
  munmap(entries_, ranks_.size() * sizeof(Entry));
}

std::uint64_t HostBoard::begin(Operation operation, std::uint64_t num_bytes) noexcept {
  own_->operation = operation;
  own_->num_bytes = num_bytes;
  own_->since_ns = now_ns();
  return ++own_->number;
}

void HostBoard::finish(std::uint64_t number) noexcept {
  own_->finished = number;
}

bool HostBoard::claim_report() noexcept {
  return !entries_[0].is_reported.exchange(true);
}

std::string HostBoard::describe(const Entry& entry) {
  const Operation operation = entry.operation;
  const std::uint64_t num_bytes = entry.num_bytes;
  std::string text = name(operation);
  if (operation != Operation::none) {
    text += fmt::format(" #{}", entry.number.load());
  }
  return num_bytes == 0 ? text : text + fmt::format(" of {} bytes", num_bytes);
}

std::string HostBoard::last_operation() const {
  return describe(*own_);
}

std::vector<std::string> HostBoard::table() const {
  std::vector<std::string> lines;
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    const Entry& entry = entries_[i];
    std::string line =
        fmt::format("rank {} ({}): {}", ranks_[i], places_[static_cast<std::size_t>(ranks_[i])], describe(entry));
    if (entry.operation.load() != Operation::none) {
      line += fmt::format(", begun {:.1f} s ago, {}", static_cast<double>(now_ns() - entry.since_ns) * 1e-9,
                          entry.finished >= entry.number ? "ended" : "not seen to end");
    }
    lines.push_back(line);
  }
  return lines;
}

std::vector<int> HostBoard::ranks_behind() const {
  std::vector<std::uint64_t> numbers;
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    numbers.push_back(entries_[i].number);
  }
  const auto [least, most] = std::minmax_element(numbers.begin(), numbers.end());
  std::vector<int> behind;
  for (std::size_t i = 0; i < ranks_.size(); ++i) {
    if (numbers[i] == *least && *least < *most) {
      behind.push_back(ranks_[i]);
    }
  }
  return behind;
}

}  // namespace xtasc::dist
