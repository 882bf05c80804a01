#include "io/hdf5/hdf5.hpp"

#include <algorithm>
#include <cstring>

#include "io/content.hpp"
#include "io/file.hpp"
#include "io/hdf5/hdf5_storage.hpp"

namespace xtasc::io {

namespace {

// Of one attribute or list of texts; a damaged file may claim any number.
constexpr std::size_t kMaxTexts = std::size_t{1} << 21;
constexpr std::size_t kMaxTextBytes = std::size_t{256} << 20;

// What hdf5_reason says of files that need not be damaged.
constexpr std::string_view kOpenElsewhere = "it is open for writing in another program";
constexpr std::string_view kNewer = "it was written by a newer HDF5";

bool is_our_words(std::string_view reason) {
  return reason.starts_with(kOpenElsewhere) || reason.starts_with(kNewer);
}

/// HDF5 prints nothing itself, and does not visit files again when the process ends: on a full disk that ends in
/// messages about an infinite loop. Every handle is closed by its owner anyway.
void prepare_library() {
  static const bool done = [] {
    H5dont_atexit();
    H5open();
    return true;
  }();
  static_cast<void>(done);
  H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
}

/// UTF-8 texts of one length as HDF5 stores them, filled up with zeros.
struct FixedTexts {
  Hdf5Handle type;
  std::string bytes;
};

FixedTexts fixed_texts(std::span<const std::string> texts) {
  std::size_t size = 1;  // HDF5 knows no text of no bytes
  for (const std::string& text : texts) {
    size = std::max(size, text.size());
  }
  check(texts.size() <= kMaxTexts && size <= kMaxTextBytes / std::max<std::size_t>(texts.size(), 1),
        "{} texts of up to {} bytes are too many: {} texts and {} bytes are the limit", texts.size(), size, kMaxTexts,
        kMaxTextBytes);
  FixedTexts fixed{{check(H5Tcopy(H5T_C_S1), "cannot make a string type"), H5Tclose}, {}};
  check(H5Tset_size(fixed.type.get(), size), "cannot make a string type");
  check(H5Tset_strpad(fixed.type.get(), H5T_STR_NULLPAD), "cannot make a string type");
  check(H5Tset_cset(fixed.type.get(), H5T_CSET_UTF8), "cannot make a string type");
  fixed.bytes.reserve(size * texts.size());
  for (const std::string& text : texts) {
    fixed.bytes.append(text).append(size - text.size(), '\0');
  }
  return fixed;
}

Hdf5Handle simple_space(std::span<const hsize_t> shape) {
  return {check(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), "cannot make a data space"),
          H5Sclose};
}

void write_raw_attribute(hid_t object, const std::string& name, hid_t file_type, hid_t memory_type,
                         std::span<const hsize_t> shape, const void* value) {
  const Hdf5Handle space = shape.empty()
                               ? Hdf5Handle(check(H5Screate(H5S_SCALAR), "cannot make a data space"), H5Sclose)
                               : simple_space(shape);
  const Hdf5Handle attribute(check(H5Acreate2(object, name.c_str(), file_type, space.get(), H5P_DEFAULT, H5P_DEFAULT),
                                   "cannot write attribute '{}'", name),
                             H5Aclose);
  check(H5Awrite(attribute.get(), memory_type, value), "cannot write attribute '{}'", name);
}

struct OpenAttribute {
  Hdf5Handle attribute, type;
  std::size_t count = 0;
  H5T_class_t type_class = H5T_NO_CLASS;
};

OpenAttribute open_attribute(hid_t object, const std::string& name, std::string_view where) {
  check(H5Aexists(object, name.c_str()) > 0, "{}: attribute '{}' is missing", where, name);
  OpenAttribute open;
  open.attribute = {check(H5Aopen(object, name.c_str(), H5P_DEFAULT), "{}: cannot open attribute '{}'", where, name),
                    H5Aclose};
  open.type = {check(H5Aget_type(open.attribute.get()), "{}: cannot read attribute '{}'", where, name), H5Tclose};
  const Hdf5Handle space(check(H5Aget_space(open.attribute.get()), "{}: cannot read attribute '{}'", where, name),
                         H5Sclose);
  open.count = static_cast<std::size_t>(std::max<hssize_t>(H5Sget_simple_extent_npoints(space.get()), 0));
  open.type_class = H5Tget_class(open.type.get());
  return open;
}

void check_attribute(const OpenAttribute& open, H5T_class_t type_class, std::size_t count, std::string_view words,
                     const std::string& name, std::string_view where) {
  const bool is_number = open.type_class == H5T_INTEGER || open.type_class == H5T_FLOAT;
  const bool type_fits = open.type_class == type_class || (type_class == H5T_FLOAT && is_number);
  check(type_fits && open.count == count, "{}: attribute '{}' holds {} {}, {} is expected", where, name, open.count,
        open.type_class == H5T_STRING ? "text(s)" : (is_number ? "number(s)" : "value(s) of an unknown type"), words);
}

/// Reads `count` texts of one length with `read(buffer)`. Texts of variable length are refused: they lie in a heap
/// without checksums, and HDF5 1.10 writes beyond its buffers or loops for ever where a few of its bytes are changed.
template <typename Read>
std::vector<std::string> read_strings(hid_t file_type, std::size_t count, const std::string& place, const Read& read) {
  check(H5Tis_variable_str(file_type) <= 0, "{} is text of variable length, text of a fixed length is expected", place);
  const std::size_t size = H5Tget_size(file_type);
  check(count <= kMaxTexts && size > 0 && size <= kMaxTextBytes / std::max<std::size_t>(count, 1),
        "{} is {} texts of {} bytes, too many", place, count, size);
  std::string buffer(size * count, '\0');
  read(buffer.data());
  std::vector<std::string> values;
  values.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    const char* start = buffer.data() + i * size;
    values.emplace_back(start, strnlen(start, size));
  }
  return values;
}

