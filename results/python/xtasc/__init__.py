"""What the xtasc programs leave, in Python: their runs as tables, their networks as PyTorch modules, their packs as data sets.

    import xtasc

    table = xtasc.runs("results/runs")            # a row a run: config, metrics, provenance
    net = xtasc.load("results/runs/first")        # a torch.nn.Module with the run's weights
    scenes = xtasc.pack("data/scenes.h5", "val")  # a torch Dataset

Only `load` needs torch, only `pack` torch and h5py; `runs` gives a pandas.DataFrame where pandas is there. No program of
the project is needed.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from xtasc.errors import BrokenRun, XtascError
from xtasc.folders import Run, run, runs

if TYPE_CHECKING:
    from xtasc.packs import Pack
    from xtasc.predictor import Predictor

__version__ = "0.1.0"  # the programs', which a test holds it to
__all__ = ["BrokenRun", "Run", "XtascError", "__version__", "load", "pack", "run", "runs"]


def load(run: str | os.PathLike[str] | Run, checkpoint: str = "best") -> Predictor:
    """The network of a run with its weights, in eval mode: see `xtasc.predictor.Predictor`.

    Args:
        run: a run folder, a folder with a single run below it, or what `xtasc.run` gave.
        checkpoint: "best", "last", or another folder of the run's checkpoint/.

    Raises:
        XtascError: there is no such run or checkpoint, or its weights do not fit its config (names are listed).
    """
    from xtasc.predictor import load as load_predictor

    return load_predictor(run, checkpoint)


def pack(path: str | os.PathLike[str], split: str = "train", label_set: str = "") -> Pack:
    """A split of a pack as a torch Dataset: see `xtasc.packs.Pack`.

    Args:
        path: the pack's file (.h5).
        split: "train" or "val".
        label_set: "label_7", "label_19" where the pack has several; empty: the first, as in training.

    Raises:
        XtascError: the file is no pack that this version reads, or has no such split or label set.
    """
    from xtasc.packs import Pack

    return Pack(path, split, label_set)
