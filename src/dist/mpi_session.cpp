#include "dist/mpi_session.hpp"

#include <mpi.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdlib>
#include <numeric>
#include <optional>
#include <thread>

#include "core/error.hpp"
#include "core/host.hpp"
#include "dist/mpi_start.hpp"
#include "dist/single_copy.hpp"

namespace xtasc::dist {

namespace {

std::optional<int> environment_number(const char* name) {
  const char* text = std::getenv(name);
  return text == nullptr ? std::nullopt : std::optional(std::atoi(text));
}

void check_world_size(int size) {
  // Inside mpirun only Open MPI's own variable counts: Slurm's describe the allocation's batch step there.
  if (const auto promised = environment_number("OMPI_COMM_WORLD_SIZE")) {
    xtasc::check(*promised == size, "mpirun started {} ranks, but MPI sees {}", *promised, size);
    return;
  }
  if (const auto promised = environment_number("PMI_SIZE")) {
    xtasc::check(*promised == size,
                 "the launcher of another MPI started {} ranks, but this one, Open MPI, sees {}: use its own mpirun",
                 *promised, size);
    return;
  }
  if (const auto promised = environment_number("SLURM_STEP_NUM_TASKS");
      promised && environment_number("SLURM_PROCID")) {
    const char* step = std::getenv("SLURM_STEP_ID");
    const bool is_batch_step = step == nullptr || std::string_view(step) == "4294967291";
    xtasc::check(is_batch_step || *promised == size,
                 "srun started {} tasks, but MPI sees {}: start them with srun --mpi=pmix, or with mpirun", *promised,
                 size);
  }
}

/// Open MPI ends a process in which it cannot start, with pages of its own; so that there is a line of ours among them.
class StartGuard {
 public:
  StartGuard() {
    is_starting = true;
    std::atexit([] {
      if (is_starting) {
        print_error("xtasc", Error("MPI could not start, for the reasons that it gives itself"));
      }
    });
  }
  ~StartGuard() { is_starting = false; }
  StartGuard(const StartGuard&) = delete;
  StartGuard& operator=(const StartGuard&) = delete;

 private:
  static inline bool is_starting = false;  // an exit handler has nothing else
};

}  // namespace

void check(MpiCode code, std::string_view what) {
  if (code.value == MPI_SUCCESS) {
    return;
  }
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code.value, text.data(), &length);
  fail("{}: {}", what, std::string_view(text.data(), static_cast<std::size_t>(length)));
}

/// A duplicate of the world for the control plane.
struct MpiSession::Control {
  Control() { check(MpiCode{MPI_Comm_dup(MPI_COMM_WORLD, &comm)}, "MPI_Comm_dup"); }
  ~Control() { MPI_Comm_free(&comm); }
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  MPI_Comm comm = MPI_COMM_NULL;
};

MpiSession::MpiSession(int* argc, char*** argv, RankBoard* board) : board_(board) {
  choose_copy_mechanism();
  prepare_start();
  int provided = 0;
  {
    const OnBoard on_board(board_, RankBoard::Operation::start);
    const StartGuard guard;
    check(MpiCode{MPI_Init_thread(argc, argv, MPI_THREAD_FUNNELED, &provided)}, "MPI_Init_thread");
  }
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  check(MpiCode{MPI_Comm_rank(MPI_COMM_WORLD, &rank_)}, "MPI_Comm_rank");
  check(MpiCode{MPI_Comm_size(MPI_COMM_WORLD, &size_)}, "MPI_Comm_size");
  MPI_Comm host = MPI_COMM_NULL;
  check(MpiCode{MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, rank_, MPI_INFO_NULL, &host)},
        "MPI_Comm_split_type");
  check(MpiCode{MPI_Comm_rank(host, &local_rank_)}, "MPI_Comm_rank");
  check(MpiCode{MPI_Comm_size(host, &local_size_)}, "MPI_Comm_size");
  host_leader_ = rank_;
  check(MpiCode{MPI_Bcast(&host_leader_, 1, MPI_INT, 0, host)}, "MPI_Bcast");
  MPI_Comm_free(&host);
  check_world_size(size_);
  control_ = std::make_unique<Control>();
  if (board_ != nullptr) {
    board_->close_entry();  // every rank of this host has come this far
  }
}

MpiSession::~MpiSession() {
  control_.reset();
  MPI_Finalize();
}

std::int64_t MpiSession::max(std::int64_t value) const {
  const OnBoard on_board(board_, RankBoard::Operation::maximum);
  std::int64_t largest = value;
  check(MpiCode{MPI_Allreduce(&value, &largest, 1, MPI_INT64_T, MPI_MAX, control_->comm)}, "MPI_Allreduce");
  return largest;
}

std::vector<std::string> MpiSession::gather(const std::string& text) const {
  const OnBoard on_board(board_, RankBoard::Operation::gather);
  const int length = static_cast<int>(text.size());
  std::vector<int> lengths(static_cast<std::size_t>(size_));
  check(MpiCode{MPI_Allgather(&length, 1, MPI_INT, lengths.data(), 1, MPI_INT, control_->comm)}, "MPI_Allgather");
  std::vector<int> offsets(lengths.size());
  std::exclusive_scan(lengths.begin(), lengths.end(), offsets.begin(), 0);
  std::string all(static_cast<std::size_t>(offsets.back() + lengths.back()), '\0');
  check(MpiCode{MPI_Allgatherv(text.data(), length, MPI_CHAR, all.data(), lengths.data(), offsets.data(), MPI_CHAR,
                               control_->comm)},
        "MPI_Allgatherv");
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    texts.push_back(all.substr(static_cast<std::size_t>(offsets[i]), static_cast<std::size_t>(lengths[i])));
  }
  return texts;
}

std::string MpiSession::broadcast(std::string text) const {
  const OnBoard on_board(board_, RankBoard::Operation::broadcast);
  auto length = static_cast<std::int64_t>(text.size());
  check(MpiCode{MPI_Bcast(&length, 1, MPI_INT64_T, 0, control_->comm)}, "MPI_Bcast");
  text.resize(static_cast<std::size_t>(length));
  check(MpiCode{MPI_Bcast(text.data(), static_cast<int>(length), MPI_CHAR, 0, control_->comm)}, "MPI_Bcast");
  return text;
}

void MpiSession::barrier() const {
  const OnBoard on_board(board_, RankBoard::Operation::barrier);
  check(MpiCode{MPI_Barrier(control_->comm)}, "MPI_Barrier");
}

void MpiSession::sleeping_barrier() const {
  const OnBoard on_board(board_, RankBoard::Operation::barrier);
  MPI_Request request = MPI_REQUEST_NULL;
  check(MpiCode{MPI_Ibarrier(control_->comm, &request)}, "MPI_Ibarrier");
  int has_ended = 0;
  while (true) {
    check(MpiCode{MPI_Test(&request, &has_ended, MPI_STATUS_IGNORE)}, "MPI_Test");
    if (has_ended != 0) {
      return;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

void MpiSession::abort(int exit_code) const noexcept {
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);
}

std::string host_name() {
  return this_host();
}

std::string mpi_library_version() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  MPI_Get_library_version(text.data(), &length);
  const std::string version(text.data(), static_cast<std::size_t>(length));
  return version.substr(0, version.find(','));
}

}  // namespace xtasc::dist