std::vector<std::string> read_attribute_strings(const OpenAttribute& open, const std::string& name,
                                                std::string_view where) {
  const std::string place = fmt::format("{}: attribute '{}'", where, name);
  return read_strings(open.type.get(), open.count, place, [&](void* buffer) {
    check(H5Aread(open.attribute.get(), open.type.get(), buffer), "{} cannot be read", place);
  });
}

Hdf5Handle block_spaces(hid_t dataset, std::span<const hsize_t> start, std::span<const hsize_t> count) {
  Hdf5Handle space(H5Dget_space(dataset), H5Sclose);
  const bool rank_fits = space && H5Sget_simple_extent_ndims(space.get()) == static_cast<int>(start.size());
  if (!rank_fits ||
      H5Sselect_hyperslab(space.get(), H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr) < 0) {
    return {};
  }
  return space;
}

}  // namespace

Hdf5Handle& Hdf5Handle::operator=(Hdf5Handle&& other) noexcept {
  if (this != &other) {
    close();
    id_ = std::exchange(other.id_, H5I_INVALID_HID);
    close_ = std::exchange(other.close_, nullptr);
  }
  return *this;
}

herr_t Hdf5Handle::close() noexcept {
  const hid_t id = std::exchange(id_, H5I_INVALID_HID);
  return id >= 0 && close_ != nullptr ? close_(id) : 0;
}

std::string hdf5_library_version() {
  unsigned major = 0;
  unsigned minor = 0;
  unsigned release = 0;
  check(H5get_libversion(&major, &minor, &release), "H5get_libversion");
  return fmt::format("{}.{}.{}", major, minor, release);
}

