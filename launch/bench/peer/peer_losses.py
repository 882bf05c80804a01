"""The peer's losses in plain PyTorch, written from the project's specification alone, never from the C++.

Notation: N images, C classes, H x W pixels; logits (N, C, H, W), label (N, H, W) int64, depth (N, 1, H, W), 0 invalid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

if TYPE_CHECKING:
    from xtasc_peer import Options

IGNORED = 255


def cross_entropy(logits: Tensor, label: Tensor) -> Tensor:
    """Mean over labelled pixels. logits (N, C, H, W), label (N, H, W) int64; 0 when no pixel is labelled."""
    count = (label != IGNORED).sum()
    return F.cross_entropy(logits, label, ignore_index=IGNORED, reduction="sum") / count.clamp(min=1)


def mean_by_image(values: Tensor, counted: Tensor) -> Tensor:
    """Mean over counted pixels per image, then over the images that have one. Both (N, 1, H, W), counted bool."""
    count = counted.sum(dim=(1, 2, 3))
    total = torch.where(counted, values, 0.0).sum(dim=(1, 2, 3))
    return (total / count.clamp(min=1)).sum() / (count > 0).sum().clamp(min=1)


def depth_error(kind: str, prediction: Tensor, target: Tensor) -> Tensor:
    """The error of each pixel, by the name of the loss."""
    if kind == "L1":
        return (prediction - target).abs()
    if kind == "MSE":
        return (prediction - target) ** 2
    if kind == "logL1":
        return torch.log(1 + (prediction - target).abs())
    assert kind == "smoothL1", kind
    return F.smooth_l1_loss(prediction, target, reduction="none", beta=1.0)


def ssim_loss(prediction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """clamp((1 - SSIM) / 2, 0, 1) over 3x3 windows, unpadded, whose nine pixels are all valid. All (N, 1, H, W)."""
    c1, c2 = 0.01**2, 0.03**2
    mean_p, mean_t = F.avg_pool2d(prediction, 3, 1), F.avg_pool2d(target, 3, 1)
    var_p = F.avg_pool2d(prediction**2, 3, 1) - mean_p**2
    var_t = F.avg_pool2d(target**2, 3, 1) - mean_t**2
    cov = F.avg_pool2d(prediction * target, 3, 1) - mean_p * mean_t
    ssim = (2 * mean_p * mean_t + c1) * (2 * cov + c2) / ((mean_p**2 + mean_t**2 + c1) * (var_p + var_t + c2))
    has_gap = F.max_pool2d((~valid).to(prediction.dtype), 3, 1) > 0
    return mean_by_image(torch.clamp((1 - ssim) / 2, 0, 1), ~has_gap)


def transferred_segmentation_loss(options: Options, logits: Tensor, direct: Tensor, label: Tensor) -> Tensor:
    """Cross entropy or KL divergence against the direct segmentation, mean over labelled pixels; 0 without any."""
    num_classes = direct.shape[1]
    probability = torch.softmax(direct.detach(), dim=1)
    if not options.soft_target:
        probability = F.one_hot(probability.argmax(dim=1), num_classes).permute(0, 3, 1, 2).to(direct.dtype)
    s = options.label_smoothing  # a class of probability 1 keeps 1 - s, a class of probability 0 gets s / (C - 1)
    target = (1 - s) * probability + s / (num_classes - 1) * (1 - probability)
    log_prediction = torch.log_softmax(logits, dim=1)
    if options.transferred_segmentation == "kl":
        by_pixel = F.kl_div(log_prediction, target, reduction="none").sum(dim=1)  # 0 log 0 = 0
    else:
        assert options.transferred_segmentation == "cross"
        by_pixel = -(target * log_prediction).sum(dim=1)
    labelled = label != IGNORED
    return torch.where(labelled, by_pixel, 0.0).sum() / labelled.sum().clamp(min=1)


def hard_target_loss(options: Options, logits: Tensor, direct: Tensor, label: Tensor) -> Tensor:
    """transferred_segmentation_loss() of cross entropy against classes, in one call of torch's own."""
    num_classes = direct.shape[1]
    target = torch.where(label == IGNORED, IGNORED, direct.detach().argmax(dim=1))
    # torch takes e: 1 - e + e / C for the class, e / C for the others; s / (C - 1) = e / C
    smoothing = options.label_smoothing * num_classes / (num_classes - 1)
    total = F.cross_entropy(logits, target, ignore_index=IGNORED, reduction="sum", label_smoothing=smoothing)
    return total / (label != IGNORED).sum().clamp(min=1)


def has_hard_target_loss(options: Options) -> bool:
    """Does hard_target_loss() equal this config's loss? torch takes no smoothing above 1."""
    return (
        options.transferred_segmentation == "cross"
        and not options.soft_target
        and options.label_smoothing * options.num_classes <= options.num_classes - 1
    )


def losses(options: Options, predictions: dict[str, Tensor], label: Tensor, depth: Tensor, quick: bool = False
           ) -> dict[str, Tensor]:
    """The plain losses, before lambda and weighting: seg, depth, seg_to_depth, depth_to_seg, as the system has them.

    quick: the same values by the quickest calls that torch has, where they are not the plainest.
    """
    valid = depth > 0

    def direct_depth_loss(prediction: Tensor) -> Tensor:
        return mean_by_image(depth_error(options.depth, prediction, depth), valid)

    result = {}
    if options.has_seg:
        result["seg"] = cross_entropy(predictions["seg"], label)
    if options.has_depth:
        result["depth"] = direct_depth_loss(predictions["depth"])
    if options.system == "align":  # eq. 8: targets are the ground truth, with the direct loss functions
        result["seg_to_depth"] = direct_depth_loss(predictions["seg_to_depth"])
        result["depth_to_seg"] = cross_entropy(predictions["depth_to_seg"], label)
    if options.system == "xtasc":  # eq. 3: targets are the direct predictions, detached
        transferred, direct = predictions["seg_to_depth"], predictions["depth"].detach()
        if options.transferred_depth == "ssim":
            result["seg_to_depth"] = ssim_loss(transferred, direct, valid)
        else:
            assert options.transferred_depth == "L1"
            result["seg_to_depth"] = mean_by_image((transferred - direct).abs(), valid)
        is_quick = quick and has_hard_target_loss(options)
        transferred_loss = hard_target_loss if is_quick else transferred_segmentation_loss
        result["depth_to_seg"] = transferred_loss(options, predictions["depth_to_seg"], predictions["seg"], label)
    return result
