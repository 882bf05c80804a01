#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/run_config.hpp"

namespace xtasc::run {

/// A config as text: "section.key" -> value as TOML (strings quoted).
using ConfigValues = std::map<std::string, std::string>;

/// Every key.
[[nodiscard]] ConfigValues config_values(const config::RunConfig& config);
/// The keys that decide a run's numbers (config::deciding_keys).
[[nodiscard]] ConfigValues identity_values(const config::RunConfig& config);

/// The key by which the encoder's weights are known.
inline constexpr std::string_view kWeightsDigestKey = "model.encoder_weights_digest";

/// Whether a key says what a file or a run must hold: "data.pack_digest".
[[nodiscard]] bool is_digest_key(std::string_view key);

/// What the encoder started from, to be compared: the file's digest, where nobody wrote that down its path; empty:
/// random.
[[nodiscard]] const std::string& weights_of(const config::ModelSection& model);

/// The full name of a config key: "loss.lambda_1", or "lambda_1" where one section alone has it.
/// \throws Error (exit code 2) naming the nearest known key, or the sections that have it.
[[nodiscard]] std::string full_key(std::string_view given);

/// The value as a table shows it: without the quotes of a string.
[[nodiscard]] std::string shown_value(const std::string& toml_value);

}  // namespace xtasc::run
