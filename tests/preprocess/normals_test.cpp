#include "preprocess/normals.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>

#include "pack/schema.hpp"
#include "preprocess/scenes/scene_layout.hpp"
#include "preprocess/scenes/scenes.hpp"

namespace xtasc::preprocess {
namespace {

using Normal = std::array<double, 3>;

Normal normal_at(const std::vector<std::int16_t>& normals, std::size_t pixel) {
  return {normals[3 * pixel] / 32767.0, normals[3 * pixel + 1] / 32767.0, normals[3 * pixel + 2] / 32767.0};
}

double dot_of(const Normal& a, const Normal& b) {
  return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
}

double degrees_between(const Normal& a, const Normal& b) {
  const double cosine = dot_of(a, b) / std::sqrt(dot_of(a, a) * dot_of(b, b));
  return std::acos(std::clamp(cosine, -1.0, 1.0)) * 180.0 / 3.14159265358979323846;
}

/// A scene's camera (Camera::ray) as a pinhole.
Pinhole pinhole_of(const Camera& camera, Size size) {
  const auto height = static_cast<double>(size.height), width = static_cast<double>(size.width);
  const double focal = std::sqrt(height * width) / (2.0 * camera.tan_half_view);
  return {focal, focal, width / 2 - 0.5, height / 2 - 0.5};
}

/// Whether all pixels that the plane fit may see show one surface: one label and one direction, within 20 degrees.
bool is_smooth(const Scene& scene, Size size, std::int64_t row, std::int64_t column) {
  const auto at = [&](std::int64_t y, std::int64_t x) { return static_cast<std::size_t>(y * size.width + x); };
  const std::size_t centre = at(row, column);
  for (std::int64_t y = row - 9; y <= row + 9; ++y) {
    for (std::int64_t x = column - 9; x <= column + 9; ++x) {
      if (scene.label[at(y, x)] != scene.label[centre] ||
          degrees_between(normal_at(scene.normals, at(y, x)), normal_at(scene.normals, centre)) > 20.0) {
        return false;
      }
    }
  }
  return true;
}

TEST(NormalsFromDepth, AreThoseOfTheRayCasterWithinADegree) {
  constexpr Size kSize{384, 512};
  std::array<double, 2> sum{};  ///< over flat surfaces, and over spheres and cylinders
  std::array<std::int64_t, 2> count{};
  for (std::uint64_t index = 0; index < 2; ++index) {
    const Scene scene = render_scene(11, index, kSize.height, kSize.width, true);
    const auto found = normals_from_depth(scene.depth, kSize, pinhole_of(compose_layout(11, index).camera, kSize));
    ASSERT_EQ(found.size(), scene.normals.size());
    for (std::int64_t row = 9; row + 9 < kSize.height; row += 5) {
      for (std::int64_t column = 9; column + 9 < kSize.width; column += 5) {
        const auto pixel = static_cast<std::size_t>(row * kSize.width + column);
        if (is_smooth(scene, kSize, row, column)) {
          const auto label = static_cast<SceneClass>(scene.label[pixel]);
          const std::size_t kind = label == SceneClass::sphere || label == SceneClass::cylinder ? 1 : 0;
          sum[kind] += degrees_between(normal_at(found, pixel), normal_at(scene.normals, pixel));
          ++count[kind];
        }
      }
    }
  }
  EXPECT_GT(count[0], 4000);
  EXPECT_GT(count[1], 100);
  EXPECT_LT(sum[0] / static_cast<double>(count[0]), 0.01);
  EXPECT_LT(sum[1] / static_cast<double>(count[1]), 1.0);
}

TEST(SceneNormals, PointToTheCameraAndChangeNothingElse) {
  constexpr Size kSize{64, 96};
  const Scene plain = render_scene(5, 3, kSize.height, kSize.width);
  const Scene scene = render_scene(5, 3, kSize.height, kSize.width, true);
  EXPECT_TRUE(plain.normals.empty());
  EXPECT_EQ(scene.image, plain.image);
  EXPECT_EQ(scene.label, plain.label);
  EXPECT_EQ(scene.depth, plain.depth);
  const Pinhole camera = pinhole_of(compose_layout(5, 3).camera, kSize);
  ASSERT_EQ(scene.normals.size(), 3 * scene.depth.size());
  std::int64_t num_floor = 0;
  for (std::size_t pixel = 0; pixel < scene.depth.size(); ++pixel) {
    const Normal normal = normal_at(scene.normals, pixel);
    EXPECT_NEAR(dot_of(normal, normal), 1.0, 1e-4);
    const std::size_t y = pixel / 96, x = pixel % 96;
    const auto row = static_cast<double>(y), column = static_cast<double>(x);
    EXPECT_LT(dot_of(normal, {(column - camera.cx) / camera.fx, (row - camera.cy) / camera.fy, 1.0}), 1e-4) << pixel;
    if (scene.label[pixel] == static_cast<std::uint8_t>(SceneClass::floor)) {
      EXPECT_LT(normal[1], -0.5) << "the floor points up, y counts down";
      ++num_floor;
    }
  }
  EXPECT_GT(num_floor, 100);
}

TEST(NormalsFromDepth, OfAPlaneAreItsOwnAndInvalidPixelsHaveNone) {
  constexpr Size kSize{40, 61};  // no multiple of what is worked on at once
  const Pinhole camera{50.0, 52.0, 29.3, 21.9};
  const Normal plane = {0.48, -0.6, -0.64};  // n . p = -2
  std::vector<float> depth;
  for (std::int64_t row = 0; row < kSize.height; ++row) {
    for (std::int64_t column = 0; column < kSize.width; ++column) {
      const double u = (static_cast<double>(column) - camera.cx) / camera.fx;
      const double v = (static_cast<double>(row) - camera.cy) / camera.fy;
      const double z = -2.0 / dot_of(plane, {u, v, 1.0});
      depth.push_back(z > 0.0 && z < 20.0 ? static_cast<float>(z) : 0.0F);
    }
  }
  depth[5 * 61 + 7] = 0.0F;
  const auto normals = normals_from_depth(depth, kSize, camera);
  std::int64_t num_valid = 0;
  for (std::size_t pixel = 0; pixel < depth.size(); ++pixel) {
    const Normal found = normal_at(normals, pixel);
    if (depth[pixel] == 0.0F) {
      EXPECT_EQ(found, (Normal{0, 0, 0})) << pixel;
    } else if (found != Normal{0, 0, 0}) {
      EXPECT_LT(degrees_between(found, plane), 0.1) << pixel;
      ++num_valid;
    }
  }
  EXPECT_GT(num_valid, 2000);
}

TEST(NormalsFromDepth, NeedsThreePointsThatAreNotOnALine) {
  constexpr Size kSize{20, 20};
  const Pinhole camera{100.0, 100.0, 10.0, 10.0};
  const auto at = [&](std::initializer_list<std::array<std::size_t, 2>> valid) {
    std::vector<float> depth(400, 0.0F);
    for (const auto& [row, column] : valid) {
      depth[row * 20 + column] = 2.0F;
    }
    return normal_at(normals_from_depth(depth, kSize, camera), 10 * 20 + 10);
  };
  const Normal none = {0, 0, 0};
  EXPECT_EQ(at({{10, 10}}), none);
  EXPECT_EQ(at({{10, 10}, {10, 13}}), none);
  EXPECT_EQ(at({{10, 10}, {10, 13}, {10, 16}, {10, 9}}), none);
  EXPECT_EQ(at({{10, 10}, {10, 12}, {12, 10}}), none) << "2 is no offset";
  EXPECT_EQ(at({{10, 10}, {10, 13}, {13, 10}}), (Normal{0, 0, -1}));
  EXPECT_EQ(at({{10, 10}, {19, 1}, {1, 1}}), (Normal{0, 0, -1}));
}

TEST(NormalsFromDepth, LeaveOutWhatIsFivePercentNearerOrFarther) {
  constexpr Size kSize{20, 40};
  std::vector<float> depth(800, 2.0F);
  for (std::size_t i = 0; i < depth.size(); ++i) {
    depth[i] = i % 40 < 20 ? 2.0F : 2.11F;
  }
  const Pinhole camera{100.0, 100.0, 20.0, 10.0};
  EXPECT_EQ(normal_at(normals_from_depth(depth, kSize, camera), 10 * 40 + 19), (Normal{0, 0, -1}));
  EXPECT_EQ(normal_at(normals_from_depth(depth, kSize, camera), 10 * 40 + 20), (Normal{0, 0, -1}));
  for (std::size_t i = 0; i < depth.size(); ++i) {
    depth[i] = i % 40 < 20 ? 2.0F : 2.09F;
  }
  EXPECT_GT(normal_at(normals_from_depth(depth, kSize, camera), 10 * 40 + 19)[0], 0.2) << "the step tilts the plane";
}

TEST(Normals, AreStoredWithUnitLengthAndRounded) {
  std::array<std::int16_t, 3> stored{};
  store_normal(0.0, 0.0, -1.01, stored.data());
  EXPECT_EQ(stored, (std::array<std::int16_t, 3>{0, 0, -32767}));
  store_normal(0.6, -0.8, 0.0, stored.data());
  EXPECT_EQ(stored, (std::array<std::int16_t, 3>{19660, -26214, 0})) << "19660.2 and 26213.6";
  store_normal(0.0, 0.0, 0.0, stored.data());
  EXPECT_EQ(stored, (std::array<std::int16_t, 3>{0, 0, 0}));
}

TEST(Normals, AxesAreThreeWords) {
  EXPECT_EQ(axis_signs(kPackAxes), (AxisSigns{1, 1, 1}));
  EXPECT_EQ(axis_signs("left,up,out"), (AxisSigns{-1, -1, -1}));
  EXPECT_EQ(axis_signs("right,up,out"), (AxisSigns{1, -1, -1}));
  for (const char* words : {"", "right", "right,down", "right,down,", "right,down,in,", "down,right,in",
                            "right, down,in", "right,down,in,in", "Right,down,in"}) {
    EXPECT_EQ(axis_signs(words), std::nullopt) << words;
  }
}

}  // namespace
}  // namespace xtasc::preprocess
