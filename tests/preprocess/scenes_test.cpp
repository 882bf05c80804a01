#include "preprocess/scenes/scenes.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <future>
#include <set>
#include <string_view>

#include "core/error.hpp"
#include "core/random.hpp"
#include "preprocess/scenes/scene_geometry.hpp"
#include "preprocess/scenes/scene_layout.hpp"

namespace xtasc::preprocess {
namespace {

constexpr std::int64_t kHeight = 64, kWidth = 128;
constexpr std::size_t kPixels = 64 * 128;
constexpr std::size_t kNumClasses = 7;

bool is_same(const Scene& a, const Scene& b) {
  return a.image == b.image && a.label == b.label && a.depth == b.depth;
}

std::uint64_t checksum(const std::vector<std::uint8_t>& bytes) {
  return hash_name(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

TEST(Scenes, HasTheAskedSizeAndValidValues) {
  for (const auto& [height, width] : {std::pair{kHeight, kWidth}, std::pair<std::int64_t, std::int64_t>{33, 20}}) {
    const Scene scene = render_scene(3, 5, height, width);
    const auto pixels = static_cast<std::size_t>(height * width);
    ASSERT_EQ(scene.image.size(), 3 * pixels);
    ASSERT_EQ(scene.label.size(), pixels);
    ASSERT_EQ(scene.depth.size(), pixels);
    for (std::size_t p = 0; p < pixels; ++p) {
      ASSERT_LT(scene.label[p], kNumClasses);
      ASSERT_TRUE(std::isfinite(scene.depth[p]));
      ASSERT_GT(scene.depth[p], 0.0F);
    }
  }
}

TEST(Scenes, IsAFunctionOfSeedAndIndex) {
  const Scene scene = render_scene(1, 2, kHeight, kWidth);
  EXPECT_TRUE(is_same(scene, render_scene(1, 2, kHeight, kWidth)));
  for (const auto& [seed, index] : {std::pair{1, 3}, std::pair{2, 2}, std::pair{2, 1}}) {
    const Scene other =
        render_scene(static_cast<std::uint64_t>(seed), static_cast<std::uint64_t>(index), kHeight, kWidth);
    EXPECT_NE(scene.image, other.image) << seed << " " << index;
    EXPECT_NE(scene.label, other.label) << seed << " " << index;
    EXPECT_NE(scene.depth, other.depth) << seed << " " << index;
  }
}

TEST(Scenes, IsTheSameFromManyThreads) {
  constexpr std::uint64_t kCount = 6;
  std::vector<std::future<Scene>> running;
  for (std::uint64_t index = 0; index < kCount; ++index) {
    running.push_back(std::async(std::launch::async, [index] { return render_scene(7, index, kHeight, kWidth); }));
  }
  for (std::uint64_t index = kCount; index-- > 0;) {
    EXPECT_TRUE(is_same(running[index].get(), render_scene(7, index, kHeight, kWidth))) << index;
  }
}

TEST(Scenes, DepthAndLabelsAgreeWithTheRoom) {
  for (std::uint64_t index = 0; index < 10; ++index) {
    const Scene scene = render_scene(11, index, kHeight, kWidth);
    const Layout layout = compose_layout(11, index);
    for (std::int64_t row = 0; row < kHeight; ++row) {
      for (std::int64_t column = 0; column < kWidth; ++column) {
        const auto p = static_cast<std::size_t>(row * kWidth + column);
        const Ray ray =
            layout.camera.ray(static_cast<double>(row) + 0.5, static_cast<double>(column) + 0.5, kHeight, kWidth);
        const Vec3 point = ray.at(static_cast<double>(scene.depth[p]));
        const Vec3 room = layout.geometry.room_size;
        const auto label = static_cast<SceneClass>(scene.label[p]);
        const double to_walls =
            std::min({std::abs(point.x), std::abs(room.x - point.x), std::abs(point.y), std::abs(room.y - point.y)});
        // The depth along the optical axis is the point's forward coordinate in the camera's frame.
        ASSERT_NEAR(dot(point - layout.camera.position, layout.camera.axes.y), static_cast<double>(scene.depth[p]),
                    1e-9);
        if (label == SceneClass::floor) {
          ASSERT_NEAR(point.z, 0.0, 1e-5);
        } else if (label == SceneClass::ceiling) {
          ASSERT_NEAR(point.z, room.z, 1e-5);
        } else if (label == SceneClass::wall) {
          ASSERT_NEAR(to_walls, 0.0, 1e-5);
        } else {
          ASSERT_GT(point.z, -1e-5);
          ASSERT_GT(to_walls, 1e-3) << "solids stand clear of the walls";
        }
      }
    }
  }
}

TEST(Scenes, SphereDepthIsAnalytic) {
  Geometry geometry;
  geometry.room_size = {4, 6, 3};
  Solid sphere{Shape::sphere, SceneClass::sphere, {2, 4, 1.5}, {}, {0.5, 0, 0}, 0};
  sphere.set_bound();
  geometry.solids.push_back(sphere);
  const Camera camera{{2, 1, 1.5}, {}, 0.6};
  const Hit centre = first_hit(geometry, camera.ray(32, 64, 64, 128));
  EXPECT_EQ(label_of(geometry, centre), SceneClass::sphere);
  EXPECT_NEAR(centre.t, 2.5, 1e-12);
  const Hit corner = first_hit(geometry, camera.ray(0, 0, 64, 128));
  EXPECT_NE(label_of(geometry, corner), SceneClass::sphere);
  EXPECT_TRUE(is_blocked(geometry, {2, 1, 1.5}, {2, 5.5, 1.5}));
  EXPECT_FALSE(is_blocked(geometry, {2, 1, 1.5}, {2, 3.4, 1.5}));
  EXPECT_FALSE(is_blocked(geometry, {0.1, 1, 1.5}, {0.1, 5.5, 1.5}));
}

TEST(Scenes, BoxAndCylinderDepthIsAnalytic) {
  const Camera camera{{2, 1, 1.5}, {}, 0.6};
  for (const Shape shape : {Shape::box, Shape::cylinder}) {
    Geometry geometry;
    geometry.room_size = {4, 6, 3};
    Solid solid{shape, SceneClass::box, {2, 4, 1.5}, {}, {0.5, 0.5, 0.3}, 0};
    solid.set_bound();
    geometry.solids.push_back(solid);
    EXPECT_NEAR(first_hit(geometry, camera.ray(32, 64, 64, 128)).t, 2.5, 1e-12);
    // Straight down onto the lid, from above.
    EXPECT_NEAR(first_hit(geometry, {{2, 4, 2.9}, {0, 0, -1}}).t, 1.1, 1e-12);
  }
}

TEST(Scenes, ClassesAreBalancedAndDepthsAreOfARoom) {
  std::array<std::size_t, kNumClasses> pixels{}, scenes{};
  constexpr std::uint64_t kCount = 100;
  for (std::uint64_t index = 0; index < kCount; ++index) {
    const Scene scene = render_scene(0, index, kHeight / 2, kWidth / 2);
    std::set<std::uint8_t> seen(scene.label.begin(), scene.label.end());
    for (const std::uint8_t label : scene.label) {
      ++pixels[label];
    }
    for (const std::uint8_t label : seen) {
      ++scenes[label];
    }
    for (const float depth : scene.depth) {
      ASSERT_GT(depth, 0.5F);
      ASSERT_LT(depth, 10.0F);
    }
  }
  for (std::size_t c = 0; c < kNumClasses; ++c) {
    EXPECT_GT(static_cast<double>(pixels[c]), 0.02 * kCount * kPixels / 4) << scene_class_names()[c];
    EXPECT_GT(scenes[c], kCount / 2) << scene_class_names()[c];
  }
}

TEST(Scenes, NamesAndColorsOfEveryClass) {
  EXPECT_EQ(scene_class_names().size(), kNumClasses);
  EXPECT_EQ(std::set(scene_class_colors().begin(), scene_class_colors().end()).size(), kNumClasses);
}

TEST(Scenes, RefusesImpossibleSizes) {
  EXPECT_THROW(static_cast<void>(render_scene(0, 0, 0, 128)), Error);
  EXPECT_THROW(static_cast<void>(render_scene(0, 0, 64, -1)), Error);
  EXPECT_THROW(static_cast<void>(render_scene(0, 0, 64, 1 << 20)), Error);
}

/// Packs made by other versions hold these very scenes: whoever changes them on purpose changes these numbers.
TEST(Scenes, MatchesTheRecordedScene) {
  const Scene scene = render_scene(0, 0, kHeight, kWidth);
  EXPECT_EQ(checksum(scene.label), 16275973035655072748ULL);
  EXPECT_EQ(checksum(scene.image), 2447087241966062178ULL);
}

}  // namespace
}  // namespace xtasc::preprocess
