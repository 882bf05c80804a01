#include "run/run_id.hpp"

#include "core/error.hpp"
#include "io/checksum.hpp"

namespace xtasc::run {

namespace {

constexpr std::size_t kHashDigits = 8;

std::string hash_of(const std::string& identity) {
  return io::digest_hex(identity).substr(0, kHashDigits);
}

/// The hash in a folder's name, NAME-HASH; empty where the name is a user's own.
std::string hash_in_name(const RunFolder& run, const std::string& run_name) {
  const std::filesystem::path path = run.root.lexically_normal();
  const std::string name = (path.has_filename() ? path : path.parent_path()).filename().string();
  const std::string end = name.starts_with(run_name + "-") ? name.substr(run_name.size() + 1) : "";
  return end.size() == kHashDigits && end.find_first_not_of("0123456789abcdef") == std::string::npos ? end : "";
}

}  // namespace

std::string run_id(const config::RunConfig& config) {
  return config.run.name + "-" + hash_of(config::identity_text(config));
}

std::string first_run_id(const config::RunConfig& config) {
  return config.run.name + "-" + hash_of(config::first_identity_text(config));
}

config::RunConfig read_config_of(const RunFolder& run) {
  config::RunConfig config = config::read_written_config(run.config());
  const std::string wanted = hash_in_name(run, config.run.name);
  const std::string found = config::is_of_first_ids(config) ? first_run_id(config) : run_id(config);
  check(
      wanted.empty() || found.ends_with("-" + wanted),
      "{} is not the config that this run was made with: it gives {}, the folder's name says {}; somebody changed one "
      "of them",
      run.config().string(), found, wanted);
  return config;
}

}  // namespace xtasc::run
