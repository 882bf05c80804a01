#include "preprocess/datasets/folder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <set>
#include <sstream>
#include <unordered_map>
#include <utility>

#include "core/error.hpp"
#include "core/log.hpp"
#include "io/file.hpp"
#include "io/image/exif.hpp"
#include "preprocess/datasets/raw_folder.hpp"

namespace xtasc::preprocess {

namespace {

namespace fs = std::filesystem;

constexpr Size kDefaultSize{288, 384};

std::string fill_pattern(std::string pattern, const std::string& id) {
  return pattern.replace(pattern.find("{id}"), 4, id);
}

std::string trimmed(const std::string& line) {
  const auto begin = line.find_first_not_of(" \t\r");
  return begin == std::string::npos ? "" : line.substr(begin, line.find_last_not_of(" \t\r") - begin + 1);
}

bool stays_below_root(const std::string& id) {
  const fs::path path(id);
  return !path.is_absolute() && std::find(path.begin(), path.end(), "..") == path.end() &&
         id.find('\0') == std::string::npos;
}

}  // namespace

FolderDataset::FolderDataset(fs::path root, FolderDescription description)
    : root_(std::move(root)), description_(std::move(description)) {
  require_folder(root_);
  const Size size = description_.size.value_or(kDefaultSize);
  schema_.dataset = description_.name;
  schema_.height = size.height;
  schema_.width = size.width;
  schema_.label_sets = {{"label", description_.label.class_names, description_.label.class_colors}};
  schema_.depth_kind = description_.depth.kind;
  schema_.depth_type = pack::DepthType::float32;
  schema_.source = description_.source;
  schema_.normals = description_.normals ? "png" : "";

  class_of_value_.fill(pack::kIgnoreLabel);
  for (std::size_t i = 0; i < description_.label.class_names.size(); ++i) {
    const auto value = i + static_cast<std::size_t>(description_.label.offset);
    class_of_value_[value] = static_cast<std::uint8_t>(i);
    value_is_known_[value] = true;
  }
  for (const std::int64_t value : description_.label.void_values) {
    class_of_value_[static_cast<std::size_t>(value)] = pack::kIgnoreLabel;
    value_is_known_[static_cast<std::size_t>(value)] = true;
  }
  for (std::size_t value = 0; value < std::size_t{1} << description_.depth.bits; ++value) {
    depth_of_value_.push_back(
        static_cast<float>((static_cast<double>(value) + description_.depth.offset) / description_.depth.divisor));
  }
  for (const std::int64_t value : description_.depth.invalid_values) {
    depth_of_value_[static_cast<std::size_t>(value)] = 0.0F;
  }
  for (const pack::Split split : {pack::Split::train, pack::Split::val}) {
    read_split(split);
  }
  look_for_optional();
  log_unlisted();
}

void FolderDataset::read_split(pack::Split split) {
  const fs::path list = root_ / description_.split_files[static_cast<std::size_t>(split)];
  std::istringstream lines(io::read_text(list, "a list of ids, one a line,"));
  std::unordered_map<std::string, std::string> seen;  // id -> where
  for (const std::string& id : ids_[0]) {
    seen.emplace(fs::path(id).lexically_normal().string(), description_.split_files[0]);
  }
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    const std::string id = trimmed(line);
    if (id.empty()) {
      continue;
    }
    const std::string where = fmt::format("{}:{}", list.string(), number);
    if (!stays_below_root(id)) {
      list_faults_.push_back(fmt::format("{}: '{}' leads out of the root folder", where, id));
      continue;
    }
    const auto [first, is_new] = seen.emplace(fs::path(id).lexically_normal().string(), where);  // "a//0" is "a/0"
    if (!is_new) {
      list_faults_.push_back(fmt::format("{}: '{}' is listed already ({})", where, id, first->second));
      continue;
    }
    ids_[static_cast<std::size_t>(split)].push_back(id);
    names_[static_cast<std::size_t>(split)].push_back(fill_pattern(description_.image_file, id));
  }
  if (ids_[static_cast<std::size_t>(split)].empty()) {
    list_faults_.push_back(fmt::format("{}: the list is empty, one id a line is expected", list.string()));
  }
}

fs::path FolderDataset::file(const std::string& pattern, const std::string& id) const {
  return root_ / fill_pattern(pattern, id);
}

NormalsFiles FolderDataset::normals_files(const std::string& id) const {
  const FolderDescription::Normals& normals = *description_.normals;
  return {file(normals.file, id), normals.mask.empty() ? fs::path() : file(normals.mask, id)};
}

bool FolderDataset::is_missing(const std::string& pattern, bool may_be_missing, const std::string& id) const {
  std::error_code error;
  return may_be_missing && fs::symlink_status(file(pattern, id), error).type() == fs::file_type::not_found;
}

