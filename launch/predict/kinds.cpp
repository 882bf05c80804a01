#include "launch/predict/kinds.hpp"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "core/error.hpp"
#include "figure/panel.hpp"
#include "io/image/image.hpp"
#include "io/npy.hpp"

namespace xtasc::launch {

namespace {

/// As data, height x width x 3 (as MTAN's files have it), and as a picture.
void write_normals(const model::TaskMap& map, const std::string& stem, std::int64_t channels, std::int64_t height,
                   std::int64_t width) {
  const auto pixels = static_cast<std::size_t>(height * width);
  std::vector<float> vectors(map.values.size());
  std::vector<std::uint8_t> colors(map.values.size());
  for (std::size_t p = 0; p < pixels; ++p) {
    for (std::size_t c = 0; c < 3; ++c) {
      vectors[3 * p + c] = map.values[c * pixels + p];
    }
    std::ranges::copy(figure::color_of_normal(vectors[3 * p], vectors[3 * p + 1], vectors[3 * p + 2]),
                      colors.begin() + static_cast<std::ptrdiff_t>(3 * p));
  }
  io::write_npy(stem + ".npy", vectors, std::array<std::int64_t, 3>{height, width, channels});
  io::write_png(stem + ".png", colors, height, width, 3);
}

constexpr std::array<std::string_view, 1> kPicture = {".png"}, kArray = {".npy"};
constexpr std::array<std::string_view, 2> kBoth = {".npy", ".png"};

constexpr std::array<KindOutput, 3> kKinds = {
    {{.kind = task::Kind::classes,
      .write = [](const model::TaskMap& map, const std::string& stem, std::int64_t /*channels*/, std::int64_t height,
                  std::int64_t width) { io::write_png(stem + ".png", map.classes, height, width, 1); },
      .endings = kPicture},
     {.kind = task::Kind::depth,
      .write =
          [](const model::TaskMap& map, const std::string& stem, std::int64_t channels, std::int64_t height,
             std::int64_t width) {
            const std::array<std::int64_t, 3> shape = {channels, height, width};
            io::write_npy(stem + ".npy", map.values, std::span(shape).subspan(channels == 1 ? 1 : 0));
          },
      .endings = kArray},
     {.kind = task::Kind::unit_vector, .write = write_normals, .endings = kBoth}}};

}  // namespace

const KindOutput& output_of(const task::Task& task) {
  const auto found = std::ranges::find(kKinds, task.kind, &KindOutput::kind);
  check(found != kKinds.end(), "predictions of task \"{}\" cannot be written: its kind is in no row here", task.key);
  return *found;
}

std::string name_ending(const task::Task& task) {
  return fmt::format("_{}", task.truth);
}

}  // namespace xtasc::launch
