#include <algorithm>
#include <optional>

#include "config/fields.hpp"
#include "core/error.hpp"
#include "core/user_path.hpp"

namespace xtasc::config {

namespace {

std::vector<std::string> section_names(const std::vector<Field>& fields) {
  std::vector<std::string> names;
  for (const Field& field : fields) {
    if (names.empty() || names.back() != field.section) {
      names.push_back(field.section);
    }
  }
  return names;
}

std::vector<std::string> key_names(const std::vector<Field>& fields, std::string_view section) {
  std::vector<std::string> names;
  for (const Field& field : fields) {
    if (field.section == section) {
      names.push_back(field.key);
    }
  }
  return names;
}

const Field& find_field(const std::vector<Field>& fields, const std::string& where, const std::string& section,
                        const std::string& key) {
  for (const Field& field : fields) {
    if (field.section == section && field.key == key) {
      return field;
    }
  }
  const auto keys = key_names(fields, section);
  if (keys.empty()) {
    fail_usage("{}: unknown section [{}]; {}", where, section, did_you_mean(section, section_names(fields)));
  }
  fail_usage("{}: unknown key \"{}\" in [{}]; {}", where, key, section, did_you_mean(key, keys));
}

void store(const Field& field, Value value, const std::string& where, PathsOf paths = PathsOf::user) {
  if (field.is_path && paths == PathsOf::user) {
    if (const std::string fault = fill_in_home(value.text); !fault.empty()) {
      fail_usage("{}: {}.{}: {}", where, field.section, field.key, fault);
    }
  }
  const std::string accepted = field.read(value);
  if (!accepted.empty()) {
    fail_usage("{}: {}.{} must be {}, found {}", where, field.section, field.key, accepted, value.type_name);
  }
}

}  // namespace

void read_toml(std::string_view text, const std::string& source, const std::vector<Field>& fields, PathsOf paths) {
  const Value root = parse_toml(text, source);
  for (const Value& section : root.table) {
    if (!section.is(Value::Kind::table)) {
      fail_usage("{}: key \"{}\" stands outside of any section; sections are {}", section.key_where, section.key,
                 fmt::join(section_names(fields), ", "));
    }
    if (key_names(fields, section.key).empty()) {
      fail_usage("{}: unknown section [{}]; {}", section.key_where, section.key,
                 did_you_mean(section.key, section_names(fields)));
    }
    for (const Value& entry : section.table) {
      store(find_field(fields, entry.key_where, section.key, entry.key), entry, entry.where, paths);
    }
  }
}

void check_known_key(const std::string& key, const std::string& where, const std::vector<Field>& fields) {
  const auto dot = key.find('.');
  if (dot == std::string::npos) {
    fail_usage("{}: \"{}\" is no key of a config: section.key is needed, e.g. train.epochs", where, key);
  }
  static_cast<void>(find_field(fields, where, key.substr(0, dot), key.substr(dot + 1)));
}

void read_assignment(const std::string& assignment, const std::vector<Field>& fields, const std::string& place) {
  if (std::any_of(assignment.begin(), assignment.end(), [](unsigned char c) { return c < 0x20; })) {
    fail_usage("--set: an assignment is one line of text");
  }
  const std::string where = place.empty() ? fmt::format("--set {}", assignment) : place;
  const auto equals = assignment.find('=');
  const auto dot = assignment.find('.');
  if (equals == std::string::npos || dot == std::string::npos || dot > equals) {
    fail_usage("{}: expected section.key=value, e.g. --set train.epochs=10", where);
  }
  const std::string value_text = assignment.substr(equals + 1);
  const Field& field =
      find_field(fields, where, assignment.substr(0, dot), assignment.substr(dot + 1, equals - dot - 1));
  const bool is_bare_text =
      field.takes_text && (value_text.empty() || (value_text.front() != '"' && value_text.front() != '\''));
  if (is_bare_text) {
    store(field, {.kind = Value::Kind::text, .text = value_text, .type_name = fmt::format("\"{}\"", value_text)},
          where);
    return;
  }
  const std::optional<Value> value = parse_toml_value(value_text, where);
  if (!value) {
    store(field, {.kind = Value::Kind::other, .type_name = fmt::format("\"{}\"", value_text)}, where);
    fail_usage("{}: the value is not TOML", where);
  }
  store(field, *value, where);
}

}  // namespace xtasc::config
