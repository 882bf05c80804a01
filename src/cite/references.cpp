#include "cite/references.hpp"

#include <algorithm>

#include "core/error.hpp"
#include "core/toml.hpp"

namespace xtasc::cite {

namespace {

using Kind = TomlValue::Kind;

/// results/references.toml
constexpr std::string_view kText =
#include "references.toml.inc"
    ;

std::vector<std::string> texts(const TomlValue& value) {
  std::vector<std::string> all;
  for (const TomlValue& entry : value.list) {
    check(entry.is(Kind::text), "{}: a text is needed, found {}", entry.where, entry.type_name);
    all.push_back(entry.text);
  }
  check(!all.empty(), "{}: a list of texts is needed, found {}", value.where, value.type_name);
  return all;
}

Reference reference_of(const TomlValue& table) {
  Reference reference;
  for (const TomlValue& entry : table.table) {
    if (entry.key == "authors") {
      reference.authors = texts(entry);
    } else if (entry.key == "of") {
      reference.of = texts(entry);
    } else if (entry.key == "year") {
      check(entry.is(Kind::integer), "{}: a year is needed, found {}", entry.where, entry.type_name);
      reference.year = static_cast<int>(entry.integer);
    } else {
      check(entry.is(Kind::text), "{}: a text is needed, found {}", entry.where, entry.type_name);
      (entry.key == "key"     ? reference.key
       : entry.key == "type"  ? reference.type
       : entry.key == "title" ? reference.title
                              : reference.fields[entry.key]) = entry.text;
    }
  }
  check(!reference.key.empty() && !reference.title.empty() && !reference.authors.empty() && !reference.of.empty() &&
            reference.year > 0,
        "{}: a reference has key, title, authors, year and of", table.where);
  return reference;
}

Bibliography read_bibliography() {
  const TomlValue root = parse_toml(kText, "references.toml");
  Bibliography all;
  const TomlValue* none = root.find("none");
  const TomlValue* references = root.find("reference");
  check(none != nullptr && references != nullptr, "references.toml: [none] and [[reference]] are needed");
  for (const TomlValue& entry : none->table) {
    all.none[entry.key] = entry.text;
  }
  std::ranges::transform(references->list, std::back_inserter(all.references), reference_of);
  return all;
}

}  // namespace

std::vector<const Reference*> Bibliography::of(std::string_view subject) const {
  std::vector<const Reference*> found;
  for (const Reference& reference : references) {
    if (std::ranges::find(reference.of, subject) != reference.of.end()) {
      found.push_back(&reference);
    }
  }
  return found;
}

bool Bibliography::knows(std::string_view subject) const {
  return none.contains(std::string(subject)) || !of(subject).empty();
}

const Bibliography& bibliography() {
  static const Bibliography all = read_bibliography();
  return all;
}

}  // namespace xtasc::cite
