#pragma once

#include "model/network.hpp"

namespace xtasc::model {

/// net::Deeplab: a dilated ResNet, and a head a task.
///
///     joined = [conv1x1(x) | conv3x3 at 12 (x) | at 24 (x) | at 36 (x) | conv1x1(mean of x), the same at each pixel]
///     head   = conv1x1(max(0, norm(conv3x3(dropout(max(0, norm(conv1x1(joined))))))))
///     x, head at 1/8; each of `joined` behind a norm and a ReLU; then bilinear to the image's size, corners aligned
///
/// Dropout takes single values (kernels::drop_values), of each head its own. Where Mode::rewrites, taps that read
/// padding alone are left out. Parameters: encoder., decoders.segmentation., decoders.depth., decoders.normal.
[[nodiscard]] std::unique_ptr<Network> make_deeplab(const NetworkOptions& options);

}  // namespace xtasc::model
