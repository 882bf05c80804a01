#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "core/toml.hpp"
#include "sweep/sweep_file.hpp"

namespace xtasc::sweep {

/// Reads the pieces that sections of a sweep file are made of: keys of a run's config with values for them, texts and
/// integers. What is wrong becomes a fault, one line each: "FILE:LINE:COLUMN: what is wrong".
class SettingReader {
 public:
  explicit SettingReader(std::vector<std::string>& faults) : faults_(faults) {}

  void fault(const std::string& where, const std::string& what);
  /// \returns whether nothing was thrown; what was, is a fault.
  bool attempt(const std::function<void()>& call);

  using KeyCall = std::function<void(const std::string& key, const TomlValue& value)>;
  /// Calls back with each "section.key" of a table of tables; a key outside of a section, or one that no config has, is
  /// a fault. \param other  entries of the table that are no sections
  void for_each_key(const std::string& name, const TomlValue& value, const std::set<std::string>& other,
                    const KeyCall& call);

  [[nodiscard]] std::vector<Setting> settings(const std::string& name, const TomlValue& value,
                                              const std::set<std::string>& other);
  [[nodiscard]] std::vector<Axis> axes(const std::string& name, const TomlValue& value,
                                       const std::set<std::string>& other);
  /// A value, or a list that means any of its values.
  [[nodiscard]] std::vector<Axis> excluded(const TomlValue& table);
  [[nodiscard]] std::vector<Setting> values_of(const std::string& key, const std::vector<TomlValue>& list);
  /// A value that the config takes for this key, or a fault. A text stands without quotes where it can.
  [[nodiscard]] std::optional<Setting> setting(const std::string& key, const TomlValue& value);

  Placed text(const TomlValue& value) { return text(value, value.key); }
  Placed text(const TomlValue& value, const std::string& name);
  /// A fault where it is none, or smaller; then `minimum`, or what stands there.
  std::int64_t integer(const TomlValue& entry, std::int64_t minimum);

 private:
  std::vector<std::string>& faults_;
};

}  // namespace xtasc::sweep
