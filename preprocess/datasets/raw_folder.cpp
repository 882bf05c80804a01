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

constexpr std::array<std::string_view, 6> kArchiveEnds = {".zip", ".tar", ".tar.gz", ".tgz", ".7z", ".rar"};

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

}  // namespace

void require_folder(const fs::path& root) {
  std::error_code ignored;
  if (!fs::is_directory(root, ignored)) {
    fail_usage("there is no folder '{}'", root.string());
  }
}

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
  const std::string lower = lower_case(name);
  return !name.starts_with('.') &&
         std::any_of(kDataEnds.begin(), kDataEnds.end(), [&](std::string_view end) { return lower.ends_with(end); });
}

std::string archive_hint(const fs::path& folder, std::string_view begin) {
  for (const std::string& file : list_entries(folder).files) {
    const std::string lower = lower_case(file);
    if (lower.starts_with(lower_case(begin)) &&
        std::any_of(kArchiveEnds.begin(), kArchiveEnds.end(), [&](auto end) { return lower.ends_with(end); })) {
      return fmt::format("; {} is there: unpack it", file);
    }
  }
  return {};
}

std::string id_hint(const std::string& id, const std::function<fs::path(const std::string&)>& path_of) {
  std::string with_slashes = id;
  std::replace(with_slashes.begin(), with_slashes.end(), '\\', '/');
  const std::string first_column = id.substr(0, id.find_first_of(" \t,;"));
  const std::pair<std::string, std::string_view> others[] = {
      {fs::path(id).replace_extension().string(), "ids are without extension"},
      {with_slashes, "ids have / between folders"},
      {first_column, "one id a line, and nothing else"},
      {fs::path(first_column).stem().string(), "one id a line, which is what stands for {id}"}};
  for (const auto& [other, advice] : others) {
    std::error_code ignored;
    if (other != id && !other.empty() && fs::exists(path_of(other), ignored)) {
      return fmt::format("; {}: '{}'", advice, other);
    }
  }
  return id.starts_with('#') ? "; a list has ids alone, and no comments" : "";
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
