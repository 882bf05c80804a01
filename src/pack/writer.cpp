#include "pack/writer.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <map>
#include <optional>
#include <unordered_set>
#include <utility>

#include "core/error.hpp"
#include "core/file_lock.hpp"
#include "core/utc_time.hpp"
#include "core/version.hpp"
#include "io/atomic_file.hpp"
#include "io/checksum.hpp"
#include "io/hdf5/hdf5.hpp"
#include "pack/digest.hpp"
#include "pack/label_flags.hpp"

namespace xtasc::pack {

namespace {

namespace fs = std::filesystem;
using io::check;
using io::Hdf5Handle;

hid_t element_type(const Schema& schema, std::size_t data_set) {
  if (data_set < depth_data_set(schema)) {
    return H5T_STD_U8LE;
  }
  if (data_set > depth_data_set(schema)) {
    return H5T_STD_I16LE;
  }
  return schema.depth_type == DepthType::uint16 ? H5T_STD_U16LE : H5T_IEEE_F32LE;
}

std::vector<hsize_t> sample_shape(const Schema& schema, std::size_t data_set) {
  std::vector<hsize_t> shape = {1, static_cast<hsize_t>(schema.height), static_cast<hsize_t>(schema.width)};
  if (num_channels(schema, data_set) > 1) {
    shape.push_back(num_channels(schema, data_set));
  }
  return shape;
}

/// An empty data set that grows by one sample at a time: chunks of one sample, Fletcher-32, no time stamps.
Hdf5Handle create_samples(hid_t group, const std::string& name, const Schema& schema, std::size_t data_set) {
  const std::vector<hsize_t> chunk = sample_shape(schema, data_set);
  std::vector<hsize_t> empty = chunk;
  std::vector<hsize_t> limit = chunk;
  empty[0] = 0;
  limit[0] = H5S_UNLIMITED;
  const auto rank = static_cast<int>(chunk.size());
  const Hdf5Handle space(check(H5Screate_simple(rank, empty.data(), limit.data()), "cannot make a data space"),
                         H5Sclose);
  const Hdf5Handle creation(check(H5Pcreate(H5P_DATASET_CREATE), "cannot make a property list"), H5Pclose);
  check(H5Pset_obj_track_times(creation.get(), false), "cannot switch time stamps off");
  check(H5Pset_chunk(creation.get(), rank, chunk.data()), "cannot set chunks");
  check(H5Pset_fletcher32(creation.get()), "cannot set checksums");
  // Without a chunk cache each sample goes to the file at once, so a full disk shows at the sample that meets it.
  const Hdf5Handle access(check(H5Pcreate(H5P_DATASET_ACCESS), "cannot make a property list"), H5Pclose);
  check(H5Pset_chunk_cache(access.get(), 0, 0, 1.0), "cannot set the chunk cache");
  return {check(H5Dcreate2(group, name.c_str(), element_type(schema, data_set), space.get(), H5P_DEFAULT,
                           creation.get(), access.get()),
                "cannot create data set '{}'", name),
          H5Dclose};
}

/// One split while it is being written.
struct SplitWriter {
  Hdf5Handle group;
  std::vector<Hdf5Handle> data_sets;  ///< in the order of data_set_names
  std::vector<std::string> names;
  std::map<std::string, std::vector<std::uint8_t>>
      flags;  ///< by task, where a sample lacks its labels: 0 or 1 for each
};

std::span<const std::byte> depth_bytes(const Sample& sample) {
  return std::visit([](const auto& values) { return std::as_bytes(values); }, sample.depth);
}

template <typename T>
bool all_are(std::span<const T> values, T wanted) {
  return std::all_of(values.begin(), values.end(), [wanted](T value) { return value == wanted; });
}

/// Whether the sample has not one pixel with a label of the task.
bool is_empty(const Sample& sample, std::string_view key) {
  if (key == "seg") {
    return std::all_of(sample.labels.begin(), sample.labels.end(),
                       [](const auto& labels) { return all_are(labels, kIgnoreLabel); });
  }
  if (key == "depth") {
    return std::visit([]<typename T>(std::span<const T> depth) { return all_are(depth, T{0}); }, sample.depth);
  }
  return all_are(sample.normals, std::int16_t{0});
}

}  // namespace

struct Writer::Impl {
  fs::path output, temporary;
  Schema schema;
  std::optional<FileLock> mark;  ///< on the temporary file, where that is possible: its writer lives
  Hdf5Handle file;
  std::array<SplitWriter, 2> splits;
  std::unordered_set<std::string> names;
  ContentDigest digest;
  double stored_depth_max = 0.0;
  bool is_published = false;

