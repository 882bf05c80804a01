#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <filesystem>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "config/run_config.hpp"
#include "core/temp_folder.hpp"
#include "dist/mpi_session.hpp"

namespace xtasc::launch {

inline constexpr double kGiga = 1e9;

/// Seconds of several rounds of the same work.
struct Timing {
  std::vector<double> seconds;

  [[nodiscard]] double median() const;
  [[nodiscard]] double min() const;
  [[nodiscard]] double max() const;
};

/// {"median": s, "min": s, "max": s, "rounds": n}.
[[nodiscard]] nlohmann::json to_json(const Timing& timing);

/// Wall-clock seconds of one call.
[[nodiscard]] double seconds_of(const std::function<void()>& work);

/// The largest of all ranks' figures. Collective.
[[nodiscard]] double slowest(const dist::MpiSession& session, double seconds);

/// $XTASC_PYTHON, the Python of the project's .venv, or python3.
[[nodiscard]] std::string project_python();

/// A script of launch/bench/peer: beside this program where it was installed, else in the source.
[[nodiscard]] std::filesystem::path peer_script(const std::string& name);

/// Runs launch/bench/peer/`script` with the project's Python and returns the JSON that it prints.
/// \throws Error  with the script's last line when it fails, and what to install when a package is missing.
[[nodiscard]] nlohmann::json run_peer(const std::string& script, const std::vector<std::string>& arguments);

/// The machine and the program, for results that are kept: processor, cores, versions, time.
[[nodiscard]] nlohmann::json machine_json();

/// The call, with the program's name alone for its path.
[[nodiscard]] std::string command_text(int argc, const char* const* argv);

/// What a net computed and on what, for results that are kept.
struct WorkSize {
  std::int64_t num_classes = 0, height = 0, width = 0;
  std::int64_t batch_size = 0;  ///< over all ranks
};
[[nodiscard]] nlohmann::json describe_work(const config::RunConfig& config, const WorkSize& size,
                                           const dist::MpiSession& session, at::Device device);
/// The part of it that does not ask for a net: ranks, threads, device.
[[nodiscard]] nlohmann::json describe_ranks(const dist::MpiSession& session, at::Device device);

struct PreprocessBench {
  std::string root;  ///< a Cityscapes download; empty: frames are made
  std::filesystem::path scratch;
  std::int64_t frames = 0;  ///< frames to make, or at most to use of `root`
  int workers = 1;
  int rounds = 3;
  bool peer = true;
};
/// Packs Cityscapes frames; inflates the same files and does nothing else; has OpenCV decode them in a pool of Python
/// processes. \returns what was measured, printed too.
nlohmann::json bench_preprocess(const PreprocessBench& options);

struct PackBench {
  std::string pack;  ///< empty: one of Cityscapes' size is made
  std::filesystem::path scratch;
  std::string device = "auto";
  std::int64_t samples = 0;  ///< of the pack that is made
  int rounds = 5;
  bool peer = true;
};
/// Reads a split into memory and onto the device; reads the same with h5py; copies as much memory. \returns what was
/// measured, printed too.
nlohmann::json bench_pack(const PackBench& options);

struct StepBench {
  std::int64_t num_classes = 7, height = 128, width = 256;
  int rounds = 5;
  bool peer = false;
  bool peer_compiled = false;  ///< and its best form under torch.compile
  bool launches = false;       ///< count what a step asks of a CUDA device instead of timing it
};
/// Training steps of a config on samples of noise, and where their time goes. Collective. With `peer`, in turns with
/// plain PyTorch in the same run, from the same weights and samples, as the 2021 code does it and in its best form; one
/// rank only. \returns what was measured (`seconds_per_step` is the median), printed too.
nlohmann::json bench_step(const StepBench& options, const dist::MpiSession& session, const config::RunConfig& config);

/// The same for every weighting method, taking turns, against equal weights. Collective.
nlohmann::json bench_weighting(const StepBench& options, const dist::MpiSession& session,
                               const config::RunConfig& config);

struct AllreduceBench {
  std::vector<double> mebibytes = {0.001, 1.0, 32.0, 120.0};
  int rounds = 10;
};
/// Sums of float32 vectors over the ranks: seconds and GB/s, as training does it. Collective.
nlohmann::json bench_allreduce(const AllreduceBench& options, const dist::MpiSession& session,
                               const config::RunConfig& config);

struct EvaluateBench {
  std::string pack;  ///< empty: one of noise, 128 x 256, is made
  std::filesystem::path scratch;
  std::int64_t samples = 0;  ///< of the pack that is made
  int rounds = 3;
};
/// Evaluates a net with random weights on a pack's validation set: images/s. Collective.
nlohmann::json bench_evaluate(const EvaluateBench& options, const dist::MpiSession& session,
                              const config::RunConfig& config);

struct ExportBench {
  std::filesystem::path scratch;
  std::int64_t num_classes = 7, height = 128, width = 256;
  std::int64_t batch = 8;
  int rounds = 10;
  bool peer = true;
};
/// Predictions of a net of random weights, in turns with onnxruntime on the file that it is exported to, on as many
/// threads of the CPU. \returns what was measured, printed too.
nlohmann::json bench_export(const ExportBench& options, const dist::MpiSession& session,
                            const config::RunConfig& config);

struct ScalingBench {
  StepBench step;
  std::vector<std::pair<std::int64_t, std::int64_t>> sizes = {{96, 128}, {128, 256}, {288, 384}};  ///< height, width
};
/// Step time of each rank alone against batch and image size and, on two ranks or more, what their sums cost and a step
/// of all of them together. Collective.
nlohmann::json bench_scaling(const ScalingBench& options, const dist::MpiSession& session,
                             const config::RunConfig& config);

}  // namespace xtasc::launch
