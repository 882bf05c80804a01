#include "preprocess/datasets/mtan.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <set>
#include <utility>

#include "core/error.hpp"
#include "core/log.hpp"
#include "preprocess/datasets/cityscapes_classes.hpp"
#include "preprocess/datasets/mtan_arrays.hpp"
#include "preprocess/datasets/nyuv2.hpp"

namespace xtasc::preprocess {

namespace {

namespace fs = std::filesystem;

/// Of a value in 0 .. 255 from the nearest whole number: float32 leaves 1e-5 of what was uint8 / 255.
constexpr double kRoundingTolerance = 1e-3;

bool is_folder(const fs::path& path) {
  std::error_code error;
  return fs::is_directory(path, error);
}

constexpr std::string_view kEnd = ".npy";
constexpr std::string_view kNormalsFolder = "normal";

/// "17.npy" -> 17; nothing when the name is no number.
std::optional<std::uint64_t> number_of(const std::string& file) {
  std::uint64_t number = 0;
  const char* const end = file.data() + file.size() - kEnd.size();
  const auto [stop, error] = std::from_chars(file.data(), end, number);
  return error == std::errc() && stop == end ? std::optional(number) : std::nullopt;
}

MtanPart part_of(const std::string& folder) {
  return folder == "image"          ? MtanPart::image
         : folder == "depth"        ? MtanPart::depth
         : folder == kNormalsFolder ? MtanPart::normals
                                    : MtanPart::label;
}

}  // namespace

MtanDataset::MtanDataset(fs::path root, MtanKind kind, std::optional<int> num_classes, std::optional<AxisSigns> normals)
    : root_(std::move(root)), kind_(kind), normals_(normals) {
  require_folder(root_);
  split_folders_ = {"train", is_folder(root_ / "val") || !is_folder(root_ / "test") ? "val" : "test"};
  if (split_folders_[1] == "val" && is_folder(root_ / "test")) {
    log_info("'{}' is left out: val is there", (root_ / "test").string());
  }
  schema_.depth_type = pack::DepthType::float32;
  if (kind == MtanKind::nyuv2) {
    if (num_classes && *num_classes != 13) {
      fail_usage("--classes {}: NYUv2 has 13 classes; --classes is for --dataset cityscapes", *num_classes);
    }
    schema_.dataset = "nyuv2";
    schema_.height = 288;
    schema_.width = 384;
    schema_.depth_kind = pack::DepthKind::metres;
    schema_.source = "NYU Depth v2, MTAN's .npy files, 13 classes";
    schema_.label_sets = {nyuv2_label_set()};
    folders_ = {"image", "label", "depth"};
  } else {
    schema_.dataset = "cityscapes";
    schema_.height = 128;
    schema_.width = 256;
    schema_.depth_kind = pack::DepthKind::inverse_depth;
    schema_.source = "Cityscapes, MTAN's .npy files";
    choose_label_sets(num_classes);
  }
  if (normals_) {
    schema_.normals = "mtan";
    folders_.emplace_back(kNormalsFolder);
  }
  std::vector<std::string> missing;
  for (const std::string& split : split_folders_) {
    for (const std::string& folder : folders_) {
      if (const fs::path path = root_ / split / folder; !is_folder(path)) {
        missing.push_back(fmt::format("there is no folder '{}'{}", path.string(), archive_hint(root_, "")));
      }
    }
  }
  if (!missing.empty()) {
    throw Error(
        fmt::format("'{}' does not hold MTAN's {} ({{train,val}}/{{image,{},depth}}/0.npy, 1.npy, ...)", root_.string(),
                    schema_.dataset, kind == MtanKind::nyuv2 ? "label" : "label_7|label_19|label"),
        ExitCode::failure, missing);
  }
  log_unused();
  for (const pack::Split split : {pack::Split::train, pack::Split::val}) {
    list_split(split);
  }
  passed_over_.log();
  find_first_size();
  check_first_size();
}

std::string MtanDataset::quoted(const std::string& name) const {
  return fmt::format("'{}'", (root_ / name).string());
}

/// Says which folders hold what a pack has no place for. choose_label_sets speaks of those of labels.
void MtanDataset::log_unused() const {
  std::set<std::string> unused;
  for (const std::string& split : split_folders_) {
    for (const std::string& folder : list_entries(root_ / split).folders) {
      const bool is_junk = folder.starts_with('.') || folder == "@eaDir" || folder == "__MACOSX";
      const bool is_used = std::find(folders_.begin(), folders_.end(), folder) != folders_.end();
      if (!is_junk && !is_used && folder != "label" && folder != "label_7" && folder != "label_19") {
        unused.insert(folder);
      }
    }
  }
  for (const std::string& folder : unused) {
    log_info("{}/ is left out: {}", folder,
             folder == kNormalsFolder ? "--normals packs it" : "packs have no place for it");
  }
}

/// MTAN's files have one size, that of the pack when none is asked for.
void MtanDataset::check_first_size() {
  const Size own{schema_.height, schema_.width};
  if (!first_size_ || *first_size_ == own) {
    return;
  }
  check(first_size_->height <= first_size_->width,
        "cannot use {}: {} x {} pixels (height x width), higher than wide; those of {} are {} x {}: were its axes "
        "swapped?",
        first_name_, first_size_->height, first_size_->width, schema_.dataset, own.height, own.width);
  schema_.source += fmt::format(" (raw size {}x{})", first_size_->height, first_size_->width);
  log_warning("the images are {} x {} (height x width), MTAN's own are {} x {}; the pack says so", first_size_->height,
              first_size_->width, own.height, own.width);
}

void MtanDataset::choose_label_sets(std::optional<int> num_classes) {
  if (num_classes && *num_classes != 7 && *num_classes != 19) {
    fail_usage("--classes {}: Cityscapes has 7 or 19 classes here", *num_classes);
  }
  const auto is_there = [&](const std::string& folder) {
    return is_folder(root_ / split_folders_[0] / folder) || is_folder(root_ / split_folders_[1] / folder);
  };
  const auto is_wanted = [&](int classes) { return !num_classes || *num_classes == classes; };
  const bool has_7 = is_there("label_7") && is_wanted(7);
  const bool has_19 = is_there("label_19") && is_wanted(19);
  const bool takes_label = !has_7 && !has_19;
  if (takes_label && !is_there("label") && num_classes && (is_there("label_7") || is_there("label_19"))) {
    fail_usage("--classes {}: '{}' has {}/ and no label_{}/", *num_classes, root_.string(),
               is_there("label_7") ? "label_7" : "label_19", *num_classes);
  }
  folders_ = {"image"};
  if (has_7) {
    folders_.emplace_back("label_7");
    schema_.label_sets.push_back(label_set_7(has_19 ? "label_7" : "label"));
  }
  if (has_19) {
    folders_.emplace_back("label_19");
    schema_.label_sets.push_back(label_set_19(has_7 ? "label_19" : "label"));
  }
  if (takes_label) {
    folders_.emplace_back("label");
    schema_.label_sets.push_back(num_classes.value_or(7) == 7 ? label_set_7("label") : label_set_19("label"));
  } else if (is_there("label")) {
    log_info("label/ is left out: {} tells its number of classes", has_7 ? "label_7/" : "label_19/");
  }
  folders_.emplace_back("depth");
}

void MtanDataset::list_folder(const std::string& folder, std::size_t position,
                              std::map<std::uint64_t, Sample>& samples) {
  FolderEntries entries;
  try {
    entries = list_entries(root_ / folder);
  } catch (const Error& error) {
    list_faults_.emplace_back(error.what());
  }
  for (const std::string& name : entries.folders) {
    passed_over_.add(fmt::format("{}/{}/", folder, name));
  }
  for (const std::string& file : entries.files) {
    const std::string name = fmt::format("{}/{}", folder, file);
    if (!looks_like_data(file)) {
      passed_over_.add(name);
      continue;
    }
    const auto number = file.ends_with(kEnd) ? number_of(file) : std::nullopt;
    if (!number) {
      list_faults_.push_back(fmt::format("cannot use {}: a number is expected as its name, as in 0.npy", quoted(name)));
      continue;
    }
    Sample& sample = samples[*number];
    sample.files.resize(folders_.size());
    if (std::string& known = sample.files[position]; known.empty()) {
      known = name;
    } else {
      sample.faults.push_back(fmt::format("cannot use {}: {} has the same number", quoted(name), quoted(known)));
    }
  }
}

void MtanDataset::list_split(pack::Split split) {
  const auto at = static_cast<std::size_t>(split);
  std::map<std::uint64_t, Sample> samples;
  for (std::size_t i = 0; i < folders_.size(); ++i) {
    list_folder(fmt::format("{}/{}", split_folders_[at], folders_[i]), i, samples);
  }
  if (samples.empty()) {
    list_faults_.push_back(fmt::format("{} is empty, 0.npy, 1.npy, ... are expected",
                                       quoted(fmt::format("{}/{}", split_folders_[at], folders_[0]))));
    return;
  }
  for (auto& [number, sample] : samples) {
    const auto there = std::find_if(sample.files.begin(), sample.files.end(), [](const auto& f) { return !f.empty(); });
    for (std::size_t i = 0; i < folders_.size(); ++i) {
      if (sample.files[i].empty()) {
        const std::string name = fmt::format("{}/{}/{}.npy", split_folders_[at], folders_[i], number);
        sample.faults.push_back(fmt::format("{} is missing, {} is there", quoted(name), quoted(*there)));
      }
    }
    names_[at].push_back(sample.files[0].empty() ? *there : sample.files[0]);
    samples_[at].push_back(std::move(sample));
  }
  if (const std::uint64_t last = samples.rbegin()->first; last >= samples.size()) {
    log_info("{}/: {} samples, numbered up to {}: some numbers are not there", split_folders_[at], samples.size(),
             last);
  }
}

void MtanDataset::find_first_size() {
  for (const auto& split : samples_) {
    for (const Sample& sample : split) {
      try {
        const std::string& name = sample.files[0];
        first_size_ = check_array(io::read_npy_header(root_ / name), MtanPart::image, quoted(name));
        first_name_ = quoted(name);
        return;
      } catch (const Error&) {
        // check_files lists it.
      }
    }
  }
}

std::vector<std::string> MtanDataset::check_files(pack::Split split, std::size_t index) const {
  const Sample& sample = samples_[static_cast<std::size_t>(split)][index];
  std::vector<std::string> faults = sample.faults;
  std::optional<Size> expected = first_size_;
  std::string reference = first_name_;
  for (std::size_t i = 0; i < sample.files.size(); ++i) {
    if (sample.files[i].empty()) {
      continue;
    }
    try {
      const std::string where = quoted(sample.files[i]);
      const Size size = check_array(io::read_npy_header(root_ / sample.files[i]), part_of(folders_[i]), where);
      if (i == 0) {  // the sample's other files must fit it, even where it does not fit the first sample's
        expected = size;
        reference = where;
      }
      check_array_size(size, (i == 0 ? first_size_ : expected).value_or(size), where, i == 0 ? first_name_ : reference);
    } catch (const Error& error) {
      faults.emplace_back(error.what());
    }
  }
  return faults;
}

std::vector<std::uint8_t> MtanDataset::decode_image(const io::NpyNumbers& file, const std::string& name) const {
  const bool is_float = file.header.type != "|u1";
  std::vector<std::uint8_t> pixels(file.values.size());
  double largest_error = 0;
  for (std::size_t i = 0; i < pixels.size(); ++i) {
    const double value = is_float ? 255.0 * file.values[i] : file.values[i];
    const double rounded = std::round(value);
    if (!(rounded >= 0 && rounded <= 255)) {
      fail("cannot use {}: value {} at {}, channel {}; 0 to 1 is expected", quoted(name), file.values[i],
           pixel_text(i / 3, file.header), i % 3);
    }
    largest_error = std::max(largest_error, std::abs(value - rounded));
    pixels[i] = static_cast<std::uint8_t>(rounded);
  }
  if (largest_error > kRoundingTolerance && !warned_of_rounding_.exchange(true)) {
    log_warning("image values lie between the 256 steps of a byte; they are rounded, by at most 0.002 of 1");
  }
  return pixels;
}

std::vector<std::uint8_t> MtanDataset::decode_labels(const io::NpyNumbers& file, std::size_t label_set,
                                                     const std::string& name) const {
  const auto num_classes = static_cast<double>(schema_.label_sets[label_set].class_names.size());
  std::vector<std::uint8_t> labels(file.values.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const double value = file.values[i];
    if (value == -1.0 || value == pack::kIgnoreLabel) {
      labels[i] = pack::kIgnoreLabel;
      continue;
    }
    if (!(value >= 0.0 && value < num_classes && value == std::floor(value))) {
      const bool may_be_19 = kind_ == MtanKind::cityscapes && num_classes == 7 && value >= 7 && value < 19;
      fail("cannot use {}: label {} at {}; classes are 0 to {}, -1 and 255 are ignored{}", quoted(name), value,
           pixel_text(i, file.header), num_classes - 1,
           may_be_19 && folders_[1] == "label" ? " (--classes 19 takes 19 classes)" : "");
    }
    labels[i] = static_cast<std::uint8_t>(value);
  }
  return labels;
}

const DepthBounds& MtanDataset::depth_bounds() const {
  return kind_ == MtanKind::nyuv2 ? nyuv2_depth_bounds() : cityscapes_depth_bounds();
}

std::optional<std::string> MtanDataset::depth_fault(double largest) const {
  return too_little_depth(depth_bounds(), largest);
}

std::vector<float> MtanDataset::decode_depth(const io::NpyNumbers& file, const std::string& name) const {
  const auto most = static_cast<float>(depth_bounds().most);
  std::vector<float> depth(file.values.size());
  for (std::size_t i = 0; i < depth.size(); ++i) {
    depth[i] = static_cast<float>(file.values[i]);
    if (!(depth[i] >= 0.0F && depth[i] <= most)) {
      check(!(std::isfinite(depth[i]) && depth[i] > most), "cannot use {}: depth {} at {}; {}", quoted(name),
            file.values[i], pixel_text(i, file.header), too_much_depth(depth_bounds(), file.values[i]));
      fail("cannot use {}: depth {} at {}; {} from 0 (invalid) up {}", quoted(name), file.values[i],
           pixel_text(i, file.header), kind_ == MtanKind::nyuv2 ? "metres" : "inverse depth",
           kind_ == MtanKind::nyuv2 ? "are expected" : "is expected");
    }
  }
  return depth;
}

RawSample MtanDataset::decode(pack::Split split, std::size_t index, const Resize& resize) const {
  const Sample& files = samples_[static_cast<std::size_t>(split)][index];
  RawSample sample;
  Size size;
  for (std::size_t i = 0; i < folders_.size(); ++i) {
    const std::string& name = files.files[i];
    const io::NpyNumbers file = io::read_npy_numbers(root_ / name);
    const MtanPart part = part_of(folders_[i]);
    const Size found = check_array(file.header, part, quoted(name));
    size = i == 0 ? found : size;
    check_array_size(found, size, quoted(name), quoted(files.files[0]));
    switch (part) {
      case MtanPart::image:
        sample.image = decode_image(file, name);
        break;
      case MtanPart::label:
        sample.labels.push_back(decode_labels(file, i - 1, name));
        break;
      case MtanPart::depth:
        sample.depth = decode_depth(file, name);
        break;
      case MtanPart::normals:
        sample.normals = normals_of(file, *normals_, quoted(name));
        break;
    }
  }
  sample.height = size.height;
  sample.width = size.width;
  resize_sample(sample, resize);
  return sample;
}

}  // namespace xtasc::preprocess
