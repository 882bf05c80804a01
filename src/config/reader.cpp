#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "config/fields.hpp"
#include "core/error.hpp"
#include "core/toml_text.hpp"

// Assertions of the parser are reachable from bad input: an error is wanted there, not an abort.
#define TOML_ASSERT(expression) static_cast<void>(0)
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace xtasc::config {

namespace {

Value to_value(const toml::node& node) {
  Value value;
  switch (node.type()) {
    case toml::node_type::boolean:
      value = {.kind = Value::Kind::boolean, .boolean = **node.as_boolean(), .type_name = "a boolean"};
      break;
    case toml::node_type::integer:
      value = {.kind = Value::Kind::integer,
               .integer = **node.as_integer(),
               .real = static_cast<double>(**node.as_integer()),
               .type_name = fmt::format("the integer {}", **node.as_integer())};
      break;
    case toml::node_type::floating_point:
      value = {.kind = Value::Kind::real,
               .real = **node.as_floating_point(),
               .type_name = fmt::format("the number {}", **node.as_floating_point())};
      break;
    case toml::node_type::string:
      value = {.kind = Value::Kind::text,
               .text = **node.as_string(),
               .type_name = fmt::format("the string \"{}\"", **node.as_string())};
      break;
    case toml::node_type::array:
      value = {.kind = Value::Kind::list, .type_name = "a list"};
      for (const toml::node& element : *node.as_array()) {
        value.list.push_back(to_value(element));
      }
      break;
    case toml::node_type::table:
      value.type_name = "a table";
      break;
    default:
      value.type_name = "a date or time";
  }
  return value;
}

std::string at(const std::string& source, const toml::source_region& region) {
  return fmt::format("{}:{}:{}", source, region.begin.line, region.begin.column);
}

std::string suggestion(std::string_view given, const std::vector<std::string>& known) {
  const std::string near = nearest(given, known);
  if (!near.empty()) {
    return fmt::format("did you mean \"{}\"?", near);
  }
  return fmt::format("known are {}", fmt::join(known, ", "));
}

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
    fail_usage("{}: unknown section [{}]; {}", where, section, suggestion(section, section_names(fields)));
  }
  fail_usage("{}: unknown key \"{}\" in [{}]; {}", where, key, section, suggestion(key, keys));
}

void store(const Field& field, const Value& value, const std::string& where) {
  const std::string accepted = field.read(value);
  if (!accepted.empty()) {
    fail_usage("{}: {}.{} must be {}, found {}", where, field.section, field.key, accepted, value.type_name);
  }
}

toml::table parse(std::string_view text, const std::string& source) {
  check_toml_text(text, source);
  try {
    return toml::parse(text);
  } catch (const toml::parse_error& error) {
    fail_usage("{}: {}", at(source, error.source()), error.description());
  }
}

}  // namespace

std::string nearest(std::string_view given, const std::vector<std::string>& known) {
  std::string best;
  std::size_t best_distance = std::max<std::size_t>(2, given.size() / 3) + 1;
  for (const std::string& candidate : known) {
    // Levenshtein distance, one row at a time.
    std::vector<std::size_t> row(candidate.size() + 1);
    std::iota(row.begin(), row.end(), std::size_t{0});
    for (std::size_t i = 0; i < given.size(); ++i) {
      std::size_t diagonal = row[0]++;
      for (std::size_t j = 0; j < candidate.size(); ++j) {
        const std::size_t substitution = diagonal + (given[i] == candidate[j] ? 0 : 1);
        diagonal = row[j + 1];
        row[j + 1] = std::min({row[j + 1] + 1, row[j] + 1, substitution});
      }
    }
    if (row.back() < best_distance) {
      best_distance = row.back();
      best = candidate;
    }
  }
  return best;
}

void read_toml(std::string_view text, const std::string& source, const std::vector<Field>& fields) {
  const toml::table root = parse(text, source);
  for (const auto& [section, node] : root) {
    const std::string section_name(section.str());
    const toml::table* table = node.as_table();
    if (table == nullptr || key_names(fields, section_name).empty()) {
      const std::string where = at(source, section.source());
      if (table == nullptr) {
        fail_usage("{}: key \"{}\" stands outside of any section; sections are {}", where, section_name,
                   fmt::join(section_names(fields), ", "));
      }
      fail_usage("{}: unknown section [{}]; {}", where, section_name, suggestion(section_name, section_names(fields)));
    }
    for (const auto& [key, value] : *table) {
      store(find_field(fields, at(source, key.source()), section_name, std::string(key.str())), to_value(value),
            at(source, value.source()));
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
  const std::string toml_text = "value = " + value_text;
  check_toml_text(toml_text, where);
  std::optional<toml::table> table;
  try {
    table = toml::parse(toml_text);
  } catch (const toml::parse_error&) {
    store(field, {.kind = Value::Kind::other, .type_name = fmt::format("\"{}\"", value_text)}, where);
    fail_usage("{}: the value is not TOML", where);
  }
  if (table->size() != 1) {
    fail_usage("{}: one value expected", where);
  }
  store(field, to_value(*table->get("value")), where);
}

}  // namespace xtasc::config
