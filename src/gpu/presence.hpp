#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace xtasc::gpu {

/// How CUDA answered when it was asked for the number of GPUs.
enum class Answer { some, none, driver_too_old, failure };

/// What CUDA and the machine tell one rank about its GPUs.
struct Presence {
  Answer answer = Answer::none;
  int num_gpus = 0;
  std::string cuda_words;   ///< of a failure
  int driver_cuda = 0;      ///< the newest CUDA that the driver knows, 12020 for 12.2; 0: there is no driver
  int runtime_cuda = 0;     ///< the CUDA of this program's runtime
  std::string driver_name;  ///< "535.104.05"; empty: the kernel does not say
  std::string device_file;  ///< "/dev/nvidia0"; empty: there is none
  std::string promise;      ///< "SLURM_JOB_GPUS=3", of whoever started this; empty: nobody gave a GPU
  bool is_hidden = false;   ///< CUDA_VISIBLE_DEVICES hides all GPUs, as somebody wanted
};

/// The value of a variable, or nullptr.
using GetVariable = std::function<const char*(const char*)>;

/// Fills in what the machine itself says: device_file, promise, is_hidden, driver_name. \param root  "/"
void look_for_signs(Presence& presence, const std::filesystem::path& root, const GetVariable& variable);

/// Why there is no GPU to use, in words.
[[nodiscard]] std::string why_no_gpu(const Presence& presence);

/// Whether run.device = "auto" may not pass over it and compute on the CPU: there is a GPU, or one was given to this
/// job, and it cannot be used.
[[nodiscard]] bool is_a_fault(const Presence& presence);

/// The line for the log where "auto" takes the CPU; nullopt on machines that have nothing to do with GPUs.
[[nodiscard]] std::optional<std::string> note_on_cpu(const Presence& presence);

}  // namespace xtasc::gpu
