#include "launch/common/noise_pack.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "pack/writer.hpp"

namespace xtasc::launch {

void write_noise_pack(const std::filesystem::path& path, const NoisePack& options) {
  pack::Schema schema;
  schema.dataset = "bench";
  schema.height = options.height;
  schema.width = options.width;
  const auto num_classes = static_cast<std::size_t>(options.num_classes);
  std::vector<std::string> names;
  for (std::size_t i = 0; i < num_classes; ++i) {
    names.push_back(fmt::format("class {}", i));
  }
  schema.label_sets = {{"label", names, pack::default_class_colors(num_classes)}};
  schema.depth_kind = pack::DepthKind::inverse_depth;
  schema.depth_type = pack::DepthType::uint16;
  schema.depth_scale = 1.0 / 65536.0;
  schema.resize = "none";
  schema.source = "random values";
  schema.normals = options.has_normals ? "random values" : "";
  pack::Writer writer(path, schema, true);
  const auto pixels = static_cast<std::size_t>(options.height * options.width);
  std::vector<std::uint8_t> image(pixels * 3), label(pixels);
  std::vector<std::uint16_t> depth(pixels);
  std::vector<std::int16_t> normals(options.has_normals ? pixels * 3 : 0);
  std::uint64_t state = 1;
  for (std::int64_t i = 0; i < options.train + options.val; ++i) {
    for (std::size_t p = 0; p < label.size(); ++p) {
      state = state * 6364136223846793005U + 1442695040888963407U;
      for (std::size_t c = 0; c < 3; ++c) {
        image[3 * p + c] = static_cast<std::uint8_t>(state >> (32 + 8 * c));
      }
      const bool is_void = (state >> 59) == 0;  // one in 32, and as many without depth
      label[p] = is_void ? pack::kIgnoreLabel : static_cast<std::uint8_t>((state >> 54) % num_classes);
      if (options.has_normals && (state >> 48) % 32 != 0) {
        const double x = static_cast<double>((state >> 8) % 256) / 128.0 - 1.0;
        const double y = static_cast<double>((state >> 16) % 256) / 128.0 - 1.0;
        const double length = std::sqrt(x * x + y * y + 1.0);
        const std::array<double, 3> vector = {x / length, y / length, -1.0 / length};
        std::ranges::transform(vector, normals.begin() + static_cast<std::ptrdiff_t>(3 * p), [](double value) {
          return static_cast<std::int16_t>(std::lround(pack::kNormalScale * value));
        });
      }
      depth[p] = (state >> 40) % 32 == 0 ? std::uint16_t{0} : static_cast<std::uint16_t>(1 + (state >> 40) % 32257);
    }
    const pack::Sample sample{.name = std::to_string(i),
                              .image = image,
                              .labels = {label},
                              .depth = std::span<const std::uint16_t>(depth),
                              .normals = normals};
    writer.append(i < options.train ? pack::Split::train : pack::Split::val, sample);
  }
  std::ignore = writer.finish();
}

}  // namespace xtasc::launch
