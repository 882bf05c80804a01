#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "io/checksum.hpp"
#include "pack/schema.hpp"

namespace xtasc::pack {

/// The content digest of a pack while its samples pass by: one stream for each data set and for the names, so that
/// writer and verifier may read them in any order of data sets, as long as each is in sample order.
class ContentDigest {
 public:
  explicit ContentDigest(const Schema& schema) : data_sets_(data_set_names(schema).size()) {
    for (auto& split : samples_) {
      split.resize(data_sets_);
    }
  }

  /// \param data_set  index into data_set_names(schema); `bytes` of one or more samples as stored, little endian
  void add(Split split, std::size_t data_set, std::span<const std::byte> bytes) {
    samples_[static_cast<std::size_t>(split)][data_set].add(bytes);
  }
  void add_name(Split split, const std::string& name) { names_[static_cast<std::size_t>(split)].add_text(name); }

  /// Which samples of a split have the labels of a task, all at once. \param flags  a 0 or 1 for each sample; empty
  /// when the split has no such data set, which leaves the digest as it is
  void set_flags(Split split, std::string_view key, std::span<const std::uint8_t> flags) {
    if (!flags.empty()) {
      flags_[static_cast<std::size_t>(split)][flags_name(key)] = io::digest_hex(std::as_bytes(flags));
    }
  }

  /// Over `schema`'s attributes, then names, data sets and flags of train and val. 32 hexadecimal digits.
  [[nodiscard]] std::string hex(const Schema& schema) const {
    io::Digest all;
    all.add_text(digest_text(schema));
    for (std::size_t split = 0; split < 2; ++split) {
      all.add_text(names_[split].hex());
      for (const io::Digest& digest : samples_[split]) {
        all.add_text(digest.hex());
      }
      for (const auto& [name, digest] : flags_[split]) {
        all.add_text(name);
        all.add_text(digest);
      }
    }
    return all.hex();
  }

 private:
  std::size_t data_sets_;
  std::array<std::deque<io::Digest>, 2> samples_;
  std::array<io::Digest, 2> names_;
  std::array<std::map<std::string, std::string>, 2> flags_;  ///< by split, the digest of each flags' data set
};

class Reader;

/// Adds what a split says about its samples: their names, and which of them have labels. \throws Error when a checksum
/// is wrong
void add_names_and_flags(ContentDigest& digest, const Reader& reader, Split split);
/// Adds a whole data set of a split, read from the pack a little at a time.
/// \param data_set  an index into data_set_names(schema) \throws Error when a sample's checksum is wrong
void add_data_set(ContentDigest& digest, const Reader& reader, Split split, std::size_t data_set);

/// Reads a whole pack and gives the digest of what it holds: the header's content_digest, unless somebody changed the
/// pack after it was made. \throws Error when the file is no pack or a sample's checksum is wrong
[[nodiscard]] std::string content_digest(const Reader& reader);
[[nodiscard]] std::string content_digest(const std::filesystem::path& path);

/// What is wrong with a label map: the first value that is neither a class nor kIgnoreLabel, and where.
[[nodiscard]] std::optional<std::string> label_fault(const Schema& schema, std::size_t label_set,
                                                     std::span<const std::uint8_t> labels);
/// What is wrong with a depth map: the first value that is NaN, infinite or negative, and where.
[[nodiscard]] std::optional<std::string> depth_fault(const Schema& schema, std::span<const float> depth);
/// What is wrong with a map of normals: the first that is neither of unit length (within 1e-3) nor zero, and where.
/// \param normals  H x W x 3 as stored
[[nodiscard]] std::optional<std::string> normals_fault(const Schema& schema, std::span<const std::int16_t> normals);

}  // namespace xtasc::pack
