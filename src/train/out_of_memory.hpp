#pragma once

#include <exception>
#include <optional>

#include "core/error.hpp"

namespace xtasc::train {

/// What a library threw because a GPU's or the host's memory did not suffice, as an Error with exit code 3: one line
/// with what was asked for, what is there, and what asks for less. \returns nullopt for anything else
[[nodiscard]] std::optional<Error> out_of_memory_error(const std::exception& error);
/// The same, of a program of images: what asks for less is their size.
[[nodiscard]] std::optional<Error> out_of_memory_for_images(const std::exception& error);
/// The same, of a net and its weights: only another net asks for less.
[[nodiscard]] std::optional<Error> out_of_memory_for_weights(const std::exception& error);

}  // namespace xtasc::train
