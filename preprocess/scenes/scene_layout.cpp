#include "preprocess/scenes/scene_layout.hpp"

#include <algorithm>
#include <array>
#include <utility>

#include "core/random.hpp"

namespace xtasc::preprocess {
namespace {

/// Colours that any class may take (sRGB, 0 .. 255); classes differ only in how often they take which.
constexpr std::array<Vec3, 14> kColors{{{196, 62, 52},
                                        {222, 132, 48},
                                        {230, 190, 70},
                                        {120, 160, 70},
                                        {52, 116, 84},
                                        {60, 140, 160},
                                        {52, 88, 160},
                                        {112, 82, 150},
                                        {186, 96, 130},
                                        {150, 100, 60},
                                        {96, 66, 46},
                                        {90, 92, 98},
                                        {168, 166, 160},
                                        {226, 222, 212}}};
constexpr std::array<Vec3, 4> kWoods{{{176, 124, 76}, {140, 92, 54}, {202, 160, 110}, {104, 70, 46}}};

constexpr double kMinObjectDistance = 0.95;

Vec3 to_linear(const Vec3& srgb) {
  const Vec3 v = srgb * (1.0 / 255.0);
  return v * v;
}

/// A unit vector with the angle whose half has tangent t: rational, so without sin and cos.
std::pair<double, double> cos_sin(double t) {
  const double scale = 1.0 / (1.0 + t * t);
  return {(1.0 - t * t) * scale, 2.0 * t * scale};
}

/// Draws one scene; each method adds a part of it.
class Composer {
 public:
  Composer(std::uint64_t seed, std::uint64_t index) : random_(seed, Purpose::scene, 0, index) {}

  Layout compose() {
    add_room();
    add_camera();
    add_lights();
    for (const SceneClass kind : {SceneClass::table, SceneClass::box, SceneClass::cylinder, SceneClass::sphere}) {
      add_object(kind);
    }
    constexpr std::array<SceneClass, 6> kExtras{SceneClass::box,    SceneClass::sphere, SceneClass::cylinder,
                                                SceneClass::sphere, SceneClass::table,  SceneClass::cylinder};
    for (std::uint64_t left = 3 + random_.below(4); left > 0; --left) {
      add_object(kExtras[random_.below(kExtras.size())]);
    }
    return std::move(layout_);
  }

 private:
  struct Footprint {
    double x, y, radius;
  };

  bool chance(double probability) { return random_.uniform() < probability; }

  template <std::size_t N>
  Vec3 pick(const std::array<Vec3, N>& colors) {
    const Vec3 base = colors[random_.below(N)];
    const double gain = random_.uniform(0.8, 1.12);
    const Vec3 jitter{random_.uniform(0.92, 1.08), random_.uniform(0.92, 1.08), random_.uniform(0.92, 1.08)};
    return to_linear(base * jitter * gain);
  }

  Material base_material(double cell_low, double cell_high) {
    Material material;
    material.cell_metres = random_.uniform(cell_low, cell_high);
    material.phase = {random_.uniform(0, 9), random_.uniform(0, 9), random_.uniform(0, 9)};
    material.noise_seed = random_.next();
    return material;
  }

  std::size_t keep(const Material& material) {
    layout_.materials.push_back(material);
    return layout_.materials.size() - 1;
  }

  Material wood(double cell_low, double cell_high) {
    Material material = base_material(cell_low, cell_high);
    material.pattern = chance(0.7) ? Pattern::planks : Pattern::marble;
    material.first = pick(kWoods);
    material.second = material.first * random_.uniform(0.4, 0.75);
    material.gloss = random_.uniform(0, 0.25);
    return material;
  }

  Material pale(double cell_low, double cell_high) {
    Material material = base_material(cell_low, cell_high);
    constexpr std::array<Pattern, 5> kPatterns{Pattern::plain, Pattern::plain, Pattern::stripes, Pattern::bricks,
                                               Pattern::marble};
    material.pattern = kPatterns[random_.below(kPatterns.size())];
    const Vec3 tint = pick(kColors);
    material.first = mix(tint, {0.8, 0.79, 0.76}, random_.uniform(0.55, 0.95));
    material.second = material.first * random_.uniform(0.65, 0.9);
    return material;
  }