/// Says how many images lack an optional file: all of them means a wrong pattern.
void FolderDataset::look_for_optional() {
  const auto look = [this](const char* section, const std::string& pattern, bool may_be_missing) {
    std::size_t num_missing = 0, num_images = 0;
    for (const auto& ids : ids_) {
      num_images += ids.size();
      num_missing += static_cast<std::size_t>(
          std::ranges::count_if(ids, [&](const std::string& id) { return is_missing(pattern, may_be_missing, id); }));
    }
    if (num_missing > 0 && num_missing == num_images) {
      list_faults_.push_back(fmt::format("no image has a file '{}' ([{}] of '{}')", (root_ / pattern).string(), section,
                                         description_.path.string()));
    } else if (num_missing > 0) {
      log_info("{} of {} images have no file '{}', they are packed without", num_missing, num_images, pattern);
    }
  };
  look("label", description_.label.file, description_.label.may_be_missing);
  look("depth", description_.depth.file, description_.depth.may_be_missing);
  if (description_.normals) {
    look("normals", description_.normals->file, description_.normals->may_be_missing);
  }
}

namespace {

/// Whether a path is one that a pattern gives for some id, also with .JPG for .jpg.
bool fits(const std::string& pattern, const std::string& path) {
  const auto id_at = pattern.find("{id}");
  const std::string begin = pattern.substr(0, id_at), end = pattern.substr(id_at + 4);
  return path.size() > begin.size() + end.size() && path.starts_with(begin) &&
         std::equal(end.rbegin(), end.rend(), path.rbegin(),
                    [](unsigned char a, unsigned char b) { return std::tolower(a) == std::tolower(b); });
}

bool fits_normals(const FolderDescription::Normals& normals, const std::string& path) {
  return fits(normals.file, path) || (!normals.mask.empty() && fits(normals.mask, path));
}

}  // namespace

/// Images that lie where those of the lists do, but that no list names: a list may be of an older state of the folder.
void FolderDataset::log_unlisted() const {
  const std::string& pattern = description_.image_file;
  const auto id_at = pattern.find("{id}");
  const fs::path folder = root_ / fs::path(pattern.substr(0, pattern.rfind('/', id_at) + 1));
  std::set<fs::path> listed;
  for (const auto& names : names_) {
    for (const std::string& name : names) {
      listed.insert(fs::path(name).lexically_normal());
    }
  }
  std::size_t count = 0;
  std::string first;
  std::error_code error;
  for (fs::recursive_directory_iterator entry(folder, fs::directory_options::skip_permission_denied, error);
       !error && entry != fs::recursive_directory_iterator(); entry.increment(error)) {
    std::string name = entry->path().lexically_relative(root_).string();
    if (entry->path().filename().string().starts_with('.')) {
      entry.disable_recursion_pending();
    } else if (looks_like_data(name) && fits(pattern, name) && !listed.contains(name) &&
               !fits(description_.label.file, name) && !fits(description_.depth.file, name) &&
               !(description_.normals && fits_normals(*description_.normals, name))) {
      ++count;
      first = first.empty() || name < first ? std::move(name) : first;
    }
  }
  if (count > 0) {
    log_info("{} image{} left out, no split list names {}: {}{}", count, count == 1 ? " is" : "s are",
             count == 1 ? "it" : "them", first, count == 1 ? "" : ", ...");
  }
}

io::ImageRules FolderDataset::image_rules() const {
  io::ImageRules rules;
  if (description_.raw_size) {
    rules.height = description_.raw_size->height;
    rules.width = description_.raw_size->width;
  }
  rules.orientation = description_.orientation;
  rules.turn_advice = fmt::format(
      "say in '{}' what is right: orientation = \"apply\" (turned, as viewers and OpenCV show it) or "
      "orientation = \"ignore\" (the stored pixels)",
      description_.path.string());
  rules.swapped_advice = "; height and width are swapped";
  return rules;
}

std::vector<std::string> FolderDataset::check_files(pack::Split split, std::size_t index) const {
  const std::string& id = ids_[static_cast<std::size_t>(split)][index];
  std::vector<std::string> faults = look_at_files(id, io::read_image_header);
  // An EXIF block may stand behind the pixels: before a size is called wrong, all of the files is looked at.
  return faults.empty() ? faults : look_at_files(id, io::read_whole_image_header);
}

