#include "preprocess/datasets/nyuv2.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>
#include <utility>

#include "core/error.hpp"
#include "core/log.hpp"
#include "io/hdf5/hdf5_frames.hpp"
#include "preprocess/datasets/depth_bounds.hpp"
#include "preprocess/datasets/matlab5.hpp"
#include "preprocess/datasets/normals_png.hpp"
#include "preprocess/datasets/nyuv2_tables.hpp"
#include "preprocess/datasets/raw_folder.hpp"

namespace xtasc::preprocess {

namespace {

namespace fs = std::filesystem;
using io::check;

constexpr const char* kLabeledFile = "nyu_depth_v2_labeled.mat";
constexpr std::size_t kOriginalHeight = 480, kOriginalWidth = 640;
/// Of the frames' colour camera, whose pixels the toolbox counts from 1.
constexpr Pinhole kCamera = {518.857901, 519.469611, 325.582449 - 1, 253.736166 - 1};
constexpr std::size_t kCacheBytes = std::size_t{128} << 20;  ///< of inflated chunks, for each of the three variables

/// A NYU label, 0 (unlabelled) .. 894, -> one of 13 classes or kIgnoreLabel.
std::array<std::uint8_t, kNyuv2Labels + 1> class_of_label() {
  std::array<std::uint8_t, kNyuv2Labels + 1> classes{};
  classes[0] = pack::kIgnoreLabel;
  for (std::size_t label = 1; label <= kNyuv2Labels; ++label) {
    classes[label] = static_cast<std::uint8_t>(kNyuv2Class13[kNyuv2Class40[label - 1] - 1] - 1);
  }
  return classes;
}

std::unique_ptr<io::Hdf5Frames> open_frames(hid_t file, const std::string& name, const std::string& type,
                                            std::size_t rank, hid_t memory_type, const std::string& where) {
  {
    const io::Hdf5Handle data_set = io::open_dataset(file, name, where);
    const auto shape = io::dataset_shape(data_set.get());
    check(io::dataset_type_name(data_set.get()) == type && shape.size() == rank,
          "{}: '{}' is {} of shape {}, {} of {} dimensions is expected", where, name,
          io::dataset_type_name(data_set.get()), io::shape_text(shape), type, rank);
  }
  return std::make_unique<io::Hdf5Frames>(file, name, memory_type, kCacheBytes, where);
}

/// MATLAB stores the width before the height, and NYU Depth v2 is wider than high: what is higher than wide was
/// transposed by somebody, and would be packed lying on its side. \throws Error  asking for that.
void check_axes(const char* name, const std::vector<hsize_t>& shape, const std::string& where) {
  const hsize_t columns = shape[shape.size() - 2], rows = shape.back();
  check(rows <= columns,
        "{}: '{}' has shape {}, whose last two, width x height as MATLAB stores them, should be {} x {}: were the axes "
        "already put right? The file is expected as NYU publishes it",
        where, name, io::shape_text(shape), kOriginalWidth, kOriginalHeight);
}

/// MATLAB stores columns first: (channels, width, height) in the file -> (height, width, channels).
template <typename T>
std::vector<T> transposed(const std::vector<T>& in, std::size_t height, std::size_t width, std::size_t channels) {
  std::vector<T> out(in.size());
  for (std::size_t c = 0; c < channels; ++c) {
    for (std::size_t x = 0; x < width; ++x) {
      const T* column = in.data() + (c * width + x) * height;
      for (std::size_t y = 0; y < height; ++y) {
        out[(y * width + x) * channels + c] = column[y];
      }
    }
  }
  return out;
}

/// Components that point the other way than those from depth: words for them, or nothing. A few pixels may differ, and
/// a frame may hardly have an axis, but a turned axis turns most of it.
std::string turned_axes(std::span<const std::int16_t> normals, std::span<const std::int16_t> from_depth) {
  std::string words;
  for (std::size_t axis = 0; axis < 3; ++axis) {
    std::int64_t agreement = 0, extent = 0;
    for (std::size_t i = axis; i < normals.size(); i += 3) {
      const std::int64_t product = std::int64_t{normals[i]} * from_depth[i];
      agreement += product;
      extent += std::abs(product);
    }
    if (2 * agreement < -extent) {
      words += fmt::format("{}{}", words.empty() ? "" : " and ", "xyz"[axis]);
    }
  }
  return words;
}

}  // namespace

pack::LabelSet nyuv2_label_set() {
  return {"label",
          {"bed", "books", "ceiling", "chair", "floor", "furniture", "objects", "picture", "sofa", "table", "tv",
           "wall", "window"},
          pack::default_class_colors(kNyuv2Classes13)};
}

struct Nyuv2Dataset::Impl {
  fs::path path;
  pack::Schema schema;
  io::Hdf5Handle file;
  std::unique_ptr<io::Hdf5Frames> images, depths, labels;
  std::size_t num_frames = 0, height = 0, width = 0;
  std::array<std::uint8_t, kNyuv2Labels + 1> class_map = class_of_label();
  std::array<std::vector<std::size_t>, 2> frames;  ///< 1-based, in the split's order
  std::array<std::vector<std::string>, 2> names;
  std::optional<Nyuv2Normals> normals;