  Material vivid(double cell_low, double cell_high) {
    Material material = base_material(cell_low, cell_high);
    constexpr std::array<Pattern, 8> kPatterns{Pattern::plain,   Pattern::plain,  Pattern::checker, Pattern::stripes,
                                               Pattern::stripes, Pattern::marble, Pattern::bricks,  Pattern::dots};
    material.pattern = kPatterns[random_.below(kPatterns.size())];
    material.first = pick(kColors);
    material.second = chance(0.5) ? material.first * random_.uniform(0.35, 0.7) : pick(kColors);
    material.gloss = chance(0.6) ? random_.uniform(0.1, 0.8) : 0.0;
    return material;
  }

  Material object_material(SceneClass kind, double size) {
    const double low = 0.18 * size;
    const double high = 0.7 * size;
    const double wooden = kind == SceneClass::table ? 0.55 : (kind == SceneClass::box ? 0.3 : 0.12);
    const double draw = random_.uniform();
    if (draw < wooden) {
      return wood(low, high);
    }
    return draw < wooden + 0.2 ? pale(low, high) : vivid(low, high);
  }

  void add_room() {
    Geometry& geometry = layout_.geometry;
    geometry.room_size = {random_.uniform(3.8, 6.8), random_.uniform(4.4, 8.4), random_.uniform(2.3, 3.0)};
    const std::size_t wall = keep(chance(0.72) ? pale(0.12, 0.4) : vivid(0.15, 0.5));
    geometry.room_material.fill(wall);
    if (chance(0.4)) {
      geometry.room_material[3] = keep(chance(0.5) ? pale(0.12, 0.4) : vivid(0.15, 0.5));
    }
    const double floor_draw = random_.uniform();
    geometry.room_material[4] =
        keep(floor_draw < 0.45 ? wood(0.12, 0.3) : (floor_draw < 0.65 ? pale(0.25, 0.6) : vivid(0.3, 0.7)));
    Material ceiling = pale(0.3, 0.9);
    if (chance(0.7)) {
      ceiling.first = Vec3{0.82, 0.81, 0.79} * random_.uniform(0.75, 1.0);
      ceiling.second = ceiling.first * 0.85;
    }
    geometry.room_material[5] = keep(ceiling);
    for (int face = 0; face < 4; ++face) {
      if (face != 2 && chance(0.65)) {
        add_panel(face);
      }
    }
  }

  void add_panel(int face) {
    const Vec3 room = layout_.geometry.room_size;
    const double span = face < 2 ? room.y : room.x;
    const bool is_door = chance(0.3);
    const double width = is_door ? random_.uniform(0.75, 0.95) : random_.uniform(0.5, 1.5);
    const double height = is_door ? random_.uniform(1.9, 2.1) : random_.uniform(0.45, 0.95);
    const double u = random_.uniform(0.3, span - width - 0.3);
    const double v = is_door ? 0.0 : random_.uniform(1.0, room.z - height - 0.15);
    const std::size_t rim = keep(wood(0.1, 0.3));
    const std::size_t inside = keep(is_door ? (chance(0.6) ? wood(0.2, 0.5) : pale(0.3, 0.6)) : vivid(0.1, 0.4));
    constexpr double kRim = 0.06;
    layout_.geometry.panels.push_back({face, u, u + width, v, v + height, rim});
    layout_.geometry.panels.push_back(
        {face, u + kRim, u + width - kRim, v + (is_door ? 0.0 : kRim), v + height - kRim, inside});
  }

