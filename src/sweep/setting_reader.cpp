#include "sweep/setting_reader.hpp"

#include "config/field_list.hpp"
#include "config/run_config.hpp"
#include "core/error.hpp"

namespace xtasc::sweep {

namespace {

using Kind = TomlValue::Kind;

/// A value as an assignment writes it, or nullopt for tables, dates and NaN.
std::optional<std::string> value_text(const TomlValue& value) {
  switch (value.kind) {
    case Kind::text:
      return config::toml_string(value.text);
    case Kind::integer:
      return fmt::format("{}", value.integer);
    case Kind::real:
      return value.is_number() ? std::optional(config::real_text(value.real)) : std::nullopt;
    case Kind::boolean:
      return value.boolean ? "true" : "false";
    case Kind::list: {
      std::vector<std::string> elements;
      for (const TomlValue& element : value.list) {
        if (auto text = value_text(element)) {
          elements.push_back(std::move(*text));
        }
      }
      return elements.size() == value.list.size() ? std::optional(fmt::format("[{}]", fmt::join(elements, ", ")))
                                                  : std::nullopt;
    }
    case Kind::table:
    case Kind::other:
      break;
  }
  return std::nullopt;
}

}  // namespace

void SettingReader::for_each_key(const std::string& name, const TomlValue& value, const std::set<std::string>& other,
                                 const KeyCall& call) {
  if (!value.is(Kind::table)) {
    fault(value.where, fmt::format("{} must be a section: [{}]", name, name));
    return;
  }
  for (const TomlValue& section : value.table) {
    if (other.contains(section.key)) {
      continue;
    }
    if (!section.is(Kind::table)) {
      fault(section.key_where,
            fmt::format("\"{}\" is no key of a config: section.key is needed, e.g. train.epochs", section.key));
      continue;
    }
    for (const TomlValue& entry : section.table) {
      const std::string key = fmt::format("{}.{}", section.key, entry.key);
      if (attempt([&] { config::check_key(key, entry.key_where); })) {
        call(key, entry);
      }
    }
  }
}

std::vector<Setting> SettingReader::settings(const std::string& name, const TomlValue& value,
                                             const std::set<std::string>& other) {
  std::vector<Setting> found;
  for_each_key(name, value, other, [&](const std::string& key, const TomlValue& inner) {
    if (auto made = setting(key, inner)) {
      found.push_back(std::move(*made));
    }
  });
  return found;
}

std::vector<Axis> SettingReader::axes(const std::string& name, const TomlValue& value,
                                      const std::set<std::string>& other) {
  std::vector<Axis> found;
  for_each_key(name, value, other, [&](const std::string& key, const TomlValue& inner) {
    if (inner.list.empty()) {
      fault(inner.where, fmt::format("{} is an axis: a list of values is needed, {} = [..., ...]", key, key));
      return;
    }
    Axis axis{.key = key, .values = values_of(key, inner.list)};
    if (axis.values.size() == inner.list.size()) {
      found.push_back(std::move(axis));
    }
  });
  return found;
}

std::vector<Axis> SettingReader::excluded(const TomlValue& table) {
  std::vector<Axis> found;
  for_each_key("exclude", table, {}, [&](const std::string& key, const TomlValue& inner) {
    Axis axis{.key = key, .values = {}};
    if (inner.is(Kind::list)) {
      axis.values = values_of(key, inner.list);
    } else if (auto made = setting(key, inner)) {
      axis.values.push_back(std::move(*made));
    }
    found.push_back(std::move(axis));
  });
  return found;
}

std::vector<Setting> SettingReader::values_of(const std::string& key, const std::vector<TomlValue>& list) {
  std::vector<Setting> values;
  for (const TomlValue& element : list) {
    if (auto made = setting(key, element)) {
      values.push_back(std::move(*made));
    }
  }
  return values;
}

std::optional<Setting> SettingReader::setting(const std::string& key, const TomlValue& value) {
  const auto assigned = value_text(value);
  if (!assigned) {
    fault(value.where, fmt::format("{}: a value of a config is needed", key));
    return std::nullopt;
  }
  if (!attempt([&] { config::check_assignment(fmt::format("{}={}", key, *assigned), value.where); })) {
    return std::nullopt;
  }
  const bool is_bare = value.is(Kind::text) && !value.text.starts_with('"') && !value.text.starts_with('\'');
  return Setting{.key = key, .value = is_bare ? value.text : *assigned, .where = value.where};
}

Placed SettingReader::text(const TomlValue& value, const std::string& name) {
  if (value.text.empty() || value.text.find_first_of("\n\r\t") != std::string::npos) {
    fault(value.where, fmt::format("{} must be a text on one line, e.g. {} = \"...\"", name, name));
  }
  return {value.text, value.where};
}

std::int64_t SettingReader::integer(const TomlValue& entry, std::int64_t minimum) {
  const bool is_good = entry.is(Kind::integer) && entry.integer >= minimum;
  if (!is_good) {
    fault(entry.where, fmt::format("{} must be an integer >= {}", entry.key, minimum));
  }
  return entry.is(Kind::integer) ? entry.integer : minimum;
}

bool SettingReader::attempt(const std::function<void()>& call) {
  try {
    call();
    return true;
  } catch (const Error& error) {
    faults_.emplace_back(error.what());
    return false;
  }
}

void SettingReader::fault(const std::string& where, const std::string& what) {
  faults_.push_back(fmt::format("{}: {}", where, what));
}

}  // namespace xtasc::sweep
