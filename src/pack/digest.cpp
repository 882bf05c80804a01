#include "pack/digest.hpp"

#include <algorithm>
#include <vector>

#include "pack/reader.hpp"

namespace xtasc::pack {

namespace {

/// Enough that opening a read costs nothing beside it, little enough to stay in a processor's cache.
constexpr std::size_t kBlockBytes = std::size_t{1} << 20;

/// Some samples at a time. \param read  (first, count, out)
template <typename T, typename Read>
void add_blocks(ContentDigest& digest, const Reader& reader, Split split, std::size_t data_set, const Read& read) {
  const std::size_t bytes = sample_bytes(reader.schema(), data_set);
  const std::int64_t at_once = std::max<std::int64_t>(1, static_cast<std::int64_t>(kBlockBytes / bytes));
  std::vector<T> values;
  for (std::int64_t first = 0; first < reader.size(split); first += at_once) {
    const std::int64_t count = std::min(at_once, reader.size(split) - first);
    values.resize(static_cast<std::size_t>(count) * bytes / sizeof(T));
    read(first, count, std::span(values));
    digest.add(split, data_set, std::as_bytes(std::span(values)));
  }
}

}  // namespace

void add_names_and_flags(ContentDigest& digest, const Reader& reader, Split split) {
  for (const std::string& name : reader.names(split)) {
    digest.add_name(split, name);
  }
  for (const std::string& key : label_keys(reader.schema())) {
    digest.set_flags(split, key, reader.has_labels(split, key));
  }
}

void add_data_set(ContentDigest& digest, const Reader& reader, Split split, std::size_t data_set) {
  const Schema& schema = reader.schema();
  const auto read_depth = [&](std::int64_t first, std::int64_t count, auto out) {
    reader.read_depth(split, first, count, out);
  };
  if (data_set == 0) {
    add_blocks<std::uint8_t>(digest, reader, split, data_set, [&](std::int64_t first, std::int64_t count, auto out) {
      reader.read_images(split, first, count, out);
    });
  } else if (data_set < depth_data_set(schema)) {
    add_blocks<std::uint8_t>(digest, reader, split, data_set, [&](std::int64_t first, std::int64_t count, auto out) {
      reader.read_labels(split, data_set - 1, first, count, out);
    });
  } else if (data_set == normals_data_set(schema)) {
    add_blocks<std::int16_t>(digest, reader, split, data_set, [&](std::int64_t first, std::int64_t count, auto out) {
      reader.read_normals(split, first, count, out);
    });
  } else if (schema.depth_type == DepthType::float32) {
    add_blocks<float>(digest, reader, split, data_set, read_depth);
  } else {
    add_blocks<std::uint16_t>(digest, reader, split, data_set, read_depth);
  }
}

std::string content_digest(const Reader& reader) {
  ContentDigest digest(reader.schema());
  for (const Split split : {Split::train, Split::val}) {
    add_names_and_flags(digest, reader, split);
    for (std::size_t data_set = 0; data_set < data_set_names(reader.schema()).size(); ++data_set) {
      add_data_set(digest, reader, split, data_set);
    }
  }
  return digest.hex(reader.schema());
}

std::string content_digest(const std::filesystem::path& path) {
  return content_digest(Reader(path));
}

}  // namespace xtasc::pack
