#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace xtasc {

/// The known name nearest to `given` by edit distance, or empty when none is near.
[[nodiscard]] std::string nearest(std::string_view given, const std::vector<std::string>& known);

/// For messages: "did you mean "NEAREST"?", or `otherwise` where none is near.
[[nodiscard]] std::string did_you_mean(std::string_view given, const std::vector<std::string>& known,
                                       std::string_view otherwise);

/// As above; where none is near, "known are A, B, C".
[[nodiscard]] std::string did_you_mean(std::string_view given, const std::vector<std::string>& known);

}  // namespace xtasc
