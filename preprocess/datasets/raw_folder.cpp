#include "preprocess/datasets/raw_folder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <span>
#include <system_error>

#include "core/error.hpp"
#include "core/log.hpp"

namespace xtasc::preprocess {

namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 13> kDataEnds = {".png", ".jpg", ".jpeg", ".bmp",  ".tif", ".tiff", ".webp",
                                                        ".gif", ".ppm", ".pgm",  ".heic", ".npy", ".npz"};

}  // namespace

FolderEntries list_entries(const fs::path& folder) {
  FolderEntries entries;
  std::error_code error, ignored;
  for (fs::directory_iterator entry(folder, error), end; !error && entry != end; entry.increment(error)) {
    std::string name = entry->path().filename().string();
    const bool is_folder = entry->is_directory(ignored) && !looks_like_data(name);
    (is_folder ? entries.folders : entries.files).push_back(std::move(name));
  }
  check(!error || !fs::exists(folder, ignored), "cannot list '{}': {}", folder.string(), error.message());
  std::sort(entries.folders.begin(), entries.folders.end());
  std::sort(entries.files.begin(), entries.files.end());
  return entries;
}

bool looks_like_data(std::string_view name) {
  std::string lower(name);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return !name.starts_with('.') &&
         std::any_of(kDataEnds.begin(), kDataEnds.end(), [&](std::string_view end) { return lower.ends_with(end); });
}

void PassedOver::log() const {
  constexpr std::size_t kShown = 3;
  if (paths_.empty()) {
    return;
  }
  const std::span shown = std::span(paths_).first(std::min(kShown, paths_.size()));
  log_info("passed over {} {} no data of the set: {}{}", paths_.size(),
           paths_.size() == 1 ? "entry that is" : "entries that are", fmt::join(shown, ", "),
           paths_.size() > kShown ? ", ..." : "");
}

}  // namespace xtasc::preprocess