std::vector<std::string> FolderDataset::look_at_files(const std::string& id,
                                                      io::ImageHeader (*read_header)(const fs::path&)) const {
  std::vector<std::string> faults;
  io::ImageRules rules = image_rules();
  const auto attempt = [&faults](const auto& look) {
    try {
      look();
    } catch (const Error& error) {
      faults.emplace_back(error.what());
    }
  };
  attempt([&] {
    const fs::path path = file(description_.image_file, id);
    if (std::error_code ignored; !fs::exists(fs::symlink_status(path, ignored))) {
      const std::string hint =
          id_hint(id, [this](const std::string& one) { return file(description_.image_file, one); });
      check(hint.empty(), "cannot read '{}': No such file or directory{}", path.string(), hint);
    }
    const io::ImageHeader header = read_header(path);
    io::check_image_rules(header, rules, path);
    check(header.bit_depth <= 8, "cannot use '{}': {} bits a channel, 8 are expected", path.string(), header.bit_depth);
    rules.height = header.height;  // the label and the depth must have the image's size
    rules.width = header.width;
    if (io::orientation_swaps(header.orientation)) {
      const bool is_turned = rules.orientation == io::Orientation::apply;
      if (is_turned) {
        std::swap(rules.height, rules.width);
      }
      rules.swapped_advice = fmt::format(
          "; the EXIF orientation {} of '{}' says that its pixels are to be {}: orientation = \"{}\" would "
          "make the sizes fit",
          header.orientation, path.string(), io::orientation_words(header.orientation), is_turned ? "ignore" : "apply");
    }
  });
  const auto check_map = [&](const auto& section, const auto& check_kind) {
    if (is_missing(section.file, section.may_be_missing, id)) {
      return;
    }
    const fs::path path = file(section.file, id);
    const io::ImageHeader header = read_header(path);
    check_kind(header, path);
    io::check_image_rules(header, rules, path);
  };
  attempt([&] { check_map(description_.label, io::check_label_png); });
  attempt([&] {
    check_map(description_.depth, [this](const io::ImageHeader& header, const fs::path& path) {
      io::check_grey_png(header, description_.depth.bits, path);
    });
  });
  if (const auto& normals = description_.normals; normals && !is_missing(normals->file, normals->may_be_missing, id)) {
    attempt([&] { check_normals_files(normals_files(id), rules, read_header); });
  }
  return faults;
}

void FolderDataset::note_orientation(int orientation, RawSample& sample) const {
  if (orientation != 1) {
    sample.orientation = description_.orientation == io::Orientation::apply ? "apply" : "ignore";
  }
}

void FolderDataset::decode_labels(const std::string& id, const io::ImageRules& rules, RawSample& sample) const {
  const fs::path path = file(description_.label.file, id);
  io::Image<std::uint8_t> image = io::read_label_image(path, rules);
  for (std::size_t i = 0; i < image.pixels.size(); ++i) {
    const std::uint8_t value = image.pixels[i];
    if (!value_is_known_[value]) {
      const auto width = static_cast<std::size_t>(image.width);
      const auto offset = description_.label.offset;
      fail("cannot use '{}': label {} at row {}, column {}; classes are {} to {}{}", path.string(), value, i / width,
           i % width, offset, offset + schema_.num_classes() - 1,
           description_.label.void_values.empty()
               ? ", no value is void"
               : fmt::format(", void is {}", fmt::join(description_.label.void_values, ", ")));
    }
    image.pixels[i] = class_of_value_[value];
  }
  note_orientation(image.orientation, sample);
  sample.labels.push_back(std::move(image.pixels));
}

void FolderDataset::decode_depth(const std::string& id, const io::ImageRules& rules, RawSample& sample) const {
  const fs::path path = file(description_.depth.file, id);
  std::vector<float> depth;
  const auto convert = [&](const auto& image) {
    note_orientation(image.orientation, sample);
    depth.reserve(image.pixels.size());
    for (std::size_t i = 0; i < image.pixels.size(); ++i) {
      const float value = depth_of_value_[image.pixels[i]];
      if (!(value >= 0.0F) || std::isinf(value)) {
        const auto width = static_cast<std::size_t>(image.width);
        fail("cannot use '{}': value {} at row {}, column {} gives depth {}; it must not be negative (see 'invalid')",
             path.string(), image.pixels[i], i / width, i % width, value);
      }
      depth.push_back(value);
    }
  };
  if (description_.depth.bits == 8) {
    convert(io::read_grey8_image(path, rules));
  } else {
    convert(io::read_grey16_image(path, rules));
  }
  sample.depth = std::move(depth);
}

RawSample FolderDataset::decode(pack::Split split, std::size_t index, const Resize& resize) const {
  const std::string& id = ids_[static_cast<std::size_t>(split)][index];
  io::ImageRules rules = image_rules();
  io::Image<std::uint8_t> image = io::read_rgb_image(file(description_.image_file, id), rules);
  rules.height = image.height;
  rules.width = image.width;
  RawSample sample;
  sample.height = image.height;
  sample.width = image.width;
  note_orientation(image.orientation, sample);
  note_remark(image.remark, fill_pattern(description_.image_file, id), sample);
  sample.image = std::move(image.pixels);
  if (is_missing(description_.label.file, description_.label.may_be_missing, id)) {
    leave_out(sample, "seg", schema_);
  } else {
    decode_labels(id, rules, sample);
  }
  if (is_missing(description_.depth.file, description_.depth.may_be_missing, id)) {
    leave_out(sample, "depth", schema_);
  } else {
    decode_depth(id, rules, sample);
  }
  if (const auto& normals = description_.normals; normals && is_missing(normals->file, normals->may_be_missing, id)) {
    leave_out(sample, "normals", schema_);
  } else if (normals) {
    sample.normals = read_normals_files(normals_files(id), rules, normals->signs);
  }
  resize_sample(sample, resize);
  return sample;
}

}  // namespace xtasc::preprocess
