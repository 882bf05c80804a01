#include "core/toml.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "core/error.hpp"
#include "core/toml_text.hpp"

// Assertions of the parser are reachable from bad input: an error is wanted there, not an abort.
#define TOML_ASSERT(expression) static_cast<void>(0)
#define TOML_ENABLE_FORMATTERS 0
#include <toml++/toml.h>

namespace xtasc {

namespace {

using Kind = TomlValue::Kind;

/// Makes our values of the parser's.
class Converter {
 public:
  /// \param text  what is parsed; both must outlive the converter
  Converter(std::string_view text, const std::string& source) : source_(source) {
    for (std::size_t begin = 0; begin <= text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      lines_.push_back(text.substr(begin, end - begin));
      begin = end + 1;
    }
  }

  [[nodiscard]] std::string at(const ::toml::source_position& position) const {
    return fmt::format("{}:{}:{}", source_, std::max(position.line, 1U), std::max(position.column, 1U));
  }

  [[nodiscard]] TomlValue convert(const ::toml::node& node) const {
    TomlValue value;
    value.where = at(node.source().begin);
    switch (node.type()) {
      case ::toml::node_type::boolean:
        value.kind = Kind::boolean;
        value.boolean = **node.as_boolean();
        value.type_name = "a boolean";
        break;
      case ::toml::node_type::integer:
        value.kind = Kind::integer;
        value.integer = **node.as_integer();
        value.real = static_cast<double>(value.integer);
        value.literal = literal(node.source());
        value.type_name = fmt::format("the integer {}", value.integer);
        break;
      case ::toml::node_type::floating_point:
        value.kind = Kind::real;
        value.real = **node.as_floating_point();
        value.literal = literal(node.source());
        value.type_name = fmt::format("the number {}", value.real);
        break;
      case ::toml::node_type::string:
        value.kind = Kind::text;
        value.text = **node.as_string();
        value.type_name = fmt::format("the string \"{}\"", value.text);
        break;
      case ::toml::node_type::array:
        value.kind = Kind::list;
        for (const ::toml::node& element : *node.as_array()) {
          value.list.push_back(convert(element));
        }
        value.type_name = name_of(value.list);
        break;
      case ::toml::node_type::table:
        value.kind = Kind::table;
        value.type_name = "a table";
        value.table = entries(*node.as_table());
        break;
      default:
        value.type_name = "a date or time";
    }
    return value;
  }

 private:
  /// "the list [1, "two"]", of a long one its beginning
  [[nodiscard]] static std::string name_of(const std::vector<TomlValue>& list) {
    constexpr std::size_t kMostShown = 8;
    std::vector<std::string> texts;
    for (std::size_t i = 0; i < std::min(list.size(), kMostShown); ++i) {
      const TomlValue& element = list[i];
      texts.push_back(element.is(Kind::text)      ? fmt::format("\"{}\"", element.text)
                      : !element.literal.empty()  ? element.literal
                      : element.is(Kind::boolean) ? (element.boolean ? "true" : "false")
                                                  : element.type_name);
    }
    return list.empty()
               ? "an empty list"
               : fmt::format("the list [{}{}]", fmt::join(texts, ", "), list.size() > kMostShown ? ", ..." : "");
  }

  /// What stands at a place, which is within one line. The parser counts characters, not bytes.
  [[nodiscard]] std::string literal(const ::toml::source_region& place) const {
    const std::string_view line = lines_.at(std::clamp<std::size_t>(place.begin.line, 1, lines_.size()) - 1);
    std::string found;
    std::size_t column = 0;
    for (const char c : line) {
      column += (static_cast<unsigned char>(c) & 0xC0) == 0x80 ? 0 : 1;
      found += column >= place.begin.column && column < place.end.column ? std::string(1, c) : "";
    }
    return found;
  }

  /// The parser keeps them by name.
  [[nodiscard]] std::vector<TomlValue> entries(const ::toml::table& table) const {
    std::vector<std::pair<::toml::source_position, TomlValue>> placed;
    for (const auto& [key, node] : table) {
      placed.emplace_back(key.source().begin, convert(node));
      placed.back().second.key = key.str();
      placed.back().second.key_where = at(key.source().begin);
    }
    std::ranges::stable_sort(placed, [](const auto& a, const auto& b) {
      return std::pair(a.first.line, a.first.column) < std::pair(b.first.line, b.first.column);
    });
    std::vector<TomlValue> in_order;
    in_order.reserve(placed.size());
    for (auto& [position, entry] : placed) {
      in_order.push_back(std::move(entry));
    }
    return in_order;
  }

  const std::string& source_;
  std::vector<std::string_view> lines_;
};

}  // namespace

bool TomlValue::is_number() const {
  return kind == Kind::integer || (kind == Kind::real && std::isfinite(real));
}

bool TomlValue::is_list_of_tables() const {
  return kind == Kind::list && !list.empty() &&
         std::ranges::all_of(list, [](const TomlValue& element) { return element.kind == Kind::table; });
}

const TomlValue* TomlValue::find(std::string_view name) const {
  const auto found = std::ranges::find(table, name, &TomlValue::key);
  return found == table.end() ? nullptr : &*found;
}

TomlValue parse_toml(std::string_view text, const std::string& source) {
  check_toml_text(text, source);
  const Converter converter(text, source);
  try {
    return converter.convert(::toml::parse(text));
  } catch (const ::toml::parse_error& error) {
    fail_usage("{}: {}", converter.at(error.source().begin), error.description());
  }
}

std::optional<TomlValue> parse_toml_value(std::string_view text, const std::string& source) {
  const std::string assignment = fmt::format("value = {}", text);
  check_toml_text(assignment, source);
  try {
    TomlValue root = Converter(assignment, source).convert(::toml::parse(assignment));
    if (root.table.size() != 1) {
      fail_usage("{}: one value expected", source);
    }
    return std::move(root.table.front());
  } catch (const ::toml::parse_error&) {
    return std::nullopt;
  }
}

}  // namespace xtasc
