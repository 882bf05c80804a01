#include "pack/reader.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "core/error.hpp"
#include "io/checksum.hpp"
#include "io/hdf5/hdf5.hpp"
#include "io/hdf5/hdf5_storage.hpp"
#include "pack/label_flags.hpp"

namespace xtasc::pack {

namespace {

using io::check;
using io::Hdf5Handle;

constexpr std::array kSplits = {Split::train, Split::val};

/// A data set whose first dimension counts samples, each of them a chunk.
struct SampleSet {
  Hdf5Handle data_set;
  hid_t memory_type = H5I_INVALID_HID;
  std::vector<hsize_t> sample;   ///< the shape of one: 1 x height x width (x 3)
  std::size_t sample_bytes = 0;  ///< in memory
  io::ChunkBytes chunk_bytes;    ///< in the file
};

struct SplitReader {
  std::int64_t size = 0;
  std::vector<SampleSet> data_sets;  ///< in the order of data_set_names
};

/// Samples [first, first + count) of a set into `out`; HDF5 checks the checksum of each.
io::Failure read_samples(const SampleSet& set, std::int64_t first, std::int64_t count, void* out) {
  std::vector<hsize_t> start(set.sample.size(), 0), extent = set.sample;
  start[0] = static_cast<hsize_t>(first);
  extent[0] = static_cast<hsize_t>(count);
  for (hsize_t end = start[0] + extent[0]; start[0] < end; ++start[0]) {
    hsize_t stored = 0;
    if (H5Dget_chunk_storage_size(set.data_set.get(), start.data(), &stored) < 0) {
      return io::hdf5_reason();
    }
    if (std::string fault = set.chunk_bytes.fault_of(stored); !fault.empty()) {
      return fault;
    }
  }
  start[0] = static_cast<hsize_t>(first);
  return io::read_block(set.data_set.get(), set.memory_type, start, extent, out);
}

/// Names of the label data sets of a split: "label", or "label_7" and "label_19", sorted. Asked for one by one: where a
/// list is damaged, H5Literate (1.10.8) frees what it never took.
std::vector<std::string> label_set_names(hid_t group, const std::string& where) {
  std::vector<std::string> names = possible_label_set_names();
  std::erase_if(names, [group](const std::string& name) { return !io::has_link(group, name); });
  std::sort(names.begin(), names.end());
  check(!names.empty(), "{}: there is no data set 'label' (or 'label_N')", where);
  return names;
}

LabelSet read_label_set(hid_t group, const std::string& name, const std::string& where) {
  const Hdf5Handle data_set = io::open_dataset(group, name, where);
  const std::string place = where + "/" + name;
  LabelSet set;
  set.name = name;
  set.class_names = io::read_strings_attribute(data_set.get(), "class_names", place);
  const auto bytes = io::read_bytes_attribute(data_set.get(), "class_colors", set.class_names.size(), 3, place);
  for (std::size_t i = 0; i + 2 < bytes.size(); i += 3) {
    set.class_colors.push_back({bytes[i], bytes[i + 1], bytes[i + 2]});
  }
  return set;
}

void check_format(hid_t root, const std::string& where) {
  check(H5Aexists(root, "format") > 0, "'{}' is an HDF5 file but no pack: it has no attribute 'format'", where);
  // First of all, because another version's texts may be stored in another way.
  const std::int64_t version = io::read_int_attribute(root, "version", where);
  check(version == kVersion || version == kPartialVersion,
        "{}: it is a pack of version {}, this program reads versions {} and {}: pack the raw data again", where,
        version, kVersion, kPartialVersion);
  const std::string format = io::read_string_attribute(root, "format", where);
  check(format == kFormat, "{}: its format is \"{}\", \"{}\" is expected", where, format, kFormat);
}

/// The elements that a data set has in the file.
std::string_view wanted_type(const Schema& schema, std::size_t data_set) {
  if (data_set < depth_data_set(schema)) {
    return "uint8";
  }
  return data_set == depth_data_set(schema) ? "uint16 or float32" : "int16";
}

hid_t memory_type(const Schema& schema, std::size_t data_set) {
  if (data_set < depth_data_set(schema)) {
    return H5T_NATIVE_UINT8;
  }
  if (data_set > depth_data_set(schema)) {
    return H5T_NATIVE_INT16;
  }
  return schema.depth_type == DepthType::uint16 ? H5T_NATIVE_UINT16 : H5T_NATIVE_FLOAT;
}

Schema read_attributes(hid_t root, const std::string& where) {
  Schema schema;
  schema.dataset = io::read_string_attribute(root, "dataset", where);
  schema.height = io::read_int_attribute(root, "height", where);
  schema.width = io::read_int_attribute(root, "width", where);
  const std::int64_t ignore = io::read_int_attribute(root, "ignore_label", where);
  check(ignore == kIgnoreLabel, "{}: ignore_label is {}, {} is expected", where, ignore, kIgnoreLabel);
  schema.depth_kind = depth_kind_from(io::read_string_attribute(root, "depth_kind", where), where);
  schema.depth_scale = io::read_double_attribute(root, "depth_scale", 1, where).front();
  schema.depth_max = io::read_double_attribute(root, "depth_max", 1, where).front();
  const auto mean = io::read_double_attribute(root, "image_mean", 3, where);
  const auto std = io::read_double_attribute(root, "image_std", 3, where);
  for (std::size_t i = 0; i < 3; ++i) {
    schema.image_mean[i] = mean[i];
    schema.image_std[i] = std[i];
  }
  schema.resize = io::read_string_attribute(root, "resize", where);
  schema.tool_version = io::read_string_attribute(root, "tool_version", where);
  schema.created = io::read_string_attribute(root, "created", where);
  schema.source = io::read_string_attribute(root, "source", where);
  if (H5Aexists(root, "normals") > 0) {
    schema.normals = io::read_string_attribute(root, "normals", where);
  }
  if (H5Aexists(root, "orientation") > 0) {
    schema.orientation = io::read_string_attribute(root, "orientation", where);
  }
  schema.content_digest = io::read_string_attribute(root, "content_digest", where);
  check(io::is_digest(schema.content_digest), "{}: content_digest is \"{}\", 32 hexadecimal digits are expected", where,
        schema.content_digest);
  return schema;
}

}  // namespace

struct Reader::Impl {
  std::filesystem::path path;
  Hdf5Handle file;
  Schema schema;
  std::array<SplitReader, 2> splits;
  std::function<void()> on_part;

