#include "preprocess/datasets/cityscapes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <utility>

#include "core/error.hpp"
#include "core/log.hpp"
#include "preprocess/datasets/cityscapes_classes.hpp"
#include "preprocess/datasets/depth_bounds.hpp"

namespace xtasc::preprocess {

namespace {

namespace fs = std::filesystem;

constexpr Size kOriginalSize{1024, 2048};
constexpr std::string_view kImages = "leftImg8bit";
constexpr std::string_view kImageEnd = "_leftImg8bit.png";
constexpr std::string_view kLabelEnd = "_gtFine_labelIds.png";
constexpr std::string_view kInstanceEnd = "_gtFine_instanceIds.png";
constexpr std::string_view kDisparityEnd = "_disparity.png";
/// An instance id is label id * 1000 + the number of the instance; label ids without instances stand as they are.
constexpr std::uint16_t kInstanceFactor = 1000;
constexpr std::uint16_t kMaxInverseDepth = 32257;  ///< 0.4922 in multiples of 1/65536

/// "aachen_000001_000019" of "aachen_000001_000019_leftImg8bit.png"; empty for other names.
std::string frame_of(std::string_view file, std::string_view end) {
  return std::string(file.ends_with(end) ? file.substr(0, file.size() - end.size()) : "");
}

/// Folders that file servers and archives of macOS leave everywhere are none.
bool is_city(std::string_view folder) {
  return !folder.starts_with('.') && folder != "@eaDir" && folder != "__MACOSX";
}

void add_fault(std::vector<std::string>& faults, const auto& look) {
  try {
    look();
  } catch (const Error& error) {
    faults.emplace_back(error.what());
  }
}

/// \throws Error  when the label ids are missing, and the toolbox's other file of labels is there.
void check_is_no_train_ids(const fs::path& labels) {
  constexpr std::string_view kTrainIdsEnd = "_gtFine_labelTrainIds.png";
  std::string other = labels.filename().string();
  other.replace(other.size() - kLabelEnd.size(), kLabelEnd.size(), kTrainIdsEnd);
  std::error_code ignored;
  check(fs::exists(fs::symlink_status(labels, ignored)) || !fs::exists(labels.parent_path() / other, ignored),
        "cannot read '{}': No such file or directory; labelTrainIds are there, labelIds are needed: "
        "gtFine_trainvaltest.zip "
        "has them",
        labels.string());
}

template <typename T>
std::vector<T> picked(const std::vector<T>& plane, Size from, Size to) {
  return from == to ? plane : resize_nearest(std::span<const T>(plane), from, to, 1);
}

}  // namespace

CityscapesDataset::CityscapesDataset(fs::path root) : root_(std::move(root)) {
  require_folder(root_);
  std::error_code error;
  std::vector<std::string> missing;
  for (const std::string_view name : {kImages, std::string_view("gtFine"), std::string_view("disparity")}) {
    if (!fs::is_directory(root_ / name, error)) {
      missing.push_back(fmt::format("'{}' is missing{}", (root_ / name).string(), archive_hint(root_, name)));
    }
  }
  if (!missing.empty()) {
    throw Error(
        fmt::format("'{}' does not hold Cityscapes: leftImg8bit/, gtFine/ and disparity/ are expected", root_.string()),
        ExitCode::failure, missing);
  }
  for (const pack::Split split : {pack::Split::train, pack::Split::val}) {
    list_split(split);
    list_strays(split);
  }
  log_unused();
  if (fs::is_directory(root_ / kImages / "test", error)) {
    check(!frames_[0].empty() || !frames_[1].empty(),
          "'{}' holds images of test/ only, and the labels of test are not public: leftImg8bit/train and "
          "leftImg8bit/val are expected",
          root_.string());
    log_info("leftImg8bit/test is left out: its labels are not public");
  }
  find_raw_size();

  schema_.dataset = "cityscapes";
  schema_.height = 128;
  schema_.width = 256;
  schema_.label_sets = {label_set_7("label_7"), label_set_19("label_19")};
  schema_.depth_kind = pack::DepthKind::inverse_depth;
  schema_.depth_type = pack::DepthType::uint16;
  schema_.depth_scale = 1.0 / 65536.0;
  schema_.source = "Cityscapes: leftImg8bit, gtFine, disparity";
  if (raw_size_ != kOriginalSize) {
    schema_.source += fmt::format(" (raw size {}x{})", raw_size_.height, raw_size_.width);
  }
}

void CityscapesDataset::list_split(pack::Split split) {
  const std::string folder = fmt::format("{}/{}", kImages, pack::split_name(split));
  const FolderEntries entries = list_entries(root_ / folder);
  for (const std::string& file : entries.files) {
    const std::string path = folder + "/" + file;
    std::error_code error;
    if (looks_like_data(file)) {
      list_faults_.push_back(fmt::format("'{}' is in no city's folder, {}/CITY/CITY_*{} is expected",
                                         (root_ / path).string(), folder, kImageEnd));
    } else if (!file.starts_with('.') && !fs::exists(root_ / path, error)) {
      list_faults_.push_back(fmt::format("'{}' is a link that leads nowhere ({}), a city's folder is expected",
                                         (root_ / path).string(), fs::read_symlink(root_ / path, error).string()));
    } else {
      passed_over_.add(path);
    }
  }
  for (const std::string& city : entries.folders) {
    if (is_city(city)) {
      list_city(split, city);
    } else {
      passed_over_.add(folder + "/" + city + "/");
    }
  }
}

void CityscapesDataset::list_city(pack::Split split, const std::string& city) {
  const std::string_view split_text = pack::split_name(split);
  const std::string folder = fmt::format("{}/{}/{}", kImages, split_text, city);
  const FolderEntries entries = list_entries(root_ / folder);
  for (const std::string& name : entries.folders) {
    passed_over_.add(fmt::format("{}/{}/", folder, name));
  }
  for (const std::string& file : entries.files) {
    const std::string frame = frame_of(file, kImageEnd);
    const std::string path = (root_ / folder / file).string();
    if (!looks_like_data(file)) {
      passed_over_.add(fmt::format("{}/{}", folder, file));
      continue;
    }
    if (frame.empty()) {
      list_faults_.push_back(
          fmt::format("'{}' is not named as an image of Cityscapes, {}_*{} is expected", path, city, kImageEnd));
      continue;
    }
    if (!frame.starts_with(city + "_")) {
      list_faults_.push_back(
          fmt::format("'{}' is of another city than its folder, {}_*{} is expected", path, city, kImageEnd));
      continue;
    }
    if (!known_files_.insert(file).second) {
      list_faults_.push_back(fmt::format("'{}' is in train already", path));
      continue;
    }
    const auto relative = [&](std::string_view kind, std::string_view end) {
      return fmt::format("{}/{}/{}/{}{}", kind, split_text, city, frame, end);
    };
    Frame files{relative(kImages, kImageEnd), relative("gtFine", kLabelEnd), relative("disparity", kDisparityEnd)};
    std::error_code error;
    const std::string instances = relative("gtFine", kInstanceEnd);
    if (!fs::exists(root_ / files.label, error) && fs::exists(root_ / instances, error)) {
      files.label = instances;
      files.has_instances = true;
    }
    names_[static_cast<std::size_t>(split)].push_back(files.image);
    frames_[static_cast<std::size_t>(split)].push_back(std::move(files));
  }
}

/// Labels and disparities whose image is missing. Other files of the download lie among the labels.
void CityscapesDataset::list_strays(pack::Split split) {
  const std::string split_text(pack::split_name(split));
  struct Kind {
    std::string_view folder;
    std::vector<std::string_view> ends;
    std::string_view known;  ///< is in the name of every file that belongs there
  };
  for (const Kind& kind :
       {Kind{"gtFine", {kLabelEnd, kInstanceEnd}, "_gtFine_"}, Kind{"disparity", {kDisparityEnd}, kDisparityEnd}}) {
    const std::string folder = fmt::format("{}/{}", kind.folder, split_text);
    const FolderEntries cities = list_entries(root_ / folder);
    for (const std::string& file : cities.files) {
      passed_over_.add(folder + "/" + file);
    }
    for (const std::string& city : cities.folders) {
      if (!is_city(city)) {
        passed_over_.add(folder + "/" + city + "/");
        continue;
      }
      const FolderEntries entries = list_entries(root_ / folder / city);
      for (const std::string& name : entries.folders) {
        passed_over_.add(fmt::format("{}/{}/{}/", folder, city, name));
      }
      for (const std::string& file : entries.files) {
        std::string frame;
        for (const std::string_view end : kind.ends) {
          frame = frame.empty() ? frame_of(file, end) : frame;
        }
        const fs::path image = root_ / kImages / split_text / city / (frame + std::string(kImageEnd));
        std::error_code error;
        if (file.starts_with('.') || file.find(kind.known) == std::string::npos) {
          passed_over_.add(fmt::format("{}/{}/{}", folder, city, file));
        } else if (!frame.empty() && !fs::exists(fs::symlink_status(image, error))) {
          list_faults_.push_back(fmt::format("'{}' has no image, '{}' is expected",
                                             (root_ / folder / city / file).string(), image.string()));
        }
      }
    }
  }
}

/// Says what else lies beside train/ and val/, and what lay among the data.
void CityscapesDataset::log_unused() const {
  for (const std::string& folder : list_entries(root_ / kImages).folders) {
    if (folder != "train" && folder != "val" && folder != "test" && is_city(folder)) {
      log_info("{}/{} is left out: train and val are packed", kImages, folder);
    }
  }
  passed_over_.log();
}

/// The first image decides, unless it is not of the original size: then most images do.
void CityscapesDataset::find_raw_size() {
  std::map<std::pair<std::int64_t, std::int64_t>, std::size_t> votes;
  for (const auto& frames : frames_) {
    for (const Frame& frame : frames) {
      try {
        const io::ImageHeader header = io::read_image_header(root_ / frame.image);
        const Size size{header.height, header.width};
        if (votes.empty() && size == kOriginalSize) {
          return;
        }
        ++votes[{size.height, size.width}];
      } catch (const Error&) {
        // check_files lists it.
      }
    }
  }
  if (votes.empty()) {
    return;
  }
  const auto most =
      std::max_element(votes.begin(), votes.end(), [](const auto& a, const auto& b) { return a.second < b.second; });
  raw_size_ = {most->first.first, most->first.second};
  check(raw_size_.height <= raw_size_.width,
        "the images of '{}' are {} x {} (height x width), higher than wide; those of Cityscapes are {} x {}: were they "
        "turned?",
        (root_ / kImages).string(), raw_size_.height, raw_size_.width, kOriginalSize.height, kOriginalSize.width);
  if (raw_size_ != kOriginalSize) {
    log_warning("the images are {} x {} (height x width), Cityscapes' own are {} x {}; the pack says so",
                raw_size_.height, raw_size_.width, kOriginalSize.height, kOriginalSize.width);
  }
}

std::vector<fs::path> CityscapesDataset::files(pack::Split split, std::size_t index) const {
  const Frame& frame = frames_[static_cast<std::size_t>(split)][index];
  return {root_ / frame.image, root_ / frame.label, root_ / frame.disparity};
}

io::ImageRules CityscapesDataset::rules() const {
  return {.height = raw_size_.height,
          .width = raw_size_.width,
          .turn_advice = "those of Cityscapes are upright: save it again without that, and look whether it is"};
}

std::optional<std::string> CityscapesDataset::depth_fault(double largest) const {
  return too_little_depth(cityscapes_depth_bounds(), largest);
}

std::vector<std::string> CityscapesDataset::check_files(pack::Split split, std::size_t index) const {
  const Frame& frame = frames_[static_cast<std::size_t>(split)][index];
  const io::ImageRules rules = this->rules();
  std::vector<std::string> faults;
  add_fault(faults, [&] {
    const fs::path path = root_ / frame.image;
    const io::ImageHeader header = io::read_image_header(path);
    io::check_image_rules(header, rules, path);
    check(header.bit_depth == 8 && header.channels == 3 && !header.palette,
          "cannot use '{}': {} channel{} of {} bits{}, an RGB image of 8 bits is expected", path.string(),
          header.channels, header.channels == 1 ? "" : "s", header.bit_depth, header.palette ? " with a palette" : "");
  });
  const auto check_map = [&](const std::string& file, bool is_labels) {
    const fs::path path = root_ / file;
    if (is_labels) {
      check_is_no_train_ids(path);
    }
    const io::ImageHeader header = io::read_image_header(path);
    is_labels ? io::check_label_png(header, path) : io::check_grey_png(header, 16, path);
    io::check_image_rules(header, rules, path);
  };
  add_fault(faults, [&] { check_map(frame.label, !frame.has_instances); });
  add_fault(faults, [&] { check_map(frame.disparity, false); });
  return faults;
}

/// Label ids of the whole image, every one of them known.
std::vector<std::uint8_t> CityscapesDataset::decode_label_ids(const Frame& frame) const {
  const fs::path path = root_ / frame.label;
  const io::ImageRules rules = this->rules();
  const auto width = static_cast<std::size_t>(raw_size_.width);
  std::vector<std::uint8_t> ids;
  if (frame.has_instances) {
    const io::Image<std::uint16_t> instances = io::read_grey16_image(path, rules);
    ids.reserve(instances.pixels.size());
    for (std::size_t i = 0; i < instances.pixels.size(); ++i) {
      const std::uint16_t value = instances.pixels[i];
      const int id = value < kInstanceFactor ? value : value / kInstanceFactor;
      check(id <= kMaxLabelId, "cannot use '{}': instance id {} at row {}, column {}; label ids are 0 to {}",
            path.string(), value, i / width, i % width, kMaxLabelId);
      ids.push_back(static_cast<std::uint8_t>(id));
    }
    return ids;
  }
  ids = io::read_label_image(path, rules).pixels;
  if (*std::max_element(ids.begin(), ids.end()) > kMaxLabelId) {
    const auto bad = std::find_if(ids.begin(), ids.end(), [](std::uint8_t id) { return id > kMaxLabelId; });
    const auto at = static_cast<std::size_t>(bad - ids.begin());
    fail("cannot use '{}': label id {} at row {}, column {}; 0 to {} are known", path.string(), *bad, at / width,
         at % width, kMaxLabelId);
  }
  return ids;
}

RawSample CityscapesDataset::decode(pack::Split split, std::size_t index, const Resize& resize) const {
  const Frame& frame = frames_[static_cast<std::size_t>(split)][index];
  const io::ImageRules rules = this->rules();
  const io::Selection selection = nearest_selection(raw_size_, resize.to);
  RawSample sample;
  sample.height = resize.to.height;
  sample.width = resize.to.width;
  const bool is_averaged = resize.image_filter == ImageFilter::area && raw_size_ != resize.to;
  io::Image<std::uint8_t> image =
      io::read_rgb_image(root_ / frame.image, rules, is_averaged ? io::Selection{} : selection);
  sample.image = is_averaged ? resize_area(image.pixels, raw_size_, resize.to) : std::move(image.pixels);
  note_remark(image.remark, frame.image, sample);
  const std::vector<std::uint8_t> ids = picked(decode_label_ids(frame), raw_size_, resize.to);
  for (const auto& class_of_id : {kClassOfId7, kClassOfId19}) {
    std::vector<std::uint8_t>& labels = sample.labels.emplace_back(ids.size());
    std::transform(ids.begin(), ids.end(), labels.begin(), [&](std::uint8_t id) { return class_of_id[id]; });
  }
  std::vector<std::uint16_t> depth = io::read_grey16_image(root_ / frame.disparity, rules, selection).pixels;
  for (std::uint16_t& value : depth) {
    value = value == 0 ? value : std::min(static_cast<std::uint16_t>(value - 1), kMaxInverseDepth);
  }
  sample.depth = std::move(depth);
  return sample;
}

}  // namespace xtasc::preprocess
