#pragma once

#include "model/network.hpp"

namespace xtasc::model {

/// AdaMT-Net: net::Adamt, with the factors that model.adamt_attention names.
///
///     encoder  e_i = two convolutions of what is above, pooled to size: e_{i-1} with dropout, all before it without
///     decoder  x = [twice as large | e_i];  l1 = sigmoid(norm(conv(x)));  l2 = sigmoid(norm(conv(l1)))
///              gives dropout([l2 | W l1 l2])
///
/// The image of place i in the global batch has the factors of slot i, modulo the number of slots.
[[nodiscard]] std::unique_ptr<Network> make_adamt(const NetworkOptions& options);

}  // namespace xtasc::model
