#pragma once

#include <optional>

#include "core/toml.hpp"
#include "sweep/setting_reader.hpp"
#include "sweep/sweep.hpp"

namespace xtasc::sweep {

/// [stop] as it stands. nullopt: it had faults, which `reader` has noted
[[nodiscard]] std::optional<Stop> read_stop(const TomlValue& entry, SettingReader& reader);

/// The most rows that go on from a rung which `num_rows` reached: at least one.
[[nodiscard]] std::size_t num_kept(const Stop& stop, std::size_t num_rows);

}  // namespace xtasc::sweep
