#pragma once

#include "model/network.hpp"

namespace xtasc::model {

/// A SegNet a task with mixtures between them: net::CrossStitch, in the form that model.cross_stitch names.
///
///     mtan    in front of block i: the same for all tasks,  sum over j of a_ij s_j;  all a are 1 at first
///     misra   for task t and each channel c:  sum over j of a_itjc s_jc;  a is 0.9 for j = t, else 0.1 / (T - 1)
///
/// Source: https://github.com/lorenmt/mtan, im2im_pred/model_segnet_cross.py; Misra et al. 2016, arXiv:1604.03539,
/// eq. 1.
[[nodiscard]] std::unique_ptr<Network> make_cross_stitch(const NetworkOptions& options);

}  // namespace xtasc::model
