#include "run/config_values.hpp"

#include "config/fields.hpp"
#include "core/error.hpp"
#include "core/nearest.hpp"

namespace xtasc::run {

ConfigValues config_values(const config::RunConfig& config) {
  ConfigValues values;
  for (const auto& [key, value] : config::all_keys(config)) {
    values[key] = value;
  }
  return values;
}

ConfigValues identity_values(const config::RunConfig& config) {
  ConfigValues values;
  for (const auto& [key, value] : config::deciding_keys(config)) {
    values[key] = value;
  }
  return values;
}

bool is_digest_key(std::string_view key) {
  return key.ends_with("_digest");
}

const std::string& weights_of(const config::ModelSection& model) {
  return model.encoder_weights_digest.empty() ? model.encoder_weights : model.encoder_weights_digest;
}

std::string full_key(std::string_view given) {
  std::vector<std::string> all;
  std::vector<std::string> short_names;
  std::vector<std::string> matches;
  for (const auto& [key, value] : config_values(config::RunConfig{})) {
    if (key == given) {
      return key;
    }
    all.push_back(key);
    short_names.push_back(key.substr(key.find('.') + 1));
    if (short_names.back() == given) {
      matches.push_back(key);
    }
  }
  if (matches.size() == 1) {
    return matches.front();
  }
  if (matches.size() > 1) {
    fail_usage("the config key \"{}\" is in several sections: give one of {}", given, fmt::join(matches, ", "));
  }
  fail_usage("unknown config key \"{}\"; {}", given,
             did_you_mean(given, given.find('.') == std::string_view::npos ? short_names : all,
                          "xtasc-train --print-config lists them all"));
}

std::string shown_value(const std::string& toml_value) {
  if (toml_value.size() >= 2 && toml_value.front() == '"') {
    return toml_value.substr(1, toml_value.size() - 2);
  }
  return toml_value.ends_with(".0") ? toml_value.substr(0, toml_value.size() - 2) : toml_value;
}

}  // namespace xtasc::run
