#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/nearest.hpp"
#include "core/toml.hpp"

namespace xtasc::config {

using Value = TomlValue;

/// One key of a config: how it is documented, read, and printed. Made by the config's own field list, used by the
/// reader and the printer, so that neither can know a key that the other does not.
struct Field {
  std::string section;
  std::string key;
  std::string documentation;
  bool decides_numbers = true;  ///< can be part of a run's identity
  /// Whether the key says something to the config that the field was made for; empty: always.
  std::function<bool()> counts = {};
  bool takes_text = false;                ///< a string or a word: `--set` may leave the quotes out
  bool is_path = false;                   ///< of a file or folder, as fill_in_home() takes it from a user
  bool is_of_systems = false;             ///< says something to the systems alone whose rows name it
  bool is_for_no_other = false;           ///< the same, and refused where it is set and says nothing
  std::vector<std::string> methods = {};  ///< the values of weighting.method that use it; empty: not of that kind
  /// Stores the value; returns an empty text, or what would be accepted ("an integer >= 1").
  std::function<std::string(const Value&)> read;
  std::function<std::string()> print;  ///< the value as TOML
};

/// Whose paths a text holds: a user's, in which "~/" is the home folder, or a program's, which mean what they say.
enum class PathsOf { user, program };

/// Reads TOML text into the fields. \param source  the file's name, or "--set"
/// \throws Error (exit code 2), one line with file, line and column.
void read_toml(std::string_view text, const std::string& source, const std::vector<Field>& fields,
               PathsOf paths = PathsOf::user);

/// \throws Error (exit code 2) unless "section.key" is one of the fields. \param where  what the message begins with
void check_known_key(const std::string& key, const std::string& where, const std::vector<Field>& fields);

/// Reads "section.key=value" into the fields; the value is TOML, or bare text where the key takes text.
/// \param where  what messages begin with; empty: "--set section.key=value"
void read_assignment(const std::string& assignment, const std::vector<Field>& fields, const std::string& where = {});

}  // namespace xtasc::config
