#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <iterator>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/enums.hpp"
#include "config/fields.hpp"
#include "config/methods.hpp"
#include "config/run_config.hpp"
#include "config/systems.hpp"
#include "core/error.hpp"

namespace xtasc::config {

/// As a TOML string, quoted and escaped.
inline std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
    }
    if (static_cast<unsigned char>(c) < 0x20) {
      out += fmt::format("\\u{:04X}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

/// As a TOML float.
inline std::string real_text(double value) {
  const std::string text = fmt::format("{}", value);  // shortest text that reads back to the same double
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

/// "xtasc: cross-task consistency; align: alignment loss; ...", of the rows that say something.
inline std::string helps_of_systems() {
  std::vector<std::string> helps;
  for (const System& system : systems()) {
    if (!system.help.empty()) {
      helps.push_back(fmt::format("{}: {}", system.word, system.help));
    }
  }
  return fmt::format("{}.", fmt::join(helps, "; "));
}

/// "segmentation", "depth".
inline std::vector<std::string> names_of_tasks() {
  std::vector<std::string> names;
  std::ranges::transform(task::all(), std::back_inserter(names),
                         [](const task::Task& task) { return std::string(task.name); });
  return names;
}

/// "seg>depth", "depth>seg".
inline std::vector<std::string> pairs_of_tasks() {
  std::vector<std::string> pairs;
  for (const task::Task& from : task::all()) {
    for (const task::Task& to : task::all()) {
      if (from.key != to.key) {
        pairs.push_back(fmt::format("{}>{}", from.key, to.key));
      }
    }
  }
  return pairs;
}

/// ", for famo 0.025": where a method's row has a rate of its own.
inline std::string other_rates() {
  std::string text;
  for (const Method& method : methods()) {
    text += method.learning_rate == 0.0 ? "" : fmt::format(", for {} {}", method.word, method.learning_rate);
  }
  return text;
}

/// ", for base_st_seg, base_st_depth [0.9, 0.999]": where systems' rows have another second decay rate than most.
inline std::string other_betas() {
  std::map<double, std::vector<std::string_view>> others;
  for (const System& system : systems()) {
    if (system.beta_2 != System().beta_2) {
      others[system.beta_2].push_back(system.word);
    }
  }
  std::string text;
  for (const auto& [beta_2, words] : others) {
    text += fmt::format(", for {} [0.9, {}]", fmt::join(words, ", "), beta_2);
  }
  return text;
}

/// Appends one field a call: a text, a boolean, an integer from `minimum` to `maximum`, a number between its bounds, a
/// share, a word of an enumeration, a list of `count` integers, Adam's two decay rates. Each refuses what its type or
/// range does not hold, and says what it would accept.
struct FieldList {
  std::vector<Field> fields;
  std::string section;

  Field& add(std::string key, std::string documentation) {
    fields.push_back({.section = section,
                      .key = std::move(key),
                      .documentation = std::move(documentation),
                      .read = {},
                      .print = {}});
    return fields.back();
  }

  Field& text(std::string key, std::string& target, std::string documentation) {
    Field& field = add(std::move(key), std::move(documentation));
    field.takes_text = true;
    field.read = [&target](const Value& value) -> std::string {
      if (value.kind != Value::Kind::text) {
        return "a string";
      }
      target = value.text;
      return {};
    };
    field.print = [&target] { return toml_string(target); };
    return field;
  }

  Field& path(std::string key, std::string& target, std::string documentation) {
    Field& field = text(std::move(key), target, std::move(documentation));
    field.is_path = true;
    return field;
  }

  /// A digest of `kDigits` lower-case hexadecimal digits, or empty.
  Field& digest(std::string key, std::string& target, std::string documentation) {
    static constexpr std::size_t kDigits = 32;
    Field& field = text(std::move(key), target, std::move(documentation));
    field.read = [&target](const Value& value) -> std::string {
      const bool is_digest = value.text.find_first_not_of("0123456789abcdef") == std::string::npos &&
                             (value.text.empty() || value.text.size() == kDigits);
      if (value.kind != Value::Kind::text || !is_digest) {
        return fmt::format("{} hexadecimal digits, or \"\"", kDigits);
      }
      target = value.text;
      return {};
    };
    return field;
  }

  Field& boolean(std::string key, bool& target, std::string documentation) {
    Field& field = add(std::move(key), std::move(documentation));
    field.read = [&target](const Value& value) -> std::string {
      if (value.kind != Value::Kind::boolean) {
        return "true or false";
      }
      target = value.boolean;
      return {};
    };
    field.print = [&target] { return target ? "true" : "false"; };
    return field;
  }

  /// Counts are multiplied and added up: more than this of anything is a slip of the keyboard.
  static constexpr std::int64_t kMost = 1'000'000'000;

  Field& integer(std::string key, std::int64_t& target, std::int64_t minimum, std::string documentation,
                 std::int64_t maximum = kMost) {
    Field& field = add(std::move(key), std::move(documentation));
    field.read = [&target, minimum, maximum](const Value& value) -> std::string {
      if (value.kind != Value::Kind::integer || value.integer < minimum) {
        return fmt::format("an integer >= {}", minimum);
      }
      if (value.integer > maximum) {
        return fmt::format("an integer >= {} and <= {}", minimum, maximum);
      }
      target = value.integer;
      return {};
    };
    field.print = [&target] { return fmt::format("{}", target); };
    return field;
  }

  Field& real(std::string key, double& target, double minimum, bool minimum_allowed, double maximum,
              std::string documentation) {
    Field& field = add(std::move(key), std::move(documentation));
    field.read = [=, &target](const Value& value) -> std::string {
      if (!value.is_number() || value.real < minimum || (value.real == minimum && !minimum_allowed) ||
          value.real > maximum) {
        return std::isinf(maximum)
                   ? fmt::format("a number {} {}", minimum_allowed ? ">=" : ">", minimum)
                   : fmt::format("a number {} {} and <= {}", minimum_allowed ? ">=" : ">", minimum, maximum);
      }
      target = value.real;
      return {};
    };
    field.print = [&target] { return real_text(target); };
    return field;
  }

  /// A share in [0, 1).
  Field& share(std::string key, double& target, std::string documentation) {
    Field& field = add(std::move(key), std::move(documentation));
    field.read = [&target](const Value& value) -> std::string {
      if (!value.is_number() || value.real < 0.0 || value.real >= 1.0) {
        return "a number >= 0 and < 1";
      }
      target = value.real;
      return {};
    };
    field.print = [&target] { return real_text(target); };
    return field;
  }

  /// One of `words`. \param store, print  take the word and give the one that holds
  Field& one_of(std::string key, const std::vector<std::string>& words, std::function<void(const std::string&)> store,
                std::function<std::string()> print, const std::string& documentation) {
    const std::string listed = fmt::format("{}", fmt::join(words, ", "));
    Field& field = add(std::move(key), fmt::format("{} One of: {}.", documentation, listed));
    field.takes_text = true;
    field.read = [words, listed, store = std::move(store)](const Value& value) -> std::string {
      std::string accepted = "one of " + listed;
      if (value.kind != Value::Kind::text) {
        return accepted;
      }
      if (std::ranges::find(words, value.text) == words.end()) {
        const std::string near = nearest(value.text, words);
        return near.empty() ? accepted : fmt::format("{} (did you mean \"{}\"?)", accepted, near);
      }
      store(value.text);
      return {};
    };
    field.print = [print = std::move(print)] { return toml_string(print()); };
    return field;
  }

  template <typename Enum>
  Field& word(const std::string& key, Enum& target, const std::string& documentation) {
    return one_of(
        key, {names<Enum>().begin(), names<Enum>().end()},
        [&target](const std::string& word) {
          target = static_cast<Enum>(std::ranges::find(names<Enum>(), word) - names<Enum>().begin());
        },
        [&target] { return std::string(name(target)); }, documentation);
  }

  /// The word of a row of a table: of systems(), of methods().
  template <typename Row>
  Field& row(const std::string& key, std::string& target, const std::vector<Row>& rows,
             const std::string& documentation) {
    std::vector<std::string> words;
    std::ranges::transform(rows, std::back_inserter(words), [](const Row& one) { return std::string(one.word); });
    return one_of(
        key, words, [&target](const std::string& word) { target = word; }, [&target] { return target; }, documentation);
  }

  /// \param may_be_empty  none of them will do, too
  Field& integers(std::string key, std::vector<std::int64_t>& target, std::size_t count, std::string documentation,
                  bool may_be_empty = false) {
    Field& field = add(std::move(key), std::move(documentation));
    field.read = [&target, count, may_be_empty](const Value& value) -> std::string {
      std::vector<std::int64_t> read;
      for (const Value& element : value.list) {
        if (element.kind == Value::Kind::integer && element.integer >= 1) {
          read.push_back(element.integer);
        }
      }
      const bool has_count = value.list.size() == count || (value.list.empty() && may_be_empty);
      if (value.kind != Value::Kind::list || !has_count || read.size() != value.list.size()) {
        return fmt::format("a list of {} integers >= 1{}", count, may_be_empty ? ", or []" : "");
      }
      target = read;
      return {};
    };
    field.print = [&target] { return fmt::format("[{}]", fmt::join(target, ", ")); };
    return field;
  }

  /// Any number of finite numbers >= 0.
  Field& reals(std::string key, std::vector<double>& target, std::string documentation) {
    Field& field = add(std::move(key), std::move(documentation));
    field.read = [&target](const Value& value) -> std::string {
      std::vector<double> read;
      for (const Value& element : value.list) {
        if (element.is_number() && element.real >= 0.0 && std::isfinite(element.real)) {
          read.push_back(element.real);
        }
      }
      if (value.kind != Value::Kind::list || read.size() != value.list.size()) {
        return "a list of numbers >= 0";
      }
      target = read;
      return {};
    };
    field.print = [&target] {
      std::vector<std::string> texts;
      std::ranges::transform(target, std::back_inserter(texts), real_text);
      return fmt::format("[{}]", fmt::join(texts, ", "));
    };
    return field;
  }

  /// Some of `words`, each once. \param may_be_empty  none of them will do, too
  Field& words(std::string key, std::vector<std::string>& target, const std::vector<std::string>& words,
               std::string documentation, bool may_be_empty = false) {
    Field& field = add(std::move(key), fmt::format("{} Some of: {}.", documentation, fmt::join(words, ", ")));
    field.read = [&target, words, may_be_empty](const Value& value) -> std::string {
      std::vector<std::string> read;
      for (const Value& element : value.list) {
        const bool is_new = std::ranges::find(read, element.text) == read.end();
        if (element.kind == Value::Kind::text && is_new && std::ranges::find(words, element.text) != words.end()) {
          read.push_back(element.text);
        }
      }
      if (value.kind != Value::Kind::list || (read.empty() && !may_be_empty) || read.size() != value.list.size()) {
        return fmt::format("a list of some of {}, each once", fmt::join(words, ", "));
      }
      target = read;
      return {};
    };
    field.print = [&target] {
      std::vector<std::string> quoted;
      std::ranges::transform(target, std::back_inserter(quoted), toml_string);
      return fmt::format("[{}]", fmt::join(quoted, ", "));
    };
    return field;
  }

  /// Keys that only some systems or weighting methods look at, as their rows say.
  /// \throws Error for a row that names a key which is none, or which is not of that kind
  void mark_keys_of_rows(const ModelSection& model, const WeightingSection& weighting) {
    for (const System& system : systems()) {
      for (const std::string_view key : system.keys) {
        const bool is_known = std::ranges::any_of(fields, [&](const Field& field) {
          const bool is_meant = field.section + "." + field.key == key || field.section + "." == key;
          return (field.is_of_systems || field.is_for_no_other) && is_meant;
        });
        check(is_known, "the row of system {} names {}, which is no key of single systems", system.word, key);
      }
    }
    for (const Method& method : methods()) {
      for (const std::string_view key : method.keys) {
        const bool is_known = std::ranges::any_of(
            fields, [&](const Field& field) { return field.section == "weighting" && field.key == key; });
        check(is_known && key != "method", "the row of weighting method {} names {}, which is no key of [weighting]",
              method.word, key);
      }
    }
    for (Field& field : fields) {
      if (field.is_of_systems || field.is_for_no_other) {
        field.counts = [&model, full_key = field.section + "." + field.key] {
          return system_of(model.system).uses(full_key);
        };
      }
      if (field.section != "weighting") {
        continue;
      }
      for (const Method& method : methods()) {
        if (method.uses(field.key)) {
          field.methods.emplace_back(method.word);
        }
      }
      if (!field.methods.empty()) {
        field.documentation = fmt::format("{}: {}", fmt::join(field.methods, ", "), field.documentation);
        field.counts = [&weighting, key = field.key] { return method_of(weighting.method).uses(key); };
      }
    }
  }

  Field& betas(std::string key, std::vector<double>& target, std::string documentation) {
    Field& field = add(std::move(key), std::move(documentation));
    field.read = [&target](const Value& value) -> std::string {
      std::vector<double> read;
      for (const Value& element : value.list) {
        if (element.is_number() && element.real >= 0.0 && element.real < 1.0) {
          read.push_back(element.real);
        }
      }
      if (value.kind != Value::Kind::list || read.size() != value.list.size() || (read.size() != 2 && !read.empty())) {
        return "a list of two numbers in [0, 1), or [] for the system's default";
      }
      target = read;
      return {};
    };
    field.print = [&target] {
      return target.empty() ? std::string("[]") : fmt::format("[{}, {}]", real_text(target[0]), real_text(target[1]));
    };
    return field;
  }
};

}  // namespace xtasc::config