  void open_label_sets();
  void open_split(Split split);
  void read(Split split, std::size_t data_set, std::int64_t first, std::int64_t count, std::size_t values,
            void* out) const;
  [[nodiscard]] std::string where() const { return path.string(); }
};

void Reader::Impl::open_label_sets() {
  const std::int64_t num_classes = io::read_int_attribute(file.get(), "num_classes", where());
  const auto class_names = io::read_strings_attribute(file.get(), "class_names", where());
  for (const Split split : kSplits) {
    const std::string name(split_name(split));
    if (!io::has_link(file.get(), name)) {
      continue;
    }
    const std::string place = where() + ":/" + name;
    const Hdf5Handle group(check(H5Gopen2(file.get(), name.c_str(), H5P_DEFAULT), "{}: cannot open it", place),
                           H5Gclose);
    for (const std::string& set_name : label_set_names(group.get(), place)) {
      LabelSet set = read_label_set(group.get(), set_name, place);
      const bool is_first = set.class_names == class_names;
      schema.label_sets.insert(is_first ? schema.label_sets.begin() : schema.label_sets.end(), std::move(set));
    }
    break;
  }
  check(!schema.label_sets.empty(), "{}: it holds neither /train nor /val", where());
  check(schema.label_sets.front().class_names == class_names && schema.num_classes() == num_classes,
        "{}: class_names or num_classes of the root are not those of '{}'", where(), schema.label_sets.front().name);
}

void Reader::Impl::open_split(Split split) {
  const std::string name(split_name(split));
  SplitReader& reader = splits[static_cast<std::size_t>(split)];
  if (!io::has_link(file.get(), name)) {
    return;
  }
  const std::string place = where() + ":/" + name;
  const Hdf5Handle group(check(H5Gopen2(file.get(), name.c_str(), H5P_DEFAULT), "{}: cannot open it", place), H5Gclose);
  const Hdf5Handle names = io::open_dataset(group.get(), "name", place);
  const auto names_shape = io::dataset_shape(names.get());
  const hsize_t size = names_shape.empty() ? 0 : names_shape.front();
  reader.size = static_cast<std::int64_t>(size);
  const auto data_sets = data_set_names(schema);
  for (std::size_t i = 0; i < data_sets.size(); ++i) {
    Hdf5Handle data_set = io::open_dataset(group.get(), data_sets[i], place);
    const std::string type = io::dataset_type_name(data_set.get());
    if (i == depth_data_set(schema) && (type == "uint16" || type == "float32")) {
      schema.depth_type = type == "uint16" ? DepthType::uint16 : DepthType::float32;
    } else {
      const std::string_view wanted = wanted_type(schema, i);
      check(type == wanted, "{}/{}: its elements are {}, {} is expected", place, data_sets[i], type, wanted);
    }
    std::vector<hsize_t> expected = {size, static_cast<hsize_t>(schema.height), static_cast<hsize_t>(schema.width)};
    if (num_channels(schema, i) > 1) {
      expected.push_back(num_channels(schema, i));
    }
    const auto shape = io::dataset_shape(data_set.get());
    check(shape == expected, "{}/{}: its shape is {}, {} is expected", place, data_sets[i], io::shape_text(shape),
          io::shape_text(expected));
    expected[0] = 1;
    const std::string set_place = fmt::format("{}/{}", place, data_sets[i]);
    io::check_chunked_storage(data_set.get(), expected, size, set_place);
    const std::size_t bytes = sample_bytes(schema, i);
    const auto chunk_bytes = io::stored_chunk_bytes(data_set.get(), bytes, set_place);
    reader.data_sets.push_back({std::move(data_set), memory_type(schema, i), std::move(expected), bytes, chunk_bytes});
  }
}

void Reader::Impl::read(Split split, std::size_t data_set, std::int64_t first, std::int64_t count, std::size_t values,
                        void* out) const {
  const SplitReader& reader = splits[static_cast<std::size_t>(split)];
  check(first >= 0 && count >= 0 && first <= reader.size - count, "{}: samples {} to {} of {} are asked for, it has {}",
        where(), first, first + count - 1, split_name(split), reader.size);
  const std::size_t per_sample =
      static_cast<std::size_t>(schema.height * schema.width) * num_channels(schema, data_set);
  check(values == per_sample * static_cast<std::size_t>(count),
        "{}: a buffer of {} values does not fit {} samples of {}", where(), values, count, per_sample);
  if (count == 0) {
    return;
  }
  const auto lock = io::lock_hdf5();
  const SampleSet& set = reader.data_sets[data_set];
  const auto place_of = [&](std::int64_t sample) {
    return static_cast<std::byte*>(out) + static_cast<std::size_t>(sample) * set.sample_bytes;
  };
  constexpr std::size_t kPartBytes = std::size_t{64} << 20;
  const std::int64_t part =
      on_part ? std::max<std::int64_t>(static_cast<std::int64_t>(kPartBytes / set.sample_bytes), 1) : count;
  bool is_read = true;
  for (std::int64_t done = 0; done < count && is_read; done += part) {
    if (on_part) {
      on_part();
    }
    is_read = !read_samples(set, first + done, std::min(part, count - done), place_of(done));
  }
  for (std::int64_t i = 0; !is_read && i < count; ++i) {  // one by one, to name the sample
    check(read_samples(set, first + i, 1, place_of(i)), "{}:/{}/{}: sample {} cannot be read, the pack is damaged",
          where(), split_name(split), data_set_names(schema)[data_set], first + i);
  }
}

Reader::Reader(const std::filesystem::path& path) : impl_(std::make_unique<Impl>()) {
  const auto lock = io::lock_hdf5();
  impl_->path = path;
  impl_->file = io::open_hdf5(path, io::Hdf5Metadata::checksummed);
  check_format(impl_->file.get(), path.string());
  impl_->schema = read_attributes(impl_->file.get(), path.string());
  impl_->open_label_sets();
  check_schema(impl_->schema, path.string());
  for (const Split split : kSplits) {
    impl_->open_split(split);
  }
  if (io::has_link(impl_->file.get(), "skipped")) {
    impl_->schema.skipped = io::read_string_dataset(impl_->file.get(), "skipped", path.string());
  }
}

Reader::~Reader() {
  const auto lock = io::lock_hdf5();
  impl_.reset();
}
Reader::Reader(Reader&&) noexcept = default;
Reader& Reader::operator=(Reader&&) noexcept = default;

const Schema& Reader::schema() const {
  return impl_->schema;
}

const std::filesystem::path& Reader::path() const {
  return impl_->path;
}

void Reader::set_on_part(std::function<void()> on_part) {
  impl_->on_part = std::move(on_part);
}

std::int64_t Reader::size(Split split) const {
  return impl_->splits[static_cast<std::size_t>(split)].size;
}

std::vector<std::string> Reader::names(Split split) const {
  if (size(split) == 0) {
    return {};
  }
  const auto lock = io::lock_hdf5();
  const std::string name = fmt::format("{}/name", split_name(split));
  return io::read_string_dataset(impl_->file.get(), name, impl_->where());
}

void Reader::read_images(Split split, std::int64_t first, std::int64_t count, std::span<std::uint8_t> out) const {
  impl_->read(split, 0, first, count, out.size(), out.data());
}

void Reader::read_labels(Split split, std::size_t label_set, std::int64_t first, std::int64_t count,
                         std::span<std::uint8_t> out) const {
  check(label_set < impl_->schema.label_sets.size(), "{}: label set {} is asked for, it has {}", impl_->where(),
        label_set, impl_->schema.label_sets.size());
  impl_->read(split, 1 + label_set, first, count, out.size(), out.data());
}

void Reader::read_depth(Split split, std::int64_t first, std::int64_t count, std::span<std::uint16_t> out) const {
  check(impl_->schema.depth_type == DepthType::uint16, "{}: its depth is float32, not uint16", impl_->where());
  impl_->read(split, depth_data_set(impl_->schema), first, count, out.size(), out.data());
}

void Reader::read_depth(Split split, std::int64_t first, std::int64_t count, std::span<float> out) const {
  check(impl_->schema.depth_type == DepthType::float32, "{}: its depth is uint16, not float32", impl_->where());
  impl_->read(split, depth_data_set(impl_->schema), first, count, out.size(), out.data());
}

void Reader::read_normals(Split split, std::int64_t first, std::int64_t count, std::span<std::int16_t> out) const {
  check(impl_->schema.has_normals(), "{}: it has no normals", impl_->where());
  impl_->read(split, normals_data_set(impl_->schema), first, count, out.size(), out.data());
}

std::string Reader::fault_of_version() const {
  const auto lock = io::lock_hdf5();
  const hid_t root = impl_->file.get();
  bool is_later = impl_->schema.has_normals();
  for (const Split split : kSplits) {
    const std::string group(split_name(split));
    for (const std::string& key : label_keys(impl_->schema)) {
      is_later |= io::has_link(root, group) && io::has_link(root, group + "/" + flags_name(key));
    }
  }
  const std::int64_t version = io::read_int_attribute(root, "version", impl_->where());
  const std::int64_t expected = is_later ? kPartialVersion : kVersion;
  return version == expected
             ? std::string()
             : fmt::format("attribute version is {}, a pack with what it holds has {}", version, expected);
}

std::vector<std::uint8_t> Reader::has_labels(Split split, std::string_view task_key) const {
  const auto keys = label_keys(impl_->schema);
  check(std::find(keys.begin(), keys.end(), task_key) != keys.end(),
        "{}: labels of task \"{}\" are asked for, it has those of {}", impl_->where(), task_key, fmt::join(keys, ", "));
  if (size(split) == 0) {
    return {};
  }
  const auto lock = io::lock_hdf5();
  const std::string name(split_name(split));
  const std::string place = impl_->where() + ":/" + name;
  const Hdf5Handle group(check(H5Gopen2(impl_->file.get(), name.c_str(), H5P_DEFAULT), "{}: cannot open it", place),
                         H5Gclose);
  return read_flags(group.get(), task_key, static_cast<std::size_t>(size(split)), place);
}

}  // namespace xtasc::pack
