#pragma once

#include <array>
#include <cstdint>

#include "preprocess/raw_dataset.hpp"
#include "preprocess/resize.hpp"

namespace xtasc::preprocess {

/// The generated set: scenes 0 .. num_train - 1 of `seed` are train, the num_val after them val. Rendered at their
/// final size.
class ScenesDataset final : public RawDataset {
 public:
  /// \param with_normals  packs the exact normals too \throws Error (exit code 2)  for a negative count.
  ScenesDataset(std::int64_t num_train, std::int64_t num_val, std::uint64_t seed, Size size, bool with_normals = false);

  [[nodiscard]] const pack::Schema& schema() const override { return schema_; }
  [[nodiscard]] const std::vector<std::string>& names(pack::Split split) const override {
    return names_[static_cast<std::size_t>(split)];
  }
  [[nodiscard]] std::vector<std::string> check_files(pack::Split, std::size_t) const override { return {}; }
  [[nodiscard]] RawSample decode(pack::Split split, std::size_t index, const Resize& resize) const override;

 private:
  std::uint64_t seed_;
  pack::Schema schema_;
  std::array<std::vector<std::string>, 2> names_;  ///< "scene:<seed>:<index>"
};

}  // namespace xtasc::preprocess