  Impl(const fs::path& root, std::optional<Nyuv2Normals> the_normals);
  ~Impl() {
    const auto lock = io::lock_hdf5();
    images.reset();
    depths.reset();
    labels.reset();
    file.close();
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  void open_labeled();
  void take_official_split();
  void read_split(const fs::path& splits_path);
  void choose_normals();
  [[nodiscard]] bool has_own_size() const { return width == kOriginalWidth && height == kOriginalHeight; }
  [[nodiscard]] Size size() const { return {static_cast<std::int64_t>(height), static_cast<std::int64_t>(width)}; }
  [[nodiscard]] io::ImageRules normals_rules() const { return {.height = size().height, .width = size().width}; }
  /// \param frame  1-based.
  [[nodiscard]] static std::string normals_name(std::size_t frame) { return fmt::format("{:04}.png", frame - 1); }
  /// \param frame  1-based.
  [[nodiscard]] NormalsFiles normals_files(std::size_t frame) const {
    const std::string name = normals_name(frame);
    return {normals->folder / "normals" / name, normals->folder / "masks" / name};
  }
  [[nodiscard]] std::vector<std::int16_t> make_normals(std::size_t frame, std::span<const float> depth) const;

  /// \param frame  1-based.
  template <typename T>
  [[nodiscard]] std::vector<T> read_frame(const io::Hdf5Frames& frames_of, std::size_t frame,
                                          std::size_t channels) const {
    std::vector<T> values(frames_of.frame_values());
    frames_of.read(frame - 1, values.data());
    return transposed(values, height, width, channels);
  }
};

Nyuv2Dataset::Impl::Impl(const fs::path& root, std::optional<Nyuv2Normals> the_normals)
    : path(root / kLabeledFile), normals(std::move(the_normals)) {
  require_folder(root);
  std::error_code error;
  check(fs::exists(path, error), "'{}' is missing{}", path.string(), archive_hint(root, "nyu"));
  schema.dataset = "nyuv2";
  schema.height = 288;
  schema.width = 384;
  schema.label_sets = {nyuv2_label_set()};
  schema.depth_kind = pack::DepthKind::metres;
  schema.depth_type = pack::DepthType::float32;
  schema.source = "NYU Depth v2, official .mat files, 13 classes";
  const auto lock = io::lock_hdf5();
  open_labeled();
  choose_normals();
  if (const fs::path splits_path = root / "splits.mat"; fs::exists(splits_path, error)) {
    read_split(splits_path);
  } else {
    take_official_split();
  }
  for (std::size_t split = 0; split < 2; ++split) {
    for (const std::size_t frame : frames[split]) {
      names[split].push_back(fmt::format("{}:{}", kLabeledFile, frame));
    }
  }
}

void Nyuv2Dataset::Impl::open_labeled() {
  const std::string where = fmt::format("'{}'", path.string());
  file = io::open_hdf5(path);
  images = open_frames(file.get(), "images", "uint8", 4, H5T_NATIVE_UINT8, where);
  depths = open_frames(file.get(), "depths", "float32", 3, H5T_NATIVE_FLOAT, where);
  labels = open_frames(file.get(), "labels", "uint16", 3, H5T_NATIVE_UINT16, where);
  for (const auto& [name, data_set] :
       {std::pair{"images", images.get()}, std::pair{"depths", depths.get()}, std::pair{"labels", labels.get()}}) {
    check_axes(name, data_set->shape(), where);
  }
  const std::vector<hsize_t>& image_shape = images->shape();
  const std::vector<hsize_t> plane_shape = {image_shape[0], image_shape[2], image_shape[3]};
  check(image_shape[1] == 3, "{}: 'images' has shape {}, frames x 3 x width x height is expected", where,
        io::shape_text(image_shape));
  for (const auto& [name, data_set] : {std::pair{"depths", depths.get()}, std::pair{"labels", labels.get()}}) {
    const std::vector<hsize_t>& shape = data_set->shape();
    check(shape == plane_shape, "{}: '{}' has shape {}, {} is expected as 'images' has it", where, name,
          io::shape_text(shape), io::shape_text(plane_shape));
  }
  num_frames = image_shape[0];
  width = image_shape[2];
  height = image_shape[3];
  if (!has_own_size()) {
    schema.source += fmt::format(" (raw size {}x{})", height, width);
    log_warning("the frames are {} x {} (height x width), NYU Depth v2's own are {} x {}; the pack says so", height,
                width, kOriginalHeight, kOriginalWidth);
  }
}

void Nyuv2Dataset::Impl::choose_normals() {
  if (!normals) {
    return;
  }
  if (normals->folder.empty()) {
    schema.normals = "from depth";
    check(has_own_size(), "'{}' has frames of {} x {} (height x width); normals from depth need the camera of {} x {}",
          path.string(), height, width, kOriginalHeight, kOriginalWidth);
    return;
  }
  schema.normals = "published";
  for (const char* folder : {"normals", "masks"}) {
    std::error_code error;
    check(fs::is_directory(normals->folder / folder, error), "there is no folder '{}'",
          (normals->folder / folder).string());
  }
}

std::vector<std::int16_t> Nyuv2Dataset::Impl::make_normals(std::size_t frame, std::span<const float> depth) const {
  if (normals->folder.empty()) {
    return normals_from_depth(depth, size(), kCamera);
  }
  std::vector<std::int16_t> published = read_normals_files(normals_files(frame), normals_rules(), normals->signs);
  if (has_own_size()) {
    const std::string turned = turned_axes(published, normals_from_depth(depth, size(), kCamera));
    check(turned.empty(),
          "cannot use '{}': against the depth of frame {}, its {} point the other way; --normals-axes "
          "says what they count",
          normals_files(frame).normals.string(), frame, turned);
  }
  return published;
}

void Nyuv2Dataset::Impl::take_official_split() {
  check(num_frames == kNyuv2Frames,
        "'{}' has {} frames, NYU Depth v2 {}: the split of other frames is read from a splits.mat beside it",
        path.string(), num_frames, kNyuv2Frames);
  for (std::size_t frame = 1; frame <= kNyuv2Frames; ++frame) {
    frames[std::ranges::binary_search(kNyuv2TestFrames, frame) ? 1 : 0].push_back(frame);
  }
}

void Nyuv2Dataset::Impl::read_split(const fs::path& splits_path) {
  frames[0] = read_indices(splits_path, "trainNdxs", 1, num_frames);
  frames[1] = read_indices(splits_path, "testNdxs", 1, num_frames);
  std::map<std::size_t, std::string_view> seen;
  std::vector<std::string> faults;
  for (std::size_t split = 0; split < 2; ++split) {
    const std::string_view list = split == 0 ? "trainNdxs" : "testNdxs";
    for (const std::size_t frame : frames[split]) {
      const auto [first, is_new] = seen.emplace(frame, list);
      if (!is_new) {
        faults.push_back(fmt::format("frame {} of {} is in {} already", frame, list, first->second));
      }
    }
  }
  if (!faults.empty()) {
    throw Error(fmt::format("'{}': {} frames are listed twice", splits_path.string(), faults.size()), ExitCode::failure,
                faults);
  }
  if (seen.size() < num_frames) {
    log_info("{} of {} frames are left out, '{}' does not name them", num_frames - seen.size(), num_frames,
             splits_path.string());
  }
}

Nyuv2Dataset::Nyuv2Dataset(const fs::path& root, std::optional<Nyuv2Normals> normals)
    : impl_(std::make_unique<Impl>(root, std::move(normals))) {}
Nyuv2Dataset::~Nyuv2Dataset() = default;

const pack::Schema& Nyuv2Dataset::schema() const {
  return impl_->schema;
}

const std::vector<std::string>& Nyuv2Dataset::names(pack::Split split) const {
  return impl_->names[static_cast<std::size_t>(split)];
}

std::vector<std::string> Nyuv2Dataset::list_faults() const {
  if (!impl_->normals || impl_->normals->folder.empty()) {
    return {};
  }
  std::set<std::string> known;
  for (std::size_t frame = 1; frame <= impl_->num_frames; ++frame) {
    known.insert(Impl::normals_name(frame));
  }
  std::vector<std::string> faults;
  for (const char* name : {"normals", "masks"}) {
    const fs::path folder = impl_->normals->folder / name;
    for (const std::string& file : list_entries(folder).files) {
      if (looks_like_data(file) && !known.contains(file)) {
        faults.push_back(fmt::format("'{}' belongs to no frame: {} to {} are expected", (folder / file).string(),
                                     *known.begin(), *known.rbegin()));
      }
    }
  }
  return faults;
}

std::vector<std::string> Nyuv2Dataset::check_files(pack::Split split, std::size_t index) const {
  if (!impl_->normals || impl_->normals->folder.empty()) {
    return {};
  }
  try {
    check_normals_files(impl_->normals_files(impl_->frames[static_cast<std::size_t>(split)][index]),
                        impl_->normals_rules(), io::read_whole_image_header);
  } catch (const Error& error) {
    return {error.what()};
  }
  return {};
}

RawSample Nyuv2Dataset::decode(pack::Split split, std::size_t index, const Resize& resize) const {
  const std::size_t frame = impl_->frames[static_cast<std::size_t>(split)][index];
  const auto where = [&](std::size_t pixel) {
    return fmt::format("'{}' frame {}, row {}, column {}", impl_->path.string(), frame, pixel / impl_->width,
                       pixel % impl_->width);
  };
  RawSample sample;
  sample.height = static_cast<std::int64_t>(impl_->height);
  sample.width = static_cast<std::int64_t>(impl_->width);
  sample.image = impl_->read_frame<std::uint8_t>(*impl_->images, frame, 3);

  const auto raw_labels = impl_->read_frame<std::uint16_t>(*impl_->labels, frame, 1);
  std::vector<std::uint8_t> labels(raw_labels.size());
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (raw_labels[i] > kNyuv2Labels) {  // no check(): it would make the text for every pixel
      fail("{}: label {}, 0 to {} are known", where(i), raw_labels[i], kNyuv2Labels);
    }
    labels[i] = impl_->class_map[raw_labels[i]];
  }
  sample.labels.push_back(std::move(labels));

  auto depth = impl_->read_frame<float>(*impl_->depths, frame, 1);
  const auto most = static_cast<float>(nyuv2_depth_bounds().most);
  for (std::size_t i = 0; i < depth.size(); ++i) {
    if (!(depth[i] >= 0.0F && depth[i] <= most)) {
      check(!(std::isfinite(depth[i]) && depth[i] > most), "{}: depth {}; {}", where(i), depth[i],
            too_much_depth(nyuv2_depth_bounds(), double{depth[i]}));
      fail("{}: depth {}, metres from 0 (invalid) up are expected", where(i), depth[i]);
    }
  }
  if (impl_->normals) {
    sample.normals = impl_->make_normals(frame, depth);
  }
  sample.depth = std::move(depth);
  resize_sample(sample, resize);
  return sample;
}

std::optional<std::string> Nyuv2Dataset::depth_fault(double largest) const {
  return too_little_depth(nyuv2_depth_bounds(), largest);
}

}  // namespace xtasc::preprocess
