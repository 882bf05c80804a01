"""Run folders: what a run was told, what it measured, where its numbers come from.

The files are those that docs/design.md describes: config.toml, metrics.jsonl, final.jsonl, provenance.json, DONE. Numbers
are the files' own to the last bit. Digests in them are not checked here: `xtasc-tabulate` does.
"""

from __future__ import annotations

import json
import os
import tomllib
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from xtasc.errors import BrokenRun, XtascError

if TYPE_CHECKING:
    import pandas

Folder = str | os.PathLike[str]
Record = dict[str, Any]
Table: TypeAlias = "pandas.DataFrame | list[Record]"
Value = TypeVar("Value")

WITHOUT_ENCODER = ("segnet", "stan", "mtan", "kd4mtl", "dense", "cross_stitch", "adamt")  # systems
NOT_IN_ROWS = ("digest", "starts")  # of provenance: bookkeeping, and what is not one value a run


class Run:
    """One run folder. Files are read when they are first asked for.

    Attributes:
        folder: where it lies.
    """

    def __init__(self, folder: Folder) -> None:
        """
        Raises:
            XtascError: there is no config.toml in it.
        """
        self.folder = Path(folder)
        if not (self.folder / "config.toml").is_file():
            raise XtascError(f"no run in {self.folder}: found no config.toml in it; give a run folder")

    def __repr__(self) -> str:
        words = [self.config["model"]["system"], *filter(None, [self.encoder])]
        return f"Run({str(self.folder)!r}: {' '.join(words)}, {self.state}, {len(self.epochs)} epochs)"

    @property
    def id(self) -> str:
        """The folder's name: the run's name, and a hash over what decides its numbers."""
        return self.folder.resolve().name

    @property
    def encoder(self) -> str:
        """The ResNet of the run's network; empty for those that have none: the config names one all the same."""
        model = self.config["model"]
        return "" if model["system"] in WITHOUT_ENCODER else model.get("encoder", "")

    @property
    def state(self) -> str:
        """done; running (a process of this machine trains it); interrupted, which a start resumes; waiting: never started."""
        if (self.folder / "DONE").exists() and not (self.folder / ".restarting").exists():
            return "done"
        if is_locked(self.folder / "lock"):
            return "running"
        return "interrupted" if (self.folder / "provenance.json").exists() else "waiting"

    @cached_property
    def config(self) -> dict[str, Record]:
        """config.toml: every key of every section, as the run resolved it."""
        return _read(self.folder / "config.toml", _config_of)

    @cached_property
    def provenance(self) -> Record:
        """provenance.json: version, libraries, hosts, devices, pack and its digest, times; {} before the first start."""
        path = self.folder / "provenance.json"
        return _read(path, _object_of) if path.exists() else {}

    @cached_property
    def epochs(self) -> list[Record]:
        """The lines of metrics.jsonl, an epoch each, as they stand there; docs/design.md has their fields.

        What was measured of held-out images (data.holdout) stands under "holdout". A last line that a kill cut off is left
        out, with a warning.

        Raises:
            XtascError: another line is no JSON; its number is named.
        """
        path = self.folder / "metrics.jsonl"
        if path.exists():
            return _read(path, lambda text: _epochs_of(path, text))
        if self.state in ("done", "interrupted"):
            _warn(self.folder, "it has no metrics.jsonl")
        return []

    @property
    def metrics(self) -> Table:
        """`epochs` as a table, a row an epoch, with names such as "paper.miou" and "train_loss.seg": a DataFrame where
        pandas is there, else a list of dicts."""
        return as_table([flat(epoch) for epoch in self.epochs])

    @cached_property
    def evaluation(self) -> dict[str, Record]:
        """What tables show, of the validation split: the lines of the last epoch ("last"), and of the one with the lowest
        loss ("best"), each with "val_loss", "paper", "dataset" (the two protocols) and the rest; those that there are."""
        final = self.folder / "final.jsonl"
        measured = [epoch for epoch in self.epochs if "holdout" not in epoch]
        if final.exists():
            measured = _read(final, lambda text: _epochs_of(final, text))
        best = [epoch for epoch in measured if epoch.get("is_best")]
        last = [epoch for epoch in measured[-1:] if epoch["epoch"] == len(self.epochs)]
        return {name: found[-1] for name, found in (("best", best), ("last", last)) if found}

    def row(self) -> Record:
        """The run in one flat row: see `runs`."""
        provenance = {key: value for key, value in self.provenance.items() if key not in NOT_IN_ROWS}
        return {**self._head(), "epochs": len(self.epochs), **flat(self.config), **flat(self.evaluation),
                **flat({"provenance": provenance})}

    def epoch_rows(self) -> list[Record]:
        """The run in a flat row an epoch: see `runs`."""
        head = {**self._head(), **flat(self.config)}
        return [head | flat(epoch) for epoch in self.epochs]

    def _head(self) -> Record:
        return {"run": self.id, "folder": str(self.folder), "state": self.state}


def run(folder: Folder) -> Run:
    """The run in `folder`, or the single one below it.

    Raises:
        XtascError: there is none, or several.
    """
    folders = list(find_runs(folder))
    if not folders:
        raise XtascError(f"no run in {folder}: found no config.toml in it or below it; give a run folder")
    if folders[0] != Path(folder) and len(folders) > 1:
        raise XtascError(f"{len(folders)} runs below {folder}: give the folder of one of them, such as {folders[0]}")
    return Run(folders[0])


