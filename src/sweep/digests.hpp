#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace xtasc::sweep {

/// Digests of the files that configs name. Each file is read once; of a pack only what describes it.
class FileDigests {
 public:
  /// Of a pack, as its header says. nullopt: it is not there, or no pack (check_inputs says what is wrong with it)
  [[nodiscard]] const std::optional<std::string>& pack(const std::string& path);
  /// Of weights, as run::digest_of_weights() says. nullopt: they cannot be read
  [[nodiscard]] const std::optional<std::string>& weights(const std::string& path);

 private:
  std::map<std::string, std::optional<std::string>> packs_, weights_;
};

/// What the runs of a sweep's folder say of files that are not here: runs that were started, and configs that were
/// handed out. Read when it is first asked for.
class RecordedDigests {
 public:
  explicit RecordedDigests(std::filesystem::path sweep_folder) : folder_(std::move(sweep_folder)) {}

  /// The digests that a pack at `path` had in these runs; of several nobody can tell which one is meant.
  [[nodiscard]] std::set<std::string> pack(const std::string& path);
  [[nodiscard]] std::set<std::string> weights(const std::string& path);

 private:
  void read();

  std::filesystem::path folder_;
  bool is_read_ = false;
  std::map<std::string, std::set<std::string>> packs_, weights_;
};

}  // namespace xtasc::sweep