std::string hdf5_reason() {
  std::string reason = "HDF5 gives no reason";
  const auto visit = [](unsigned, const H5E_error2_t* error, void* result) -> herr_t {
    if (error->desc != nullptr && *error->desc != '\0') {
      *static_cast<std::string*>(result) = error->desc;
    }
    return 1;  // the innermost one says it
  };
  H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, visit, &reason);
  constexpr std::string_view kSystem = "error message = '";
  if (const auto at = reason.find(kSystem); at != std::string::npos) {
    const auto start = at + kSystem.size();
    return reason.substr(start, reason.find('\'', start) - start);
  }
  if (reason.find("file is already open for") != std::string::npos) {
    return fmt::format("{} (close it there; after a crash, `h5clear -s FILE` takes the mark off)", kOpenElsewhere);
  }
  // "bad version number for layout message", "unknown superblock version", ...
  if (reason.find("version number") != std::string::npos || reason.find("superblock version") != std::string::npos) {
    return fmt::format("{} than ours, {}, or damaged ({})", kNewer, hdf5_library_version(), reason);
  }
  return reason;
}

std::unique_lock<std::recursive_mutex> lock_hdf5() {
  static std::recursive_mutex mutex;
  return std::unique_lock(mutex);
}

Hdf5Handle open_hdf5(const std::filesystem::path& path, Hdf5Metadata metadata) {
  prepare_library();
  constexpr std::string_view kMagic = "\x89HDF\r\n\x1a\n";
  const std::string head = read_head(path, 1024, "an HDF5 file");
  // MATLAB puts its own header of 512 bytes in front.
  const bool is_hdf5 = head.starts_with(kMagic) || (head.size() > 520 && head.compare(512, 8, kMagic) == 0);
  check(is_hdf5, "cannot read '{}': found {}, an HDF5 file is expected", path.string(), describe_content(head));
  const bool is_checksummed = head.size() > 8 && head.starts_with(kMagic) && (head[8] == 2 || head[8] == 3);
  check(metadata == Hdf5Metadata::any || is_checksummed,
        "cannot read '{}': an HDF5 file of the old format, without checksums of its metadata", path.string());

  const Hdf5Handle access(check(H5Pcreate(H5P_FILE_ACCESS), "cannot make a property list"), H5Pclose);
  check(H5Pset_file_locking(access.get(), false, true), "cannot switch file locking off");
  const hid_t file = H5Fopen(path.c_str(), H5F_ACC_RDONLY, access.get());
  if (file < 0) {
    const std::string reason = hdf5_reason();
    fail("cannot read '{}': {}{}", path.string(),
         is_our_words(reason) ? "" : "truncated or damaged HDF5 file: ", reason);
  }
  return {file, H5Fclose};
}

Hdf5Handle create_hdf5(const std::filesystem::path& path, std::string_view where) {
  prepare_library();
  const Hdf5Handle access(check(H5Pcreate(H5P_FILE_ACCESS), "cannot make a property list"), H5Pclose);
  check(H5Pset_file_locking(access.get(), false, true), "cannot switch file locking off");
  check(H5Pset_libver_bounds(access.get(), H5F_LIBVER_V110, H5F_LIBVER_V110), "cannot choose the HDF5 format");
  const Hdf5Handle creation(check(H5Pcreate(H5P_FILE_CREATE), "cannot make a property list"), H5Pclose);
  check(H5Pset_obj_track_times(creation.get(), false), "cannot switch time stamps off");
  return {check(H5Fcreate(path.c_str(), H5F_ACC_EXCL, creation.get(), access.get()), "cannot write '{}'", where),
          H5Fclose};
}

bool has_link(hid_t group, const std::string& name) {
  return H5Lexists(group, name.c_str(), H5P_DEFAULT) > 0;
}

Hdf5Handle open_dataset(hid_t group, const std::string& name, std::string_view where) {
  check(has_link(group, name), "{}: data set '{}' is missing", where, name);
  return {check(H5Dopen2(group, name.c_str(), H5P_DEFAULT), "{}: cannot open data set '{}'", where, name), H5Dclose};
}

