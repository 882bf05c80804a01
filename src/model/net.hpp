#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "config/run_config.hpp"
#include "model/decoder.hpp"
#include "model/parameters.hpp"
#include "model/resnet.hpp"
#include "model/ttnet.hpp"

namespace xtasc::model {

/// What a net says about a batch; undefined where the system has no such part. float32, or float64 in fp64.
struct Predictions {
  at::Tensor seg;           ///< (N, C, H, W) logits
  at::Tensor depth;         ///< (N, 1, H, W)
  at::Tensor seg_to_depth;  ///< (N, 1, H, W): depth from log-softmax of the logits
  at::Tensor depth_to_seg;  ///< (N, C, H, W): logits from the depth
};

/// The whole net of a system: encoder, its decoders, its task-transfer nets, and all their tensors.
class Net {
 public:
  /// \param num_classes  C; not used by base_st_depth
  Net(const config::ModelSection& options, std::int64_t num_classes, std::uint64_t seed, at::Device device,
      at::ScalarType dtype);

  /// image: (N, 3, H, W), normalised, H and W multiples of 32. The three parts below, one after another.
  [[nodiscard]] Predictions forward(const at::Tensor& image_n3hw, const Mode& mode) const;
  /// What all tasks share; every parameter of what follows works for one task only.
  [[nodiscard]] Features encode(const at::Tensor& image_n3hw, const Mode& mode) const;
  /// The direct predictions.
  [[nodiscard]] Predictions decode_direct(const Features& features, const Mode& mode) const;
  /// Adds the transferred predictions, where the system has task-transfer nets.
  void transfer(Predictions& predictions, const Mode& mode) const;
  /// The same without the task-transfer nets: all that inference needs.
  [[nodiscard]] Predictions forward_direct(const at::Tensor& image_n3hw, const Mode& mode) const;

  /// The same net as it is now for evaluation, every batch norm folded into the convolution in front of it: equal in
  /// real arithmetic, fewer passes over memory. Its parameters() are this net's; it does not follow them.
  [[nodiscard]] Net folded() const;

  /// The flat gradients by the tasks that reach them: both; segmentation alone; depth alone. eq. 11 counts a
  /// transferred loss to the task that it starts from.
  struct GradientParts {
    at::Tensor shared;
    std::array<std::vector<at::Tensor>, 2> own;
  };
  [[nodiscard]] GradientParts gradient_parts() const;

  [[nodiscard]] const ParameterSet& parameters() const { return parameters_; }
  [[nodiscard]] std::int64_t num_classes() const { return num_classes_; }

 private:
  ParameterSet parameters_;
  std::int64_t num_classes_;
  ResNet encoder_;
  std::optional<Decoder> seg_decoder_;
  std::optional<Decoder> depth_decoder_;
  std::optional<TransferNet> seg_to_depth_;
  std::optional<TransferNet> depth_to_seg_;
};

}  // namespace xtasc::model
