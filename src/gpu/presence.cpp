#include "gpu/presence.hpp"

#include <array>
#include <fstream>
#include <regex>
#include <string_view>

#include "core/error.hpp"

namespace xtasc::gpu {

namespace {

std::string cuda_text(int version) {
  return fmt::format("{}.{}", version / 1000, version % 1000 / 10);
}

/// The version in the kernel's "NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.104.05  Sat Aug 19 ...".
std::string driver_name(const std::filesystem::path& root) {
  std::ifstream stream(root / "proc/driver/nvidia/version");
  std::string line;
  std::getline(stream, line);
  std::smatch match;
  return std::regex_search(line, match, std::regex(R"(\b\d{3,}\.\d+(\.\d+)?\b)")) ? match.str() : "";
}

/// What says that this job was given a GPU; empty: nothing.
std::string promise(const GetVariable& variable, bool is_hidden) {
  constexpr std::array<const char*, 3> kLists = {"SLURM_JOB_GPUS", "SLURM_STEP_GPUS", "CUDA_VISIBLE_DEVICES"};
  constexpr std::array<const char*, 4> kNumbers = {"SLURM_GPUS", "SLURM_GPUS_ON_NODE", "SLURM_GPUS_PER_NODE",
                                                   "SLURM_GPUS_PER_TASK"};
  for (const char* name : kLists) {
    const char* value = is_hidden ? nullptr : variable(name);
    if (value != nullptr && *value != '\0') {
      return fmt::format("{}={}", name, value);
    }
  }
  for (const char* name : kNumbers) {
    const char* value = is_hidden ? nullptr : variable(name);
    if (value != nullptr && *value != '\0' && std::string_view(value) != "0") {
      return fmt::format("{}={}", name, value);
    }
  }
  return {};
}

}  // namespace

void look_for_signs(Presence& presence, const std::filesystem::path& root, const GetVariable& variable) {
  const char* visible = variable("CUDA_VISIBLE_DEVICES");
  const std::string_view list = visible == nullptr ? "all" : visible;
  presence.is_hidden = list.empty() || list == "-1" || list == "NoDevFiles";
  presence.promise = promise(variable, presence.is_hidden);
  const std::filesystem::path file = root / "dev/nvidia0";
  presence.device_file = std::filesystem::exists(file) ? file.string() : "";
  presence.driver_name = driver_name(root);
}

std::string why_no_gpu(const Presence& presence) {
  const std::string name = presence.driver_name.empty() ? "" : " " + presence.driver_name;
  if (presence.is_hidden) {
    return "CUDA_VISIBLE_DEVICES hides all GPUs";
  }
  switch (presence.answer) {
    case Answer::some:
      return "there is one";
    case Answer::none:
      return presence.promise.empty() ? "CUDA sees no GPU"
                                      : fmt::format("CUDA sees no GPU, although {}", presence.promise);
    case Answer::driver_too_old:
      if (presence.driver_cuda == 0) {
        return fmt::format("NVIDIA's driver{} has no library here (libcuda.so.1)", name);
      }
      return fmt::format(
          "NVIDIA's driver{} is too old: it knows CUDA up to {}, and this program is built for CUDA {}{}", name,
          cuda_text(presence.driver_cuda), cuda_text(presence.runtime_cuda),
          presence.runtime_cuda / 1000 == 13 ? ", which wants driver 580 or newer, or NVIDIA's package cuda-compat-13"
                                             : "");
    case Answer::failure:
      return fmt::format("CUDA says: {} (driver{} for CUDA {}, runtime {})", presence.cuda_words, name,
                         cuda_text(presence.driver_cuda), cuda_text(presence.runtime_cuda));
  }
  fail("unknown answer {}", static_cast<int>(presence.answer));
}

bool is_a_fault(const Presence& presence) {
  if (presence.answer == Answer::some || presence.is_hidden) {
    return false;
  }
  // A device file alone does not promise its GPU to this job: a job without GPUs sees the files of its node too.
  const bool has_sign = !presence.device_file.empty() || !presence.promise.empty();
  return presence.answer == Answer::none ? !presence.promise.empty() : has_sign;
}

std::optional<std::string> note_on_cpu(const Presence& presence) {
  if (presence.answer == Answer::some || (presence.driver_cuda == 0 && presence.device_file.empty())) {
    return std::nullopt;
  }
  return fmt::format("computing on the CPU: {}", why_no_gpu(presence));
}

}  // namespace xtasc::gpu
