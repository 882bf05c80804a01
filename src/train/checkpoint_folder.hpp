#pragma once

#include <chrono>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "core/error.hpp"
#include "train/checkpoint.hpp"

// A checkpoint's folder as its writer and its readers see it; only checkpoint.cpp needs this.
namespace xtasc::train {

/// 1: without a digest of the index and without metrics.jsonl; its weights are still read, but no run resumes from it.
inline constexpr int kVersion = 2;
inline constexpr const char* kIndex = "checkpoint.json";
inline constexpr const char* kWeights = "weights.pt";
inline constexpr const char* kState = "state.pt";
inline constexpr const char* kMetrics = "metrics.jsonl";
/// The number of optimizer steps as a line by itself: for shell scripts, which read no JSON. Nothing else reads it.
inline constexpr const char* kStep = "step";
inline constexpr const char* kDigest = "xxh3_128";

inline std::filesystem::path beside(const std::filesystem::path& folder, const char* suffix) {
  return folder.parent_path() / fmt::format(".{}{}", folder.filename().string(), suffix);
}
/// Where a new checkpoint is written, and where the old one goes while it gives way.
inline std::filesystem::path new_folder(const std::filesystem::path& folder) {
  return beside(folder, ".new");
}
inline std::filesystem::path old_folder(const std::filesystem::path& folder) {
  return beside(folder, ".old");
}
inline bool is_complete(const std::filesystem::path& folder) {
  return std::filesystem::exists(folder / kIndex);  // written last
}

/// Of the index without its own digest: the text that parsing and printing it again gives.
[[nodiscard]] std::string digest_of(nlohmann::json index);

/// \throws DamagedCheckpoint with a formatted message
template <typename... Args>
[[noreturn]] void fail_damaged(fmt::format_string<Args...> format, Args&&... args) {
  throw DamagedCheckpoint(fmt::format(format, std::forward<Args>(args)...));
}

/// A checkpoint folder held open: its files are those of one generation, whatever takes its place meanwhile.
class OpenFolder {
 public:
  /// \throws Error when there is none
  explicit OpenFolder(const std::filesystem::path& path);
  ~OpenFolder();
  OpenFolder(const OpenFolder&) = delete;
  OpenFolder& operator=(const OpenFolder&) = delete;

  /// checkpoint.json. \throws DamagedCheckpoint unless it is what was written, by this version or the first
  [[nodiscard]] nlohmann::json index() const;
  /// \throws DamagedCheckpoint unless the file is the one that the index speaks of
  [[nodiscard]] std::string file(const nlohmann::json& index, const std::string& name) const;
  /// Whether the path still leads to this folder.
  [[nodiscard]] bool is_in_place() const;

 private:
  [[nodiscard]] std::string read(const std::string& name) const;

  std::filesystem::path path_;
  int descriptor_;
};

/// Calls `read` with the folder held open; again where a training run put another generation in its place meanwhile,
/// and removed files before they were opened.
template <typename Read>
auto read_one_generation(const std::filesystem::path& path, const Read& read) {
  constexpr int kAttempts = 20;
  for (int attempt = 1;; ++attempt) {
    std::optional<OpenFolder> folder;
    try {
      folder.emplace(path);
      return read(*folder);
    } catch (const Error&) {
      const bool was_replaced = folder ? !folder->is_in_place() : is_complete(new_folder(path));
      if (!was_replaced || attempt == kAttempts) {
        throw;
      }
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
}

}  // namespace xtasc::train