  Impl(fs::path output_path, Schema the_schema)
      : output(std::move(output_path)),
        temporary(io::temporary_path(output)),
        schema(std::move(the_schema)),
        digest(schema) {}
  ~Impl() {
    const auto lock = io::lock_hdf5();
    if (!is_published) {
      // Emptied first: closing writes what is still in memory, which a full disk would refuse.
      if (file && ::truncate(temporary.c_str(), 0) != 0) {
        // Removed below all the same.
      }
      close_data_sets();
      file.close();
      ::unlink(temporary.c_str());
    }
  }
  Impl(const Impl&) = delete;
  Impl& operator=(const Impl&) = delete;

  SplitWriter& open_split(Split split);
  void check_sample(Split split, const Sample& sample) const;
  void check_normals(const Sample& sample, const std::string& where) const;
  void note_depth_max(const Sample& sample);
  void write_attributes();
  void close_data_sets();
};

SplitWriter& Writer::Impl::open_split(Split split) {
  SplitWriter& writer = splits[static_cast<std::size_t>(split)];
  if (!writer.group) {
    const std::string name(split_name(split));
    const Hdf5Handle creation(check(H5Pcreate(H5P_GROUP_CREATE), "cannot make a property list"), H5Pclose);
    check(H5Pset_obj_track_times(creation.get(), false), "cannot switch time stamps off");
    writer.group = {check(H5Gcreate2(file.get(), name.c_str(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
                          "cannot write '{}'", output.string()),
                    H5Gclose};
    const std::vector<std::string> data_sets = data_set_names(schema);
    for (std::size_t i = 0; i < data_sets.size(); ++i) {
      writer.data_sets.push_back(create_samples(writer.group.get(), data_sets[i], schema, i));
    }
  }
  return writer;
}

void Writer::Impl::check_sample(Split split, const Sample& sample) const {
  const std::string where = fmt::format("cannot pack {} sample '{}'", split_name(split), sample.name);
  check(!sample.name.empty(), "cannot pack a {} sample without a name", split_name(split));
  check(!names.contains(sample.name), "{}: this name is in the pack already", where);
  const auto pixels = static_cast<std::size_t>(schema.height * schema.width);
  check(sample.image.size() == pixels * 3, "{}: the image has {} values, {} are expected", where, sample.image.size(),
        pixels * 3);
  check(sample.labels.size() == schema.label_sets.size(), "{}: {} label maps, {} are expected", where,
        sample.labels.size(), schema.label_sets.size());
  for (std::size_t i = 0; i < sample.labels.size(); ++i) {
    check(sample.labels[i].size() == pixels, "{}: the label map has {} values, {} are expected", where,
          sample.labels[i].size(), pixels);
    if (const auto fault = label_fault(schema, i, sample.labels[i])) {
      fail("{}: {}", where, *fault);
    }
  }
  check(std::holds_alternative<std::span<const float>>(sample.depth) == (schema.depth_type == DepthType::float32),
        "{}: its depth is not {}", where, depth_type_name(schema.depth_type));
  check(depth_bytes(sample).size() == sample_bytes(schema, depth_data_set(schema)),
        "{}: the depth map has {} bytes, {} are expected", where, depth_bytes(sample).size(),
        sample_bytes(schema, depth_data_set(schema)));
  if (const auto* depth = std::get_if<std::span<const float>>(&sample.depth)) {
    if (const auto fault = depth_fault(schema, *depth)) {
      fail("{}: {}", where, *fault);
    }
  }
  check_normals(sample, where);
  const auto keys = label_keys(schema);
  for (const std::string& key : sample.without) {
    check(std::find(keys.begin(), keys.end(), key) != keys.end(), "{}: it lacks labels of task \"{}\", the pack has {}",
          where, key, fmt::join(keys, ", "));
    check(is_empty(sample, key), "{}: it has labels of task {}, though it is said to be without", where, key);
  }
}

void Writer::Impl::check_normals(const Sample& sample, const std::string& where) const {
  const std::size_t expected = schema.has_normals() ? 3 * static_cast<std::size_t>(schema.height * schema.width) : 0;
  check(sample.normals.size() == expected, "{}: the normals have {} values, {} are expected", where,
        sample.normals.size(), expected);
  if (const auto fault = normals_fault(schema, sample.normals)) {
    fail("{}: {}", where, *fault);
  }
}

void Writer::Impl::note_depth_max(const Sample& sample) {
  std::visit(
      [this](const auto& values) {
        for (const auto value : values) {
          stored_depth_max = std::max(stored_depth_max, static_cast<double>(value));
        }
      },
      sample.depth);
}

void Writer::Impl::write_attributes() {
  const hid_t root = file.get();
  io::write_attribute(root, "format", kFormat);
  const bool is_partial = !splits[0].flags.empty() || !splits[1].flags.empty();
  io::write_attribute(root, "version", std::int64_t{schema.has_normals() || is_partial ? kPartialVersion : kVersion});
  io::write_attribute(root, "dataset", std::string_view(schema.dataset));
  io::write_attribute(root, "height", schema.height);
  io::write_attribute(root, "width", schema.width);
  io::write_attribute(root, "num_classes", schema.num_classes());
  io::write_attribute(root, "class_names", schema.label_sets.front().class_names);
  io::write_attribute(root, "ignore_label", std::int64_t{kIgnoreLabel});
  io::write_attribute(root, "depth_kind", depth_kind_name(schema.depth_kind));
  io::write_attribute(root, "depth_scale", schema.depth_scale);
  io::write_attribute(root, "depth_max", schema.depth_max);
  io::write_attribute(root, "image_mean", std::span<const double>(schema.image_mean));
  io::write_attribute(root, "image_std", std::span<const double>(schema.image_std));
  io::write_attribute(root, "resize", std::string_view(schema.resize));
  io::write_attribute(root, "tool_version", std::string_view(schema.tool_version));
  io::write_attribute(root, "created", std::string_view(schema.created));
  io::write_attribute(root, "source", std::string_view(schema.source));
  if (schema.has_normals()) {
    io::write_attribute(root, "normals", std::string_view(schema.normals));
  }
  if (!schema.orientation.empty()) {
    io::write_attribute(root, "orientation", std::string_view(schema.orientation));
  }
  io::write_attribute(root, "content_digest", std::string_view(schema.content_digest));
  for (const SplitWriter& split : splits) {
    for (std::size_t i = 0; split.group && i < schema.label_sets.size(); ++i) {
      const LabelSet& set = schema.label_sets[i];
      std::vector<std::uint8_t> colors;
      for (const Rgb& color : set.class_colors) {
        colors.insert(colors.end(), color.begin(), color.end());
      }
      const hid_t data_set = split.data_sets[1 + i].get();
      io::write_attribute(data_set, "class_names", set.class_names);
      io::write_attribute(data_set, "class_colors", colors, set.class_colors.size(), 3);
    }
  }
}

void Writer::Impl::close_data_sets() {
  for (SplitWriter& split : splits) {
    split.data_sets.clear();
    split.group.close();
  }
}

void check_output(const fs::path& output, bool overwrite) {
  std::error_code error;
  if (!output.has_filename()) {
    fail_usage("cannot write '{}': it is a folder, a file is expected", output.string());
  }
  const fs::path end = io::end_of_links(output);
  if (!overwrite && fs::exists(end, error)) {
    fail_usage("output '{}' exists already: choose another name, or --force to replace it", output.string());
  }
  const fs::path folder = end.has_parent_path() ? end.parent_path() : fs::path(".");
  if (!fs::is_directory(folder, error)) {
    fail_usage("cannot write '{}': there is no folder '{}'", output.string(), folder.string());
  }
  if (::access(folder.c_str(), W_OK) != 0) {
    fail("cannot write '{}': {}", output.string(), errno_text(errno));
  }
}

Writer::Writer(fs::path output, Schema schema, bool overwrite) {
  check_output(output, overwrite);
  schema.created = utc_now();
  schema.tool_version = source_version().version;
  schema.depth_max = 0.0;
  check_schema(schema, output.string());
  output = io::end_of_links(output);
  io::remove_stale_temporaries(output);
  const auto lock = io::lock_hdf5();
  impl_ = std::make_unique<Impl>(std::move(output), std::move(schema));
  ::unlink(impl_->temporary.c_str());  // of an earlier, failed attempt of a process with our number
  impl_->file = io::create_hdf5(impl_->temporary, impl_->output.string());
  impl_->mark = FileLock::attempt(impl_->temporary, {}, 0.0).lock;
}

Writer::~Writer() = default;

void Writer::append(Split split, const Sample& sample) {
  impl_->check_sample(split, sample);
  const auto lock = io::lock_hdf5();
  SplitWriter& writer = impl_->open_split(split);
  const hsize_t index = writer.names.size();
  std::vector<std::span<const std::byte>> parts = {std::as_bytes(sample.image)};
  for (const auto& labels : sample.labels) {
    parts.push_back(std::as_bytes(labels));
  }
  parts.push_back(depth_bytes(sample));
  if (impl_->schema.has_normals()) {
    parts.push_back(std::as_bytes(sample.normals));
  }
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const std::vector<hsize_t> count = sample_shape(impl_->schema, i);
    std::vector<hsize_t> start(count.size(), 0);
    std::vector<hsize_t> shape = count;
    start[0] = index;
    shape[0] = index + 1;
    const hid_t data_set = writer.data_sets[i].get();
    check(H5Dset_extent(data_set, shape.data()), "cannot write '{}'", impl_->output.string());
    check(io::write_block(data_set, element_type(impl_->schema, i), start, count, parts[i].data()), "cannot write '{}'",
          impl_->output.string());
    impl_->digest.add(split, i, parts[i]);
  }
  impl_->digest.add_name(split, sample.name);
  impl_->note_depth_max(sample);
  impl_->names.insert(sample.name);
  for (const std::string& key : sample.without) {
    auto& flags = writer.flags[key];
    flags.resize(writer.names.size(), 1);
    flags.push_back(0);
  }
  writer.names.push_back(sample.name);
}

double Writer::depth_max() const {
  return impl_->stored_depth_max * impl_->schema.depth_scale;
}

Schema Writer::finish(std::vector<std::string> skipped, std::string orientation) {
  const auto lock = io::lock_hdf5();
  Impl& impl = *impl_;
  check(!impl.names.empty(), "cannot write '{}': there are no samples", impl.output.string());
  impl.schema.depth_max = depth_max();
  impl.schema.skipped = std::move(skipped);
  impl.schema.orientation = std::move(orientation);
  check_schema(impl.schema, impl.output.string());
  for (const Split split : {Split::train, Split::val}) {
    SplitWriter& writer = impl.splits[static_cast<std::size_t>(split)];
    for (auto& [key, flags] : writer.flags) {
      flags.resize(writer.names.size(), 1);
      impl.digest.set_flags(split, key, flags);
    }
  }
  impl.schema.content_digest = impl.digest.hex(impl.schema);
  impl.write_attributes();
  for (const SplitWriter& split : impl.splits) {
    if (split.group) {
      io::write_string_dataset(split.group.get(), "name", split.names);
    }
    for (const auto& [key, flags] : split.flags) {
      write_flags(split.group.get(), key, flags);
    }
  }
  if (!impl.schema.skipped.empty()) {
    io::write_string_dataset(impl.file.get(), "skipped", impl.schema.skipped);
  }
  check(H5Fflush(impl.file.get(), H5F_SCOPE_GLOBAL), "cannot write '{}'", impl.output.string());
  impl.close_data_sets();
  check(impl.file.close(), "cannot write '{}'", impl.output.string());
  io::publish_file(impl.temporary, impl.output);
  impl.is_published = true;
  impl.mark.reset();
  return impl.schema;
}

}  // namespace xtasc::pack
