#include "preprocess/scenes/scenes.hpp"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.hpp"
#include "preprocess/normals.hpp"
#include "preprocess/scenes/scene_geometry.hpp"
#include "preprocess/scenes/scene_layout.hpp"
#include "preprocess/scenes/scene_texture.hpp"

namespace xtasc::preprocess {
namespace {

constexpr std::int64_t kMaxSide = 8192;

/// Ray offsets within a pixel; each also sees the lamps a little displaced, which softens the shadows' edges.
constexpr std::array<std::array<double, 2>, 4> kSubpixels{{{0.25, 0.25}, {0.25, 0.75}, {0.75, 0.25}, {0.75, 0.75}}};
constexpr double kLampHalfMetres = 0.12;

double power_32(double v) {
  for (int i = 0; i < 5; ++i) {
    v *= v;
  }
  return v;
}

/// Light that reaches a corner is dimmer: 1 in the open, down to 0.5 where two or three faces of the room meet.
double openness(const Vec3& p, const Vec3& room) {
  double open = 1.0;
  for (const double gap : {p.x, room.x - p.x, p.y, room.y - p.y, p.z, room.z - p.z}) {
    const double t = std::clamp(gap / 0.5, 0.0, 1.0);
    open *= 0.8 + 0.2 * t * (2.0 - t);
  }
  return open / 0.8;
}

/// The linear colour that the eye sees along a ray. \param sub  which of kSubpixels the ray belongs to.
Vec3 shade(const Layout& layout, const Ray& ray, std::size_t sub) {
  const SurfacePoint point = describe(layout.geometry, ray, first_hit(layout.geometry, ray));
  const Material& material = layout.materials[point.material];
  const Vec3 color = surface_color(material, point.local_position, point.local_normal);
  const Vec3 start = point.position + point.normal * 1e-6;
  const Vec3 to_eye = normalized(-ray.direction);
  const double sky = 0.75 + 0.25 * point.normal.z;
  Vec3 light = layout.ambient * (sky * std::min(1.0, openness(point.position, layout.geometry.room_size)));
  Vec3 highlight;
  for (const Light& lamp : layout.lights) {
    const Vec3 shift{(kSubpixels[sub][0] - 0.5) * 4 * kLampHalfMetres, (kSubpixels[sub][1] - 0.5) * 4 * kLampHalfMetres,
                     0};
    const Vec3 source = lamp.position + shift;
    const Vec3 way = source - start;
    const double facing = dot(way, point.normal);
    if (facing <= 0 || is_blocked(layout.geometry, start, source)) {
      continue;
    }
    const double squared = dot(way, way);
    const Vec3 direction = way * (1.0 / std::sqrt(squared));
    const double reach = lamp.reach_metres * lamp.reach_metres;
    const Vec3 arriving = lamp.color * (reach / (reach + squared));
    light = light + arriving * dot(direction, point.normal);
    if (material.gloss > 0) {
      const double shine = std::max(0.0, dot(normalized(direction + to_eye), point.normal));
      highlight = highlight + arriving * (material.gloss * power_32(shine));
    }
  }
  return (color * light + highlight) * layout.exposure;
}

/// Gamma 2 with a soft shoulder towards white.
std::uint8_t to_byte(double linear) {
  const double encoded = std::sqrt(std::max(0.0, linear));
  const double soft = encoded < 0.8 ? encoded : 0.8 + 0.2 * (encoded - 0.8) / (encoded - 0.6);
  return static_cast<std::uint8_t>(std::clamp(soft * 255.0 + 0.5, 0.0, 255.0));
}

}  // namespace

Scene render_scene(std::uint64_t seed, std::uint64_t index, std::int64_t height, std::int64_t width,
                   bool with_normals) {
  check(height >= 1 && width >= 1 && height <= kMaxSide && width <= kMaxSide,
        "scene size {}x{}: height and width must be 1 .. {}", height, width, kMaxSide);
  const Layout layout = compose_layout(seed, index);
  const std::size_t pixels = static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
  Scene scene;
  scene.image.reserve(3 * pixels);
  scene.label.reserve(pixels);
  scene.depth.reserve(pixels);
  scene.normals.reserve(with_normals ? 3 * pixels : 0);
  for (std::int64_t row = 0; row < height; ++row) {
    for (std::int64_t column = 0; column < width; ++column) {
      const double y = static_cast<double>(row);
      const double x = static_cast<double>(column);
      const Ray centre = layout.camera.ray(y + 0.5, x + 0.5, height, width);
      const Hit hit = first_hit(layout.geometry, centre);
      scene.label.push_back(static_cast<std::uint8_t>(label_of(layout.geometry, hit)));
      scene.depth.push_back(static_cast<float>(hit.t));
      if (with_normals) {
        // The camera's axes are right, forward and up; those of a pack right, down and into the scene.
        const Vec3 normal = layout.camera.axes.to_local(describe(layout.geometry, centre, hit).normal);
        scene.normals.resize(scene.normals.size() + 3);
        store_normal(normal.x, -normal.z, normal.y, &*(scene.normals.end() - 3));
      }
      Vec3 sum;
      for (std::size_t sub = 0; sub < kSubpixels.size(); ++sub) {
        const auto [dy, dx] = kSubpixels[sub];
        sum = sum + shade(layout, layout.camera.ray(y + dy, x + dx, height, width), sub);
      }
      for (const double channel : {sum.x, sum.y, sum.z}) {
        scene.image.push_back(to_byte(channel / static_cast<double>(kSubpixels.size())));
      }
    }
  }
  return scene;
}

const std::vector<std::string>& scene_class_names() {
  static const std::vector<std::string> names{"floor", "wall", "ceiling", "box", "sphere", "cylinder", "table"};
  return names;
}

const std::vector<std::array<std::uint8_t, 3>>& scene_class_colors() {
  static const std::vector<std::array<std::uint8_t, 3>> colors{
      {230, 159, 0}, {86, 180, 233}, {240, 228, 66}, {0, 114, 178}, {213, 94, 0}, {0, 158, 115}, {204, 121, 167}};
  return colors;
}

}  // namespace xtasc::preprocess
