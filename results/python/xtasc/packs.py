"""Packs (.h5) as data sets: what `xtasc-preprocess` writes, read by h5py. docs/design.md has the layout."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from xtasc.errors import XtascError

VERSIONS = (1, 2, 3)  # 2: texts of a fixed length; 3: normals, or samples that lack the labels of a task
KEYS = {"seg": "label", "depth": "depth", "normals": "normals"}  # of the tasks, and what their truth is called
IGNORED = 255
Sample = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Header:
    """What a pack says of itself. mean, std: of the images, by channel, between 0 and 1."""

    dataset: str
    height: int
    width: int
    label_set: str  # "label", or "label_7"
    label_sets: tuple[str, ...]
    class_names: tuple[str, ...]
    class_colors: tuple[tuple[int, int, int], ...]
    depth_kind: str  # "metres" or "inverse_depth"
    depth_scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    digest: str
    sizes: dict[str, int]  # samples by split


class Pack(Dataset[Sample]):
    """A split of a pack. A sample is a dict of tensors, unaugmented, as the programs train on it:

    image    (H, W, 3) uint8, RGB: what `xtasc.load(run)` takes
    label    (H, W) int64, class ids, 255: ignored
    depth    (1, H, W) float32, in metres, or inverse depth where `header.depth_kind` says so; 0: invalid
    normals  (3, H, W) float32, of length 1, 0 0 0: invalid; where the pack has normals
    has_seg, has_depth, has_normals    bool: does the sample have labels of the task? Where not, all its pixels are
             ignored or invalid.

    Any number of DataLoader workers may read it: each process opens the file for itself.

    Attributes:
        header: what the pack says of itself.
        names: of the samples: the raw file that each came from.
    """

    def __init__(self, path: str | os.PathLike[str], split: str = "train", label_set: str = "") -> None:
        """See `xtasc.pack`."""
        self.path = os.fspath(path)
        self.split = split
        self.header = read_header(path, label_set)
        if split not in self.header.sizes:
            raise XtascError(f"{self.path} has no split \"{split}\": it has {' and '.join(self.header.sizes)}")
        self._file: Any = None
        self._process = 0
        group = self._group()
        self._keys = [key for key, name in KEYS.items() if key == "seg" or name in group]
        self._flags = {key: group[f"has_{key}"][:] for key in self._keys if f"has_{key}" in group}
        self.names = [name.decode() if isinstance(name, bytes) else str(name) for name in group["name"][:]]

    @property
    def class_names(self) -> tuple[str, ...]:
        """By class id."""
        return self.header.class_names

    def __len__(self) -> int:
        return self.header.sizes[self.split]

    def __repr__(self) -> str:
        head = self.header
        partial = [f"{int(flags.sum())} with {KEYS[key]}" for key, flags in self._flags.items()]
        return (f"Pack({self.path!r}, {self.split!r}: {head.dataset}, {len(self)} samples of {head.height} x {head.width}, "
                f"{', '.join([f'{len(head.class_names)} classes', *(KEYS[key] for key in self._keys[1:]), *partial])})")

    def __getitem__(self, index: int) -> Sample:
        """
        Raises:
            IndexError: there is no such sample.
            XtascError: it cannot be read: the pack is damaged.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"{self.path}: sample {index} of {self.split} is asked for, it has {len(self)}")
        index %= len(self)
        group = self._group()
        try:
            image = group["image"][index]
            truths = {name: group[self.header.label_set if name == "label" else name][index]
                      for name in (KEYS[key] for key in self._keys)}
        except OSError as error:
            raise XtascError(f"{self.path}: sample {index} of {self.split} cannot be read ({error})") from error
        has = {key: key not in self._flags or bool(self._flags[key][index]) for key in self._keys}
        sample = {"image": image, "label": truths["label"].astype(np.int64)}
        if "depth" in truths:
            sample["depth"] = truths["depth"].astype(np.float32)[None] * np.float32(self.header.depth_scale)
        if "normals" in truths:
            sample["normals"] = unit_normals(truths["normals"])
        for key in self._keys:
            if not has[key]:
                sample[KEYS[key]][...] = IGNORED if key == "seg" else 0
        flags = {f"has_{key}": torch.tensor(value) for key, value in has.items()}
        return {name: torch.from_numpy(value) for name, value in sample.items()} | flags

    def _group(self) -> Any:
        """The split, in a file that this process opened: HDF5's state does not survive a fork."""
        if self._file is None or self._process != os.getpid():
            self._file, self._process = open_pack(self.path), os.getpid()
        return self._file[self.split]

    def __getstate__(self) -> dict[str, Any]:
        """For workers that are spawned, not forked."""
        return self.__dict__ | {"_file": None}


