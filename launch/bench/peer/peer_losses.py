"""The peer's losses in plain PyTorch, written from the project's specification alone, never from the C++.

Notation: N images, C classes, H x W pixels; logits (N, C, H, W), label (N, H, W) int64, depth (N, 1, H, W), 0 invalid,
normals (N, 3, H, W) of length 1, 0 invalid.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from peer_nets import unit_vectors

if TYPE_CHECKING:
    from xtasc_peer import Options

IGNORED = 255
TRUTHS = {"seg": "label", "depth": "depth", "normals": "normals"}  # what holds a task's truth among the samples


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


def normals_loss(prediction: Tensor, target: Tensor, counted: Tensor) -> Tensor:
    """1 - the mean of n.t over counted pixels, n of length 1; 0 without any. (N, 3, H, W) twice, (N, 1, H, W) bool."""
    dot = (unit_vectors(prediction) * target).sum(dim=1, keepdim=True)
    return torch.where(counted, 1 - dot, 0.0).sum() / counted.sum().clamp(min=1)


def transferred_segmentation_loss(options: Options, logits: Tensor, direct: Tensor, counted: Tensor) -> Tensor:
    """Cross entropy or KL divergence against the direct segmentation, mean over counted pixels; 0 without any."""
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
    return torch.where(counted[:, 0], by_pixel, 0.0).sum() / counted.sum().clamp(min=1)


def hard_target_loss(options: Options, logits: Tensor, direct: Tensor, counted: Tensor) -> Tensor:
    """transferred_segmentation_loss() of cross entropy against classes, in one call of torch's own."""
    num_classes = direct.shape[1]
    target = torch.where(counted[:, 0], direct.detach().argmax(dim=1), IGNORED)
    # torch takes e: 1 - e + e / C for the class, e / C for the others; s / (C - 1) = e / C
    smoothing = options.label_smoothing * num_classes / (num_classes - 1)
    total = F.cross_entropy(logits, target, ignore_index=IGNORED, reduction="sum", label_smoothing=smoothing)
    return total / counted.sum().clamp(min=1)


def has_hard_target_loss(options: Options) -> bool:
    """Does hard_target_loss() equal this config's loss? torch takes no smoothing above 1."""
    return (
        options.transferred_segmentation == "cross"
        and not options.soft_target
        and options.label_smoothing * options.num_classes <= options.num_classes - 1
    )


def known_pixels(key: str, truth: Tensor) -> Tensor:
    """(N, 1, H, W) bool: where a task's truth is valid."""
    if key == "seg":
        return truth[:, None] != IGNORED
    return truth > 0 if key == "depth" else (truth != 0).any(dim=1, keepdim=True)


def direct_loss(options: Options, key: str, prediction: Tensor, truth: Tensor) -> Tensor:
    """A prediction for a task against the ground truth."""
    if key == "seg":
        return cross_entropy(prediction, truth)
    known = known_pixels(key, truth)
    if key == "depth":
        return mean_by_image(depth_error(options.depth, prediction, truth), known)
    return normals_loss(prediction, truth, known)


def transferred_loss(options: Options, key: str, prediction: Tensor, direct: Tensor, counted: Tensor, quick: bool
                     ) -> Tensor:
    """A prediction for a task that was made from another's, against the direct one (eq. 3), on counted pixels."""
    direct = direct.detach()
    if key == "seg":
        of_kind = hard_target_loss if quick and has_hard_target_loss(options) else transferred_segmentation_loss
        return of_kind(options, prediction, direct, counted)
    if key == "normals":
        return normals_loss(prediction, unit_vectors(direct), counted)
    if options.transferred_depth == "ssim":
        return ssim_loss(prediction, direct, counted)
    assert options.transferred_depth == "L1"
    return mean_by_image((prediction - direct).abs(), counted)


def losses(options: Options, predictions: dict[str, Tensor], truths: dict[str, Tensor], quick: bool = False
           ) -> dict[str, Tensor]:
    """The plain losses, before lambda and weighting: one a task by its key, then A_to_B a transfer; 0 of those that
    were not drawn.

    truths: label, depth and normals, as far as there are such tasks; has_KEY (N) uint8 where images may lack labels of
        a task, 0 where one does: its transferred predictions are held to the direct ones at all pixels.
    quick: the same values by the quickest calls that torch has, where they are not the plainest.
    """
    truth_of = {key: truths[TRUTHS[key]] for key in options.order}
    result = {key: direct_loss(options, key, predictions[key], truth) for key, truth in truth_of.items()}
    for source, key in options.transfers:
        name = f"{source}_to_{key}"
        if name not in predictions:
            result[name] = torch.zeros_like(result[source])
        elif options.system == "align":  # eq. 8: targets are the ground truth, with the direct loss functions
            result[name] = direct_loss(options, key, predictions[name], truth_of[key])
        else:
            counted = known_pixels(key, truth_of[key])
            if f"has_{key}" in truths:
                counted = counted | (truths[f"has_{key}"] == 0)[:, None, None, None]
            result[name] = transferred_loss(options, key, predictions[name], predictions[key], counted, quick)
    return result