std::vector<hsize_t> dataset_shape(hid_t dataset) {
  const Hdf5Handle space(check(H5Dget_space(dataset), "cannot read a data set's shape"), H5Sclose);
  const int rank = H5Sget_simple_extent_ndims(space.get());
  check(static_cast<herr_t>(rank), "cannot read a data set's shape");
  std::vector<hsize_t> shape(static_cast<std::size_t>(rank));
  check(static_cast<herr_t>(H5Sget_simple_extent_dims(space.get(), shape.data(), nullptr)),
        "cannot read a data set's shape");
  return shape;
}

std::string dataset_type_name(hid_t dataset) {
  const Hdf5Handle type(check(H5Dget_type(dataset), "cannot read a data set's type"), H5Tclose);
  const std::size_t bits = 8 * H5Tget_size(type.get());
  switch (H5Tget_class(type.get())) {
    case H5T_INTEGER:
      return fmt::format("{}{}", H5Tget_sign(type.get()) == H5T_SGN_NONE ? "uint" : "int", bits);
    case H5T_FLOAT:
      return fmt::format("float{}", bits);
    case H5T_STRING:
      return "string";
    default:
      return "an unknown type";
  }
}

std::string shape_text(std::span<const hsize_t> shape) {
  return shape.empty() ? "scalar" : fmt::format("{}", fmt::join(shape, " x "));
}

Failure read_block(hid_t dataset, hid_t memory_type, std::span<const hsize_t> start, std::span<const hsize_t> count,
                   void* out) {
  const Hdf5Handle file_space = block_spaces(dataset, start, count);
  if (!file_space) {
    return "the block lies outside the data set";
  }
  const Hdf5Handle memory_space = simple_space(count);
  // The reason is taken at once: closing the spaces clears HDF5's error stack.
  return H5Dread(dataset, memory_type, memory_space.get(), file_space.get(), H5P_DEFAULT, out) < 0
             ? Failure(hdf5_reason())
             : std::nullopt;
}

Failure write_block(hid_t dataset, hid_t memory_type, std::span<const hsize_t> start, std::span<const hsize_t> count,
                    const void* in) {
  const Hdf5Handle file_space = block_spaces(dataset, start, count);
  if (!file_space) {
    return "the block lies outside the data set";
  }
  const Hdf5Handle memory_space = simple_space(count);
  return H5Dwrite(dataset, memory_type, memory_space.get(), file_space.get(), H5P_DEFAULT, in) < 0
             ? Failure(hdf5_reason())
             : std::nullopt;
}

void write_string_dataset(hid_t group, const std::string& name, const std::vector<std::string>& values) {
  const FixedTexts texts = fixed_texts(values);
  const hsize_t count = values.size();
  const Hdf5Handle space = simple_space(std::span(&count, 1));
  const Hdf5Handle creation(check(H5Pcreate(H5P_DATASET_CREATE), "cannot make a property list"), H5Pclose);
  check(H5Pset_obj_track_times(creation.get(), false), "cannot switch time stamps off");
  const Hdf5Handle dataset(
      check(H5Dcreate2(group, name.c_str(), texts.type.get(), space.get(), H5P_DEFAULT, creation.get(), H5P_DEFAULT),
            "cannot create data set '{}'", name),
      H5Dclose);
  check(H5Dwrite(dataset.get(), texts.type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, texts.bytes.data()),
        "cannot write data set '{}'", name);
}

std::vector<std::string> read_string_dataset(hid_t group, const std::string& name, std::string_view where) {
  const Hdf5Handle dataset = open_dataset(group, name, where);
  const Hdf5Handle type(check(H5Dget_type(dataset.get()), "{}: cannot read data set '{}'", where, name), H5Tclose);
  const std::vector<hsize_t> shape = dataset_shape(dataset.get());
  check(H5Tget_class(type.get()) == H5T_STRING && shape.size() == 1,
        "{}: data set '{}' is {} of shape {}, a list of strings is expected", where, name,
        dataset_type_name(dataset.get()), shape_text(shape));
  const std::string place = fmt::format("{}/{}", where, name);
  check(shape[0] <= kMaxTexts, "{}: {} texts are too many, {} are the limit", place, shape[0], kMaxTexts);
  check_stored_bytes(dataset.get(), shape[0] * H5Tget_size(type.get()), place);
  return read_strings(type.get(), shape[0], place, [&](void* buffer) {
    check(H5Dread(dataset.get(), type.get(), H5S_ALL, H5S_ALL, H5P_DEFAULT, buffer), "{} cannot be read", place);
  });
}

