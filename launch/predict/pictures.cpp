#include "launch/predict/pictures.hpp"

#include <glob.h>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <map>
#include <set>
#include <system_error>
#include <utility>

#include "core/error.hpp"
#include "core/ordered_pool.hpp"
#include "core/progress.hpp"
#include "io/image/image.hpp"

namespace xtasc::launch {

namespace {

namespace fs = std::filesystem;

bool comes_before(const fs::path& a, const fs::path& b) {
  return ::strverscmp(a.c_str(), b.c_str()) < 0;
}

bool is_called_picture(const fs::path& path) {
  std::string extension = path.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg";
}

void refuse_among(const fs::path& folder, const fs::path& output) {
  std::error_code error;
  if (fs::equivalent(folder.empty() ? "." : folder, output, error)) {
    fail_usage(
        "--output is the folder '{}' of the images: results would overwrite files of theirs, and the next prediction "
        "would take them for images; name another, which may lie in it",
        folder.empty() ? "." : folder.string());
  }
}

std::vector<fs::path> pictures_below(const fs::path& folder, const fs::path& output) {
  refuse_among(folder, output);
  std::error_code error;
  std::vector<fs::path> found;
  fs::recursive_directory_iterator entries(folder, error);
  for (; !error && entries != fs::recursive_directory_iterator(); entries.increment(error)) {
    std::error_code unknown;  // what is no file tells so when it is read
    const bool is_folder = entries->is_directory(unknown);
    if (entries->path().filename().string().starts_with('.') ||
        (is_folder && fs::equivalent(entries->path(), output, unknown))) {
      entries.disable_recursion_pending();
    } else if (!is_folder && is_called_picture(entries->path())) {
      found.push_back(entries->path());
    }
  }
  check(!error, "cannot read the folder '{}': {}", folder.string(), error.message());
  if (found.empty()) {
    fail_usage("--images {}: there is no PNG or JPEG file (.png, .jpg or .jpeg) in this folder", folder.string());
  }
  std::ranges::sort(found, comes_before);
  return found;
}

/// What a pattern means; a word without wildcards means itself, whether it is there or not.
std::vector<fs::path> matches_of(const std::string& word) {
  std::error_code error;
  if (word.find_first_of("*?[") == std::string::npos || fs::exists(word, error)) {
    return {word};
  }
  ::glob_t matches{};
  const int result = ::glob(word.c_str(), GLOB_NOSORT, nullptr, &matches);
  std::vector<fs::path> found(matches.gl_pathv, matches.gl_pathv + matches.gl_pathc);
  ::globfree(&matches);
  if (result == GLOB_NOMATCH) {
    fail_usage("--images '{}': no file is called so", word);
  }
  check(result == 0, "--images '{}': the files that are called so cannot be found", word);
  std::ranges::sort(found, comes_before);
  return found;
}

/// The deepest folder that holds all of them.
fs::path common_folder(const std::vector<Picture>& pictures) {
  fs::path common = fs::absolute(pictures.front().path).lexically_normal().parent_path();
  for (const Picture& picture : pictures) {
    const fs::path path = fs::absolute(picture.path).lexically_normal();
    const auto [end, other] = std::mismatch(common.begin(), common.end(), path.begin(), path.end());
    fs::path shared;
    for (auto part = common.begin(); part != end; ++part) {
      shared /= *part;
    }
    common = std::move(shared);
  }
  return common;
}

/// Two pictures of the same name; none: nullptr twice.
std::pair<const Picture*, const Picture*> two_of_a_name(const std::vector<Picture>& pictures) {
  std::map<fs::path, const Picture*> by_name;
  for (const Picture& picture : pictures) {
    const auto [place, is_new] = by_name.try_emplace(picture.name, &picture);
    if (!is_new) {
      return {place->second, &picture};
    }
  }
  return {nullptr, nullptr};
}

}  // namespace

std::vector<Picture> find_pictures(const std::vector<std::string>& words, const fs::path& output) {
  std::vector<Picture> pictures;
  std::set<fs::path> known;
  const auto add = [&](const fs::path& path, fs::path name) {
    if (known.insert(fs::absolute(path).lexically_normal()).second) {
      pictures.push_back({path, name.replace_extension()});
    }
  };
  for (const std::string& word : words) {
    for (const fs::path& match : matches_of(word)) {
      std::error_code error;
      if (!fs::is_directory(match, error)) {
        refuse_among(match.parent_path(), output);
        add(match, match.filename());
        continue;
      }
      for (const fs::path& path : pictures_below(match, output)) {
        add(path, path.lexically_relative(match));
      }
    }
  }
  if (two_of_a_name(pictures).first != nullptr) {
    const fs::path common = common_folder(pictures);
    for (Picture& picture : pictures) {
      picture.name = fs::absolute(picture.path).lexically_normal().lexically_relative(common).replace_extension();
    }
  }
  if (const auto [first, second] = two_of_a_name(pictures); first != nullptr) {
    fail_usage(
        "'{}' and '{}' differ in their endings alone: their results would overwrite each other; predict them "
        "into two folders",
        first->path.string(), second->path.string());
  }
  for (const Picture& picture : pictures) {
    for (const char* ending : {"_label.png", "_normals.png"}) {
      const fs::path result = fs::absolute(output / picture.name).lexically_normal().string() + ending;
      if (known.contains(result)) {
        fail_usage("--output '{}': what is predicted of '{}' would overwrite the image '{}'; name another folder",
                   output.string(), picture.path.string(), result.string());
      }
    }
  }
  return pictures;
}

std::vector<std::string> faults_of_headers(const std::vector<Picture>& pictures, std::size_t num_threads,
                                           ProgramWatch& watch) {
  std::vector<std::string> faults;
  Progress progress("looking at", static_cast<std::int64_t>(pictures.size()));
  OrderedPool<std::string> pool(pictures.size(), num_threads, [&](std::size_t i) -> std::string {
    try {
      const fs::path& path = pictures[i].path;
      const io::ImageHeader header = io::read_image_header(path);
      io::check_image_rules(header, {.orientation = io::Orientation::ignore}, path);
      io::check_picture(header, path);
      return {};
    } catch (const Error& error) {
      return error.what();
    }
  });
  for (const Picture& picture : pictures) {
    watch.beat(picture.path.string());
    faults.push_back(pool.take());
    progress.update(static_cast<std::int64_t>(faults.size()), "images");
  }
  return faults;
}

}  // namespace xtasc::launch
