#include "sweep/digests.hpp"

#include <system_error>
#include <vector>

#include "config/run_config.hpp"
#include "core/error.hpp"
#include "pack/reader.hpp"
#include "run/provenance.hpp"
#include "run/run_id.hpp"
#include "run/weights_digest.hpp"

namespace fs = std::filesystem;

namespace xtasc::sweep {

namespace {

/// \param read  gives a file's digest, or throws
template <typename Read>
const std::optional<std::string>& once(std::map<std::string, std::optional<std::string>>& known,
                                       const std::string& path, const Read& read) {
  const auto [entry, is_new] = known.emplace(path, std::nullopt);
  std::error_code ignored;
  if (is_new && !path.empty() && fs::exists(path, ignored)) {
    try {
      entry->second = read();
    } catch (const Error&) {
      entry->second = std::nullopt;
    }
  }
  return entry->second;
}

/// However it was typed.
std::string plain(const std::string& path) {
  return fs::path(path).lexically_normal().string();
}

std::set<std::string> all_of(const std::map<std::string, std::set<std::string>>& digests, const std::string& path) {
  const auto found = digests.find(plain(path));
  return found == digests.end() ? std::set<std::string>() : found->second;
}

/// What a run, of whatever version, had as its pack; empty where it did not get as far as writing that down.
std::string pack_digest_of(const run::RunFolder& run, const config::RunConfig& config) {
  if (!config.data.pack_digest.empty()) {
    return config.data.pack_digest;
  }
  try {
    return run::read_provenance(run.provenance()).pack_digest;
  } catch (const Error&) {
    return {};
  }
}

}  // namespace

const std::optional<std::string>& FileDigests::pack(const std::string& path) {
  return once(packs_, path, [&path] { return pack::Reader(path).schema().content_digest; });
}

const std::optional<std::string>& FileDigests::weights(const std::string& path) {
  return once(weights_, path, [&path] { return run::digest_of_weights(path); });
}

std::set<std::string> RecordedDigests::pack(const std::string& path) {
  read();
  return all_of(packs_, path);
}

std::set<std::string> RecordedDigests::weights(const std::string& path) {
  read();
  return all_of(weights_, path);
}

void RecordedDigests::read() {
  if (is_read_) {
    return;
  }
  is_read_ = true;
  const auto note = [this](config::RunConfig config, const std::string& pack_digest) {
    if (!pack_digest.empty()) {
      packs_[plain(config.data.pack)].insert(pack_digest);
    }
    for (const config::WeightsKey& weights : config::weights_keys(config)) {
      if (!weights.digest.empty()) {
        weights_[plain(weights.path)].insert(weights.digest);
      }
    }
  };
  std::error_code error;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_, error)) {
    const run::RunFolder run{entry.path()};
    if (std::error_code ignored; fs::is_regular_file(run.config(), ignored)) {
      try {
        const config::RunConfig config = run::read_config_of(run);
        note(config, pack_digest_of(run, config));
      } catch (const Error&) {
        continue;  // a table says what is wrong with it
      }
    }
  }
  for (const fs::directory_entry& entry : fs::directory_iterator(folder_ / ".sweep" / "configs", error)) {
    try {
      const config::RunConfig config = config::read_written_config(entry.path());
      note(config, config.data.pack_digest);
    } catch (const Error&) {
      continue;
    }
  }
}

}  // namespace xtasc::sweep
