"""A run's network as a plain PyTorch module, from its weights file alone."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from xtasc.errors import XtascError
from xtasc.folders import Folder, Run, run
from xtasc.nets import NetOptions, make_net
from xtasc.nets.adamt import AdaMt, attention_of
from xtasc.nets.tasks import unit_vectors
from xtasc.packs import Header, read_header

Tensors = dict[str, Tensor]
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # as every pack of xtasc-preprocess has them
OF_TRAINING = "weighting."  # names of what a prediction does not need
COUNTERS = "num_batches_tracked"  # which PyTorch's batch norms have, and weights files need not


class Predictor(nn.Module):
    """A network with its weights, from images to predictions; what `xtasc.load` gives, in eval mode.

    Attributes:
        net: the network alone, in PyTorch (`xtasc.nets`), with the weights file's tensor names.
        tasks: what it predicts: some of "seg", "depth", "normals".
        class_names: of the segmentation, by class id; from the run's pack where that is there, else numbers.
        depth_unit: "m", or "inverse depth" where the run's pack holds that.
        size: height and width that it was trained at; (0, 0): not on record.
        takes_other_sizes: does it take other multiples of 32 too? AdaMT-Net does not.
        mean, std: of its input, by channel, as in training; 0 and 1 where data.normalise was false.
    """

    def __init__(self, net: nn.Module, tasks: Sequence[str], class_names: Sequence[str], depth_unit: str,
                 size: tuple[int, int], mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.net = net
        self.tasks = tuple(tasks)
        self.class_names = tuple(class_names)
        self.depth_unit = depth_unit
        self.size = size
        self.takes_other_sizes = not isinstance(net, AdaMt)
        self.mean = tuple(mean)
        self.std = tuple(std)

    def extra_repr(self) -> str:
        return f"tasks={self.tasks}, {len(self.class_names)} classes, size={self.size}, depth in {self.depth_unit}"

    def forward(self, image: Tensor) -> Tensors:
        """Predictions for images at the network's size: it does not resize.

        Args:
            image: RGB. Either (N, H, W, 3) uint8, 0 to 255, as packs and decoders have it; or (N, 3, H, W) of a
                floating-point type, 0 to 1. Both are normalised here, in their own precision (uint8: float32), then
                computed in that of the weights: `xtasc.load(run).double()` computes in float64.

        Returns:
            As far as the network has the task: seg_logits and seg_probability (N, C, H, W); seg_label (N, H, W) int64;
            depth (N, 1, H, W), in `depth_unit`; normals (N, 3, H, W), of length 1.

        Raises:
            ValueError: the image has another type or shape, or a size that the network does not take.
        """
        predictions = self.net(self.normalised(image).to(next(self.net.parameters()).dtype))
        outputs: Tensors = {}
        for key in self.tasks:
            if key == "seg":
                outputs |= {"seg_logits": predictions[key], "seg_probability": torch.softmax(predictions[key], dim=1),
                            "seg_label": predictions[key].argmax(dim=1)}
            else:
                outputs[key] = unit_vectors(predictions[key]) if key == "normals" else predictions[key]
        return outputs

    def normalised(self, image: Tensor) -> Tensor:
        """What the network takes: (N, 3, H, W), less the mean, over the standard deviation. image, errors: as of forward()."""
        if image.dtype == torch.uint8 and image.dim() == 4 and image.shape[3] == 3:
            image = image.permute(0, 3, 1, 2).float() / 255
        elif not image.is_floating_point() or image.dim() != 4 or image.shape[1] != 3:
            raise ValueError(f"images are (N, H, W, 3) uint8 or (N, 3, H, W) float, not {tuple(image.shape)} {image.dtype}")
        height, width = image.shape[2:]
        if height % 32 or width % 32 or not (self.takes_other_sizes or (height, width) == self.size):
            wanted = "multiples of 32 are" if self.takes_other_sizes else f"{self.size[0]} x {self.size[1]} is"
            raise ValueError(f"images are of {height} x {width} pixels: {wanted} needed")
        mean, inverse = (image.new_tensor(values)[:, None, None] for values in (self.mean, [1 / s for s in self.std]))
        return (image - mean) * inverse


def load(source: Folder | Run, checkpoint: str) -> Predictor:
    """See `xtasc.load`."""
    one = source if isinstance(source, Run) else run(source)
    path = one.folder / "checkpoint" / checkpoint / "weights.pt"
    tensors = {name: value for name, value in read_weights(path).items() if not name.startswith(OF_TRAINING)}
    options = options_of(one.config["model"], tensors)
    net = net_of(options, tensors, path)
    if isinstance(net, AdaMt):
        net.keep_first_slot()
    pack, provenance = pack_of(one), one.provenance
    names: tuple[str, ...] = ()
    if "seg" in options.order:
        names = pack.class_names if pack else tuple(f"class {i}" for i in range(options.num_classes))
    mean, std = (pack.mean, pack.std) if pack else (IMAGENET_MEAN, IMAGENET_STD)
    if not one.config["data"].get("normalise", True):
        mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
    size = (provenance.get("pack_height", 0), provenance.get("pack_width", 0))
    if isinstance(net, AdaMt):
        size = (options.height, options.width)
    unit = "inverse depth" if provenance.get("pack_depth_kind") == "inverse_depth" else "m"
    return Predictor(net, options.order, names, unit, size, mean, std).eval()


def read_weights(path: Path) -> Tensors:
    """A checkpoint's tensors by name, on the CPU. Runs no code from the file.

    Raises:
        XtascError: it is not there, or no file of weights.
    """
    if not path.is_file():
        there = sorted(other.parent.name for other in path.parent.parent.glob("*/weights.pt"))
        raise XtascError(f"no weights {path}: the run has {', '.join(there) or 'no'} checkpoints")
    try:
        tensors: Tensors = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise XtascError(f"{path} is no file of weights, or is damaged: {str(error).splitlines()[0]}") from error
    if not (isinstance(tensors, dict) and all(isinstance(value, Tensor) for value in tensors.values())):
        raise XtascError(f"{path} is no file of weights: a dictionary of tensors by name is expected")
    return tensors


def options_of(model: dict[str, Any], tensors: Tensors) -> NetOptions:
    """The network that a config's [model] and its weights speak of: the number of classes is that of the weights."""
    known = {field.name for field in fields(NetOptions)}
    chosen: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value
                              for key, value in model.items() if key in known}
    options = NetOptions(**chosen)
    if options.system == "adamt":
        slots, height, width = attention_of(tensors) or (1, 32, 64)
        options = replace(options, batch_size=slots, height=height, width=width)
    few, more = (shapes_of(replace(options, num_classes=number)) for number in (2, 3))
    for name, shape in few.items():
        for axis, (a, b) in enumerate(zip(shape, more[name])):
            if a != b and name in tensors and tensors[name].dim() == len(shape):
                return replace(options, num_classes=tensors[name].shape[axis] - a + 2)
    return options