  void add_camera() {
    const Vec3 room = layout_.geometry.room_size;
    Camera& camera = layout_.camera;
    camera.position = {random_.uniform(1.2, room.x - 1.2), random_.uniform(0.5, 1.1),
                       random_.uniform(1.05, std::min(1.9, room.z - 0.6))};
    camera.tan_half_view = random_.uniform(0.5, 0.72);
    // Turned towards the middle of the room more than away from it.
    const double aside = (camera.position.x - room.x / 2) / room.x;
    const auto [yaw_cos, yaw_sin] = cos_sin(random_.uniform(-0.24, 0.24) - 0.3 * aside);
    const auto [pitch_cos, pitch_sin] = cos_sin(random_.uniform(-0.19, 0.01));
    const auto [roll_cos, roll_sin] = cos_sin(random_.uniform(-0.05, 0.05));
    level_forward_ = {yaw_sin, yaw_cos, 0};
    level_right_ = {yaw_cos, -yaw_sin, 0};
    const Vec3 up{0, 0, 1};
    const Vec3 forward = level_forward_ * pitch_cos + up * pitch_sin;
    const Vec3 camera_up = up * pitch_cos - level_forward_ * pitch_sin;
    camera.axes = {level_right_ * roll_cos + camera_up * roll_sin, forward,
                   camera_up * roll_cos - level_right_ * roll_sin};
  }

  void add_lights() {
    const Vec3 room = layout_.geometry.room_size;
    const double warmth = random_.uniform(-0.12, 0.12);
    const Vec3 tint{1.0 + warmth, 1.0, 1.0 - warmth};
    layout_.lights.push_back(
        {{random_.uniform(0.25, 0.75) * room.x, random_.uniform(0.25, 0.7) * room.y, room.z - 0.25},
         tint * random_.uniform(0.65, 1.0),
         random_.uniform(2.5, 4.5)});
    const bool from_left = chance(0.5);
    layout_.lights.push_back(
        {{from_left ? 0.15 : room.x - 0.15, random_.uniform(0.1, 0.9) * room.y, random_.uniform(1.3, 2.1)},
         Vec3{1.0 - warmth, 1.0, 1.0 + warmth} * random_.uniform(0.1, 0.6),
         random_.uniform(2.0, 4.0)});
    layout_.ambient = tint * random_.uniform(0.2, 0.36);
    layout_.exposure = random_.uniform(1.0, 1.6);
  }

  /// A place on the floor that the camera probably sees, clear of walls and other objects.
  bool find_place(double radius, Footprint& place) {
    const Vec3 room = layout_.geometry.room_size;
    const Vec3 eye = layout_.camera.position;
    const double distance = random_.uniform(1.3, 5.8);
    const double aside = random_.uniform(-0.8, 0.8) * distance;
    const Vec3 p = eye + level_forward_ * distance + level_right_ * aside;
    const double margin = radius + 0.02;
    if (p.x < margin || p.y < margin || p.x > room.x - margin || p.y > room.y - margin) {
      return false;
    }
    if (length({p.x - eye.x, p.y - eye.y, 0}) < radius + kMinObjectDistance) {
      return false;
    }
    for (const Footprint& other : footprints_) {
      if (length({p.x - other.x, p.y - other.y, 0}) < radius + other.radius + 0.04) {
        return false;
      }
    }
    place = {p.x, p.y, radius};
    return true;
  }

  Frame turned() {
    const auto [c, s] = cos_sin(random_.uniform(-1.0, 1.0));
    return {{c, s, 0}, {-s, c, 0}, {0, 0, 1}};
  }

  void add_solid(Solid solid) {
    solid.set_bound();
    layout_.geometry.solids.push_back(solid);
  }

  void add_object(SceneClass kind) {
    for (double scale = 1.0; scale > 0.45; scale *= 0.985) {
      Vec3 half;
      double radius = 0;
      switch (kind) {
        case SceneClass::table:
          half = Vec3{random_.uniform(0.45, 0.9), random_.uniform(0.35, 0.6), random_.uniform(0.22, 0.4)} * scale;
          radius = length({half.x, half.y, 0});
          break;
        case SceneClass::box:
          half = Vec3{random_.uniform(0.17, 0.5), random_.uniform(0.17, 0.45), random_.uniform(0.15, 0.7)} * scale;
          radius = length({half.x, half.y, 0});
          break;
        case SceneClass::cylinder:
          half = Vec3{random_.uniform(0.15, 0.4), 0, random_.uniform(0.2, 0.7)} * scale;
          radius = std::max(half.x, half.z);
          break;
        default:
          half = Vec3{random_.uniform(0.2, 0.5), 0, 0} * scale;
          radius = half.x;
          break;
      }
      Footprint place{};
      if (find_place(radius, place)) {
        footprints_.push_back(place);
        stand(kind, half, {place.x, place.y, 0}, 1);
        return;
      }
    }
  }