def runs(folders: Folder | Iterable[Folder], *, by_epoch: bool = False) -> Table:
    """All runs in and below some folders, each once, sorted by path.

    Args:
        folders: one, or several.
        by_epoch: a row an epoch in place of a row a run.

    Returns:
        A DataFrame where pandas is there, else a list of dicts. A row of a run has run, folder, state, epochs (how many);
        the config's keys ("model.system"); the metrics of the last and the best epoch ("last.paper.miou",
        "best.dataset.abs_err"), as tables show them; and provenance ("provenance.version"). A row of an epoch has run,
        folder, state, the config's keys, and the epoch's own numbers ("epoch", "train_loss.seg", "paper.miou").

    Warns:
        BrokenRun: a run lacks its metrics, the last line of them was cut off by a kill, or a file of it cannot be read: then
            it is left out.

    Raises:
        XtascError: a folder is not there.
    """
    found = readable_runs(folders)
    return as_table([row for one in found for row in (one.epoch_rows() if by_epoch else [one.row()])])


def readable_runs(folders: Folder | Iterable[Folder]) -> list[Run]:
    """The runs of `runs`, their files read, with its warnings and errors."""
    several = [folders] if isinstance(folders, (str, os.PathLike)) else folders
    places = {path.resolve(): path for folder in several for path in find_runs(folder)}
    found = []
    for place in sorted(places.values()):
        try:
            one = Run(place)
            one.row()
            found.append(one)
        except XtascError as error:
            _warn(place, f"left out: {error}")
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            _warn(place, f"left out: something in its files is not of the kind that it is in runs ({error})")
    return found


def find_runs(folder: Folder) -> Iterator[Path]:
    """Every folder at or below `folder` that holds a config.toml, by path; links are followed, no folder is entered twice.

    Raises:
        XtascError: it is no folder.
    """
    if not os.path.isdir(folder):
        raise XtascError(f"no folder {os.fspath(folder)}: give a run folder, or one that has runs below it")
    seen: set[tuple[int, int]] = set()
    for place, folders, files in os.walk(folder, followlinks=True):
        status = os.stat(place)
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if name != "checkpoint")
        if "config.toml" in files:
            yield Path(place)


def flat(record: Mapping[str, Any], prefix: str = "") -> Record:
    """{"paper": {"miou": 0.5}} -> {"paper.miou": 0.5}; lists stay as they are."""
    result: Record = {}
    for key, value in record.items():
        result |= flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return result


def as_table(rows: list[Record]) -> Table:
    """A DataFrame where pandas is there, else the rows."""
    try:
        import pandas
    except ImportError:
        return rows
    return pandas.DataFrame(rows)


def is_locked(path: Path) -> bool:
    """Does a process hold the lock (flock) that a trainer holds on this file?"""
    if not path.is_file():
        return False
    try:
        import fcntl

        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except (ImportError, OSError):  # no such file; a file system, or a Windows, without such locks
        return False
    return False


def _object_of(text: str) -> Record:
    value = json.loads(text)
    if not isinstance(value, dict):
        raise ValueError("it is no JSON object")
    return value


def _config_of(text: str) -> dict[str, Record]:
    config = tomllib.loads(text)
    if lacking := [name for name in ("data", "model") if not isinstance(config.get(name), dict)]:
        raise ValueError(f"it has no section [{lacking[0]}], as every run's config has")
    if not isinstance(config["model"].get("system"), str):
        raise ValueError("it has no model.system, as every run's config has")
    return config


def _epochs_of(path: Path, text: str) -> list[Record]:
    """The lines of a metrics.jsonl. An epoch that comes again replaces the first one and all that followed it."""
    *lines, torn = text.split("\n")
    if torn:
        _warn(path, "its last line is cut off, as by a kill: left out")
    epochs: list[Record] = []
    for number, line in enumerate(lines, start=1):
        try:
            epoch = json.loads(line)
            epoch.pop("digest", None)
            number_of_epoch = epoch["epoch"]
            if not all(isinstance(epoch[key], int) and 0 <= epoch[key] < 2**63 for key in ("epoch", "step")):
                raise ValueError("epoch and step are no counts")
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ValueError(f"line {number} is not an epoch's ({error})") from error
        while epochs and epochs[-1]["epoch"] >= number_of_epoch:
            epochs.pop()
        epochs.append(epoch)
    return epochs


def _read(path: Path, parse: Callable[[str], Value]) -> Value:
    """
    Raises:
        XtascError: it cannot be read, or not be parsed.
    """
    if path.exists() and not path.is_file():
        raise XtascError(f"cannot read {path}: it is no file, but a folder, a named pipe or a device")
    try:
        return parse(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise XtascError(f"cannot read {path}: {error.strerror}") from error
    except RecursionError as error:
        raise XtascError(f"{path}: its values are nested too deep") from error
    except ValueError as error:
        raise XtascError(f"{path}: {error}") from error


def _warn(path: Path, text: str) -> None:
    warnings.warn(f"{path}: {text}", BrokenRun, stacklevel=3)