void write_attribute(hid_t object, const std::string& name, std::string_view value) {
  const std::string text(value);
  const FixedTexts texts = fixed_texts(std::span(&text, 1));
  write_raw_attribute(object, name, texts.type.get(), texts.type.get(), {}, texts.bytes.data());
}

void write_attribute(hid_t object, const std::string& name, std::int64_t value) {
  write_raw_attribute(object, name, H5T_STD_I64LE, H5T_NATIVE_INT64, {}, &value);
}

void write_attribute(hid_t object, const std::string& name, double value) {
  write_raw_attribute(object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, {}, &value);
}

void write_attribute(hid_t object, const std::string& name, std::span<const double> values) {
  const hsize_t count = values.size();
  write_raw_attribute(object, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, std::span(&count, 1), values.data());
}

void write_attribute(hid_t object, const std::string& name, const std::vector<std::string>& values) {
  const FixedTexts texts = fixed_texts(values);
  const hsize_t count = values.size();
  write_raw_attribute(object, name, texts.type.get(), texts.type.get(), std::span(&count, 1), texts.bytes.data());
}

void write_attribute(hid_t object, const std::string& name, std::span<const std::uint8_t> values, std::size_t rows,
                     std::size_t columns) {
  const hsize_t shape[] = {rows, columns};
  write_raw_attribute(object, name, H5T_STD_U8LE, H5T_NATIVE_UINT8, shape, values.data());
}

std::string read_string_attribute(hid_t object, const std::string& name, std::string_view where) {
  const OpenAttribute open = open_attribute(object, name, where);
  check_attribute(open, H5T_STRING, 1, "one text", name, where);
  return read_attribute_strings(open, name, where).front();
}

std::int64_t read_int_attribute(hid_t object, const std::string& name, std::string_view where) {
  const OpenAttribute open = open_attribute(object, name, where);
  check_attribute(open, H5T_INTEGER, 1, "one whole number", name, where);
  std::int64_t value = 0;
  check(H5Aread(open.attribute.get(), H5T_NATIVE_INT64, &value), "{}: cannot read attribute '{}'", where, name);
  return value;
}

std::vector<double> read_double_attribute(hid_t object, const std::string& name, std::size_t count,
                                          std::string_view where) {
  const OpenAttribute open = open_attribute(object, name, where);
  check_attribute(open, H5T_FLOAT, count, fmt::format("{} number(s)", count), name, where);
  std::vector<double> values(count);
  check(H5Aread(open.attribute.get(), H5T_NATIVE_DOUBLE, values.data()), "{}: cannot read attribute '{}'", where, name);
  return values;
}

std::vector<std::string> read_strings_attribute(hid_t object, const std::string& name, std::string_view where) {
  const OpenAttribute open = open_attribute(object, name, where);
  check_attribute(open, H5T_STRING, open.count, "a list of texts", name, where);
  return read_attribute_strings(open, name, where);
}

std::vector<std::uint8_t> read_bytes_attribute(hid_t object, const std::string& name, std::size_t rows,
                                               std::size_t columns, std::string_view where) {
  const OpenAttribute open = open_attribute(object, name, where);
  check_attribute(open, H5T_INTEGER, rows * columns, fmt::format("a {} x {} table of bytes", rows, columns), name,
                  where);
  std::vector<std::uint8_t> values(rows * columns);
  check(H5Aread(open.attribute.get(), H5T_NATIVE_UINT8, values.data()), "{}: cannot read attribute '{}'", where, name);
  return values;
}

}  // namespace xtasc::io