  /// Puts an object on the floor or on another one. \param base  the point under its centre.
  /// \param levels  how many more objects may be piled on it.
  void stand(SceneClass kind, const Vec3& half, const Vec3& base, int levels) {
    const double size = std::max({half.x, half.y, half.z});
    const std::size_t material = keep(object_material(kind, kind == SceneClass::table ? 0.5 * size : size));
    switch (kind) {
      case SceneClass::table:
        stand_table(half, base, material);
        break;
      case SceneClass::box: {
        const Frame frame = turned();
        add_solid({Shape::box, kind, base + Vec3{0, 0, half.z}, frame, half, material});
        if (levels > 0 && 2 * half.z < 1.0 && chance(0.4)) {
          stand_small(base + Vec3{0, 0, 2 * half.z}, 0.75 * std::min(half.x, half.y));
        }
        break;
      }
      case SceneClass::cylinder: {
        Frame frame = turned();
        const bool lies = levels > 0 && chance(0.3);
        if (lies) {
          frame = {frame.y, frame.z, frame.x};
        }
        add_solid({Shape::cylinder, kind, base + Vec3{0, 0, lies ? half.x : half.z}, frame, half, material});
        break;
      }
      default: {
        const auto [c, s] = cos_sin(random_.uniform(-0.7, 0.7));
        const Frame yaw = turned();
        const Frame frame{yaw.x * c + yaw.z * s, yaw.y, yaw.z * c - yaw.x * s};
        add_solid({Shape::sphere, kind, base + Vec3{0, 0, half.x}, frame, half, material});
        break;
      }
    }
  }

  void stand_table(const Vec3& half, const Vec3& base, std::size_t material) {
    const Frame frame = turned();
    const double height = 2 * half.z;
    const double thickness = random_.uniform(0.03, 0.06);
    const double leg = random_.uniform(0.03, 0.055);
    add_solid({Shape::box,
               SceneClass::table,
               base + Vec3{0, 0, height - thickness / 2},
               frame,
               {half.x, half.y, thickness / 2},
               material});
    const double leg_half = (height - thickness) / 2;
    for (const double sx : {-1.0, 1.0}) {
      for (const double sy : {-1.0, 1.0}) {
        const Vec3 corner = frame.x * (sx * (half.x - 1.4 * leg)) + frame.y * (sy * (half.y - 1.4 * leg));
        add_solid({Shape::box,
                   SceneClass::table,
                   base + corner + Vec3{0, 0, leg_half},
                   frame,
                   {leg, leg, leg_half},
                   material});
      }
    }
    const Vec3 top = base + Vec3{0, 0, height};
    const double room = 0.8 * std::min(half.x / 2, half.y);
    for (const double side : {-0.5, 0.5}) {
      if (chance(0.5)) {
        stand_small(top + frame.x * (side * half.x), room);
      }
    }
  }

  /// A small object within `room` metres of the point that it stands on.
  void stand_small(const Vec3& base, double room) {
    constexpr std::array<SceneClass, 3> kKinds{SceneClass::box, SceneClass::sphere, SceneClass::cylinder};
    const SceneClass kind = kKinds[random_.below(kKinds.size())];
    const double r = room * random_.uniform(0.55, 0.95);
    if (kind == SceneClass::box) {
      stand(kind, {0.7 * r, 0.7 * r * random_.uniform(0.6, 1.0), random_.uniform(0.06, 0.2)}, base, 0);
    } else if (kind == SceneClass::cylinder) {
      stand(kind, {0.7 * r, 0, random_.uniform(0.08, 0.2)}, base, 0);
    } else {
      stand(kind, {r, 0, 0}, base, 0);
    }
  }

  RandomStream random_;
  Layout layout_;
  Vec3 level_forward_, level_right_;
  std::vector<Footprint> footprints_;
};

}  // namespace

Layout compose_layout(std::uint64_t seed, std::uint64_t index) {
  return Composer(seed, index).compose();
}

}  // namespace xtasc::preprocess
