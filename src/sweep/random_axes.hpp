#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "core/toml.hpp"
#include "sweep/setting_reader.hpp"
#include "sweep/sweep_file.hpp"

// [random] of a sweep file: axes whose values are drawn.
namespace xtasc::sweep {

/// How the values of one axis are drawn.
struct Distribution {
  enum class Kind {
    uniform,      ///< between two bounds
    log_uniform,  ///< the same for the logarithm
    choice,       ///< one of some values, each as likely
    simplex,      ///< a list of positive numbers whose mean is 1, each such list as likely
  };
  std::string key = {};  ///< "section.key"
  Kind kind = Kind::uniform;
  double low = 0.0, high = 0.0;       ///< of the first two
  std::vector<Setting> choices = {};  ///< of a choice
  std::int64_t parts = 0;             ///< of a simplex: how many numbers
  std::string where = {};

  /// "uniform in 0.1 .. 0.9"
  [[nodiscard]] std::string text() const;
};

/// Value `draw` of an axis, a pure function of (seed, key, draw) on every machine: numbers have four digits, those of a
/// simplex three behind the point, at least 0.001, and add up to just `parts`.
[[nodiscard]] Setting drawn_value(const Distribution& axis, std::uint64_t seed, std::uint64_t draw);

/// The first `count` draws that differ from all before them, so that a larger count begins with the same ones. \returns
/// one value of each axis a step; nullopt where there are not so many
[[nodiscard]] std::optional<AxisGroup> drawn_values(const std::vector<Distribution>& axes, std::uint64_t seed,
                                                    std::int64_t count);

/// [random] as it stands: seed, count, and a distribution a key. nullopt: it had faults, which `reader` has noted
[[nodiscard]] std::optional<AxisGroup> read_random(const TomlValue& entry, SettingReader& reader);

}  // namespace xtasc::sweep
