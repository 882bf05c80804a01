#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <tuple>
#include <vector>

#include "io/image/image.hpp"
#include "pack/pack_fixture.hpp"
#include "preprocess/datasets/folder.hpp"
#include "preprocess/pack_builder.hpp"

namespace xtasc::preprocess {

inline constexpr std::int64_t kHeight = 48, kWidth = 80;  // of the raw files below

inline constexpr const char* kDescription = R"(name = "tiny"
size = [32, 64]
[image]
file = "rgb/{id}.png"
[label]
file = "label/{id}.png"
void = [0, 9]
offset = 1
class_names = ["a", "b", "c"]
[depth]
file = "depth/{id}.png"
bits = 16
kind = "metres"
divisor = 1000
invalid = [0]
[split]
train = "train.txt"
val = "val.txt"
)";

/// A raw tree of six samples: train a/0 .. a/3, val b/4, b/5.
class FolderTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string train, val;
    for (std::uint32_t i = 0; i < 6; ++i) {
      const std::string id = (i < 4 ? "a/" : "b/") + std::to_string(i);
      (i < 4 ? train : val) += id + "\n";
      constexpr std::size_t kPixels = kHeight * kWidth;
      std::vector<std::uint8_t> image(kPixels * 3), label(kPixels);
      std::vector<std::uint16_t> depth(kPixels);
      for (std::size_t p = 0; p < kPixels; ++p) {
        image[3 * p] = static_cast<std::uint8_t>(p + i);
        label[p] = static_cast<std::uint8_t>((p / 3 + i) % 4);
        depth[p] = static_cast<std::uint16_t>(p % 13 == 0 ? 0 : 500 + p + i);
      }
      std::filesystem::create_directories((raw / "rgb") / (i < 4 ? "a" : "b"));
      std::filesystem::create_directories((raw / "label") / (i < 4 ? "a" : "b"));
      std::filesystem::create_directories((raw / "depth") / (i < 4 ? "a" : "b"));
      io::write_png(raw / ("rgb/" + id + ".png"), image, kHeight, kWidth, 3);
      io::write_png(raw / ("label/" + id + ".png"), label, kHeight, kWidth, 1);
      io::write_png(raw / ("depth/" + id + ".png"), depth, kHeight, kWidth);
    }
    test::write_bytes(raw / "train.txt", train);
    test::write_bytes(raw / "val.txt", val);
    test::write_bytes(raw / "dataset.toml", kDescription);
    options.output = out / "a.h5";
    options.resize.to = {32, 64};
  }

  BuildResult build() const {
    return build_pack(FolderDataset(raw.path(), read_folder_description(raw / "dataset.toml")), options);
  }
  /// The error of building with `text` as description, without the path in front.
  std::string description_error(const std::string& text) const {
    test::write_bytes(raw / "dataset.toml", text);
    const std::string error = test::error_of([&] { std::ignore = read_folder_description(raw / "dataset.toml"); });
    const std::string path = (raw / "dataset.toml").string() + ":";
    return error.starts_with(path) ? error.substr(path.size()) : error;
  }
  static std::string replaced(const std::string& from, const std::string& to) {
    std::string text = kDescription;
    return text.replace(text.find(from), from.size(), to);
  }

  test::TempFolder raw, out;
  BuildOptions options;
};

}  // namespace xtasc::preprocess