def unit_normals(stored: np.ndarray) -> np.ndarray:
    """(H, W, 3) int16 -> (3, H, W) float32 of length 1; 0 where the stored vector is 0. In float32, as the programs."""
    x, y, z = (stored[..., axis].astype(np.float32) for axis in range(3))
    square = x * x + y * y + z * z
    factor = np.where(square > 0, np.float32(1) / np.sqrt(np.where(square > 0, square, np.float32(1))), np.float32(0))
    return np.stack([x * factor, y * factor, z * factor])


def open_pack(path: str | os.PathLike[str]) -> Any:
    """An h5py.File.

    Raises:
        XtascError: h5py cannot open it, or it is no pack that is read here.
    """
    import h5py

    try:
        file = h5py.File(path, "r")
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else "no HDF5 file, or a damaged one"
        raise XtascError(f"cannot open the pack {os.fspath(path)}: {reason}") from error
    if "format" not in file.attrs:
        raise XtascError(f"{os.fspath(path)} is an HDF5 file but no pack: it has no attribute 'format'")
    if int(file.attrs["version"]) not in VERSIONS:
        raise XtascError(f"{os.fspath(path)} is a pack of version {file.attrs['version']}, {VERSIONS} are read here")
    return file


def read_header(path: str | os.PathLike[str], label_set: str = "") -> Header:
    """A pack's attributes.

    Args:
        label_set: as of `xtasc.pack`.

    Raises:
        XtascError: as `open_pack`; an attribute is missing, or there is no such label set.
    """
    with open_pack(path) as file:
        try:
            return header_of(file, label_set)
        except KeyError as error:
            raise XtascError(f"{os.fspath(path)}: the pack is damaged: {error.args[0]}") from error


def header_of(file: Any, label_set: str) -> Header:
    """See `read_header`."""
    attributes = file.attrs
    sizes = {split: len(file[split]["name"]) for split in ("train", "val") if split in file}
    group = file[next(iter(sizes))]
    first = texts(attributes["class_names"])
    sets = {name: texts(group[name].attrs["class_names"]) for name in sorted(group)
            if name == "label" or name.startswith("label_")}
    order = sorted(sets, key=lambda name: (sets[name] != first, name))  # the root's class names are those of the first
    chosen = label_set or order[0]
    if chosen not in sets:
        raise XtascError(f"{file.filename} has no label set \"{chosen}\": it has {', '.join(order)}")
    colors = np.asarray(group[chosen].attrs["class_colors"]).reshape(-1, 3)
    return Header(dataset=text(attributes["dataset"]), height=int(attributes["height"]), width=int(attributes["width"]),
                  label_set=chosen, label_sets=tuple(order), class_names=sets[chosen],
                  class_colors=tuple((int(r), int(g), int(b)) for r, g, b in colors),
                  depth_kind=text(attributes["depth_kind"]), depth_scale=float(attributes["depth_scale"]),
                  mean=tuple(float(value) for value in attributes["image_mean"]),
                  std=tuple(float(value) for value in attributes["image_std"]),
                  digest=text(attributes["content_digest"]), sizes=sizes)


def text(value: Any) -> str:
    """An attribute of text, of a fixed length or not."""
    return value.decode() if isinstance(value, bytes) else str(value)


def texts(values: Any) -> tuple[str, ...]:
    return tuple(text(value) for value in np.atleast_1d(values))
