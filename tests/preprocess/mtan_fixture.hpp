#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "pack/pack_fixture.hpp"
#include "preprocess/datasets/mtan.hpp"
#include "preprocess/pack_builder.hpp"

namespace xtasc::preprocess {

inline constexpr std::int64_t kHeight = 32, kWidth = 64;
inline constexpr std::size_t kPixels = 32 * 64;

/// A .npy file as np.save writes it. \param values  in the file's own order.
template <typename T>
std::string npy(const std::string& type, bool fortran_order, const std::string& shape, const std::vector<T>& values) {
  std::string header = "{'descr': '" + type + "', 'fortran_order': " + (fortran_order ? "True" : "False") +
                       ", 'shape': (" + shape + "), }";
  header.append(64 - (10 + header.size() + 1) % 64, ' ');
  header += '\n';
  std::string file = "\x93NUMPY";
  file += {'\x01', '\x00', static_cast<char>(header.size() & 0xff), static_cast<char>(header.size() >> 8)};
  file += header;
  const std::size_t start = file.size();
  file.resize(start + values.size() * sizeof(T));
  std::memcpy(file.data() + start, values.data(), values.size() * sizeof(T));
  return file;
}

inline std::uint8_t image_value(std::size_t i, std::size_t number) {
  return static_cast<std::uint8_t>(i * 7 + number * 31);
}

template <typename T>
std::vector<T> image_values(std::size_t number) {
  std::vector<T> values(3 * kPixels);
  for (std::size_t i = 0; i < values.size(); ++i) {
    values[i] = static_cast<T>(image_value(i, number)) / static_cast<T>(255);
  }
  return values;
}

/// Every fifth pixel ignored.
template <typename T>
std::vector<T> label_values(std::size_t number, std::size_t num_classes) {
  std::vector<T> values(kPixels);
  for (std::size_t i = 0; i < kPixels; ++i) {
    values[i] = i % 5 == 4 ? static_cast<T>(-1) : static_cast<T>((i + number) % num_classes);
  }
  return values;
}

/// Every eleventh pixel without depth. Cityscapes' inverse depth is smaller.
template <typename T>
std::vector<T> depth_values(std::size_t number, bool is_inverse = false) {
  std::vector<T> values(kPixels);
  for (std::size_t i = 0; i < kPixels; ++i) {
    values[i] = i % 11 == 0 ? T(0) : static_cast<T>(is_inverse ? 0.01 : 0.25) * static_cast<T>(1 + (i + number) % 40);
  }
  return values;
}

/// Trees like MTAN's NYUv2: float64 images and labels, float32 depth.
class Mtan : public testing::Test {
 protected:
  void SetUp() override {
    options.output = out / "a.h5";
    options.resize.to = {kHeight, kWidth};
  }

  void write_sample(const std::string& split, std::size_t number,
                    const std::vector<std::pair<std::string, std::size_t>>& label_folders) const {
    const std::string file = fmt::format("/{}.npy", number);
    test::write_bytes(raw / (split + "/image" + file), npy("<f8", false, "32, 64, 3", image_values<double>(number)));
    for (const auto& [folder, num_classes] : label_folders) {
      test::write_bytes(raw / (split + "/" + folder + file),
                        npy("<f8", false, "32, 64", label_values<double>(number, num_classes)));
    }
    test::write_bytes(raw / (split + "/depth" + file),
                      npy("<f4", false, "32, 64, 1", depth_values<float>(number, label_folders.front().second != 13)));
  }
  /// Twelve train samples and two val samples.
  void write_tree(const std::vector<std::pair<std::string, std::size_t>>& label_folders,
                  const std::string& val = "val") const {
    for (std::size_t i = 0; i < 14; ++i) {
      write_sample(i < 12 ? "train" : val, i < 12 ? i : i - 12, label_folders);
    }
  }
  void write_nyuv2() const { write_tree({{"label", 13}}); }

  pack::Schema build(MtanKind kind, std::optional<int> num_classes = std::nullopt) const {
    return build_pack(MtanDataset(raw.path(), kind, num_classes), options).schema;
  }
  /// The error of packing, without the path of the tree.
  std::string error(MtanKind kind = MtanKind::nyuv2, std::optional<int> num_classes = std::nullopt) const {
    std::string text = test::error_of([&] { build(kind, num_classes); });
    const std::string path = raw.path().string();
    for (std::size_t at = text.find(path); at != std::string::npos; at = text.find(path)) {
      text.replace(at, path.size(), "RAW");
    }
    EXPECT_THAT(out.entries(), testing::Not(testing::Contains("a.h5")));
    return text;
  }

  test::TempFolder raw, out;
  BuildOptions options;
};

}  // namespace xtasc::preprocess