def shapes_of(options: NetOptions) -> dict[str, torch.Size]:
    """Of a network's tensors, by name; nothing is computed."""
    with torch.device("meta"):
        return {name: tensor.shape for name, tensor in make_net(options).state_dict().items() if not name.endswith(COUNTERS)}


def net_of(options: NetOptions, tensors: Tensors, path: Path) -> nn.Module:
    """The network with these weights, which it owns from then on.

    Raises:
        XtascError: some are missing, left over or of another shape (all are named), or not finite.
    """
    wanted = shapes_of(options)
    found = {name: tensor for name, tensor in tensors.items() if not name.endswith(COUNTERS)}
    faults = [f"missing: {name}" for name in wanted if name not in found]
    faults += [f"left over: {name}" for name in found if name not in wanted]
    faults += [f"{name} is {tuple(found[name].shape)}, {tuple(shape)} expected"
               for name, shape in wanted.items() if name in found and found[name].shape != shape]
    if faults:
        raise XtascError(f"{path} does not fit model.system = \"{options.system}\": {'; '.join(faults)}")
    if diverged := [name for name in wanted if not torch.isfinite(found[name]).all()]:
        raise XtascError(f"{path}: {diverged[0]} has numbers that are not finite: the run that it is of diverged")
    with torch.device("meta"):
        net = make_net(options)
    counters = {name: torch.tensor(0) for name in net.state_dict() if name.endswith(COUNTERS)}
    net.load_state_dict({**found, **counters}, assign=True)
    return net


def pack_of(one: Run) -> Header | None:
    """The header of the pack that a run was trained on; None where it is not there, is another by now, or h5py is not
    installed."""
    data = one.config["data"]
    try:
        header = read_header(data["pack"], data.get("label_set", ""))
    except (ImportError, XtascError):
        return None
    trained_on = data.get("pack_digest") or one.provenance.get("pack_digest")
    return header if header.digest == trained_on else None
