#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace xtasc::sweep {

enum class Launcher { srun, mpirun };

/// All that is local to a cluster, as slurm/site.toml documents it.
struct Site {
  std::string partition, account, qos;
  std::string time = "24:00:00";
  std::int64_t nodes = 1;          ///< of one run
  std::int64_t gpus_per_node = 1;  ///< 0: none
  std::string gpu_type;
  std::int64_t ranks_per_node = 1;  ///< after reading: never 0, one for each GPU where there are any
  std::int64_t cpus_per_rank = 8;
  std::string memory;
  std::int64_t max_at_once = 0;  ///< elements of the array; 0: no limit
  std::vector<std::string> extra;

  Launcher launcher = Launcher::srun;
  std::vector<std::string> options, modules, environment;
  std::int64_t runs_per_gpu = 1;

  std::int64_t warning_seconds = 180;
  std::int64_t max_fruitless_starts = 3;

  double tflops_per_rank = 0.0;  ///< sustained in training, for `plan`; 0: not known
};

/// Reads a site file. \throws Error (exit code 2), with file, line and column, and what would be accepted
[[nodiscard]] Site read_site(const std::filesystem::path& file);

/// As read_site, from a text. \param source  for messages
[[nodiscard]] Site parse_site(const std::string& text, const std::string& source);

}  // namespace xtasc::sweep
