#include "run/weights_digest.hpp"

#include <filesystem>
#include <system_error>

#include "core/error.hpp"
#include "io/checksum.hpp"
#include "run/run_id.hpp"

namespace xtasc::run {

std::string digest_of_run(const config::RunConfig& config) {
  return io::digest_hex(config::identity_text(config));
}

std::string recipe_digest(const config::RunConfig& config) {
  config::RunConfig without = config;
  without.run.seed = config::RunConfig().run.seed;
  return io::digest_hex(config::identity_text(without));
}

std::string digest_of_weights(const std::string& path) {
  std::error_code ignored;
  if (!std::filesystem::is_directory(path, ignored)) {
    return io::file_digest(path);
  }
  const RunFolder run{path};
  check(std::filesystem::exists(run.config(), ignored), "{} is no folder of a run: it has no config.toml", path);
  return digest_of_run(read_config_of(run));
}

}  // namespace xtasc::run
