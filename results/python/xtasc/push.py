"""Runs in the form of the field's trackers: Weights & Biases, MLflow, TensorBoard. All of it offline, into a folder.

A run has its id as its name; its config; what its epochs measured, at their optimizer steps; the last and the best epoch's
metrics in its summary; and tags. A run that is pushed again takes the place of what it was.
"""

from __future__ import annotations

import math
import os
import re
import shlex
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from xtasc import wandb_file
from xtasc.errors import XtascError, XtascFailure
from xtasc.folders import Run, flat

Numbers = dict[str, float]
WANDB_TAG = 64  # characters that W&B takes of a tag
MLFLOW_PARAMS, MLFLOW_METRICS = 100, 1000  # as many as a call takes: mlflow.org/docs/latest/rest-api.html, "Log Batch"


def push(runs: Sequence[Run], target: str, project: str = "xtasc", folder: str | os.PathLike[str] | None = None) -> list[str]:
    """Writes runs for a tracker.

    Args:
        target: "wandb", "mlflow" or "tensorboard"; the package of that name must be installed.
        project: the name that groups the runs there (MLflow: experiment).
        folder: where to; default: one of the target's name here.

    Returns:
        A line a command that shows what was written.

    Raises:
        XtascError: there is no such target, or its package is not installed; two runs have one id; the project is no
            plain name; what lies where a run would go was not pushed there.
        XtascFailure: a run could not be written, as on a full disk: nothing of it is left, those before it are whole.
    """
    if target not in TARGETS:
        raise XtascError(f"--to {target} is none of {', '.join(TARGETS)}")
    for name, count in Counter(wandb_id(one) if target == "wandb" else one.id for one in runs).items():
        if count > 1:
            raise XtascError(f"several of the runs are called {name}: name the folder of one of them")
    if project in (".", "..") or not re.fullmatch(r"[\w .-]{1,100}", project):
        raise XtascError(f"--project {project!r} is no plain name: 1 to 100 letters, digits, blanks and . _ -, "
                         "and neither . nor ..")
    try:
        place = Path(target if folder is None else folder).absolute()
    except OSError as error:
        raise XtascFailure("the working folder is gone: start it in another, or give --to-folder a whole path") from error
    try:
        return TARGETS[target](runs, project, place)
    except ImportError as error:
        package = "mlflow-skinny" if target == "mlflow" else target
        raise XtascError(f"--to {target} needs its package: pip install {package} ({error})") from error


@contextmanager
def whole(what: Path | str, remove: Callable[[], None]) -> Iterator[None]:
    """Removes what a body has begun to write where it fails, or is stopped.

    Raises:
        XtascFailure: it did; each tracker's package has errors of its own.
    """
    try:
        yield
    except BaseException as error:
        with suppress(Exception):
            remove()
        if isinstance(error, XtascError) or not isinstance(error, Exception):
            raise
        lines = [line.strip() for line in str(error).splitlines()[:3]] or [type(error).__name__]
        raise XtascFailure(f"cannot write {what}: {getattr(error, 'strerror', None) or ' '.join(lines)}") from error


def epochs_of(run: Run) -> Iterator[tuple[int, Numbers]]:
    """The optimizer steps at each epoch's end, and the numbers that were measured there, epoch among them."""
    for epoch in run.epochs:
        numbers = numbers_of(epoch)
        yield int(numbers.pop("step")), numbers


def numbers_of(record: dict[str, Any]) -> Numbers:
    """The finite numbers of a record, by flat name; of a list by its places: "class_iou.0"."""
    spread = {key: dict(enumerate(value)) if isinstance(value, list) else value for key, value in flat(record).items()}
    return {key: value for key, value in flat(spread).items() if isinstance(value, (int, float)) and math.isfinite(value)}


def summary_of(run: Run) -> Numbers:
    """The metrics of the last and the best epoch in both protocols, as tables show them: "best.paper.miou"; and which epochs
    these are."""
    shown = ("epoch", "paper", "dataset")
    return numbers_of({name: {key: epoch[key] for key in shown if key in epoch} for name, epoch in run.evaluation.items()})


def config_of(run: Run) -> dict[str, Any]:
    """The config by flat name; where its numbers come from besides."""
    origin = {key: run.provenance[key] for key in ("version", "commit", "pack_dataset", "pack_digest", "world_size", "started",
                                                   "finished", "num_parameters") if key in run.provenance}
    return flat(run.config) | flat({"provenance": origin})


def tags_of(run: Run) -> dict[str, str]:
    """What runs are looked for by."""
    tags = {"system": run.config["model"]["system"], "encoder": run.encoder,
            "weighting": run.config.get("weighting", {}).get("method", ""), "dataset": run.provenance.get("pack_dataset", ""),
            "state": run.state}
    return {key: str(value) for key, value in tags.items()}


def to_wandb(runs: Sequence[Run], project: str, folder: Path) -> list[str]:
    import wandb

    folder = folder / project  # wandb's own folder names have no project
    folder.mkdir(parents=True, exist_ok=True)
    quiet = wandb.Settings(silent=True, console="off", x_disable_stats=True, x_disable_meta=True,
                           x_save_requirements=False)
    for run in runs:
        found = partial(offline_runs, folder, wandb_id(run))
        before = found()
        with whole(f"{folder / 'wandb'}, run {run.id}", lambda: remove_all(found() - before)):
            with wandb.init(mode="offline", dir=folder, project=project, id=wandb_id(run), name=run.id, config=config_of(run),
                            tags=[tag[:WANDB_TAG] for tag in tags_of(run).values() if tag], settings=quiet) as written:
                for step, numbers in epochs_of(run):
                    written.log(numbers, step=step)
                written.summary.update(summary_of(run))
            if not all(map(wandb_file.is_whole, found() - before)):
                raise XtascFailure(f"cannot write {folder / 'wandb'}: wandb kept a part of {run.id} only; is the disk full?")
        remove_all(before)
    return [f"wandb sync {shlex.quote(str(folder))}/wandb/offline-run-*"]


def wandb_id(run: Run) -> str:
    """The run's id without what W&B takes in none: some characters, and blanks around it."""
    return re.sub(r"[:;,#?/'%]", "_", run.id.strip())


def offline_runs(folder: Path, run_id: str) -> set[Path]:
    """The folders of a run, not another's whose id ends like this one."""
    own = re.compile(r"offline-run-\d{8}_\d{6}-" + re.escape(run_id) + r"(-\d+)?")  # a number: begun in the same second

    def is_own(place: Path) -> bool:
        written = [file.name for file in place.glob("*.wandb")] or [f"run-{run_id}.wandb"]
        return bool(own.fullmatch(place.name)) and written == [f"run-{run_id}.wandb"]

    return set(filter(is_own, (folder / "wandb").glob("offline-run-*")))


def remove_all(folders: Iterable[Path]) -> None:
    for folder in folders:
        shutil.rmtree(folder)


def to_mlflow(runs: Sequence[Run], project: str, folder: Path) -> list[str]:
    os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")  # MLflow 3 asks for it: mlflow-skinny has no other store
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Param, RunTag

    foreign = [place.name for place in entries(folder) if place.name not in (".trash", "models") and not place.name.isdigit()]
    if foreign:
        raise XtascError(f"{folder} holds {foreign[0]}, and MLflow takes whatever lies beside its runs for its own: give it a "
                         "folder of its own (--to-folder)")
    client = MlflowClient(tracking_uri=folder.as_uri())
    with whole(folder, partial(remove_half_made, folder, entries(folder))):
        known = client.get_experiment_by_name(project)
        experiment = known.experiment_id if known else client.create_experiment(project)
        page = client.search_runs([experiment])
        pushed = list(page)
        while page.token:
            page = client.search_runs([experiment], page_token=page.token)
            pushed += page
    for run in runs:
        before = [old for old in pushed if old.info.run_name == run.id]
        begin, end = (milliseconds(run, name) for name in ("started", "finished"))
        of_experiment = folder / experiment
        with whole(folder, partial(remove_half_made, of_experiment, entries(of_experiment))):
            written = client.create_run(experiment, begin, run_name=run.id).info.run_id
        with whole(f"{folder}, run {run.id}", partial(shutil.rmtree, of_experiment / written)):
            metrics = [Metric(mlflow_name(key), value, begin or 0, step)
                       for step, numbers in epochs_of(run) for key, value in numbers.items()]
            last = metrics[-1].step if metrics else 0
            metrics += [Metric(key, value, end or begin or 0, last) for key, value in summary_of(run).items()]
            params = [Param(key, str(value)) for key, value in config_of(run).items()]
            client.log_batch(written, tags=[RunTag(key, value) for key, value in tags_of(run).items() if value])
            for first in range(0, len(params), MLFLOW_PARAMS):
                client.log_batch(written, params=params[first : first + MLFLOW_PARAMS])
            for first in range(0, len(metrics), MLFLOW_METRICS):
                client.log_batch(written, metrics=metrics[first : first + MLFLOW_METRICS])
            client.set_terminated(written, {"done": "FINISHED", "running": "RUNNING"}.get(run.state, "KILLED"), end)
        for old in before:
            client.delete_run(old.info.run_id)
    return [f"MLFLOW_ALLOW_FILE_STORE=true mlflow ui --backend-store-uri {shlex.quote(str(folder))}"]


def mlflow_name(key: str) -> str:
    """MLflow takes no comma, as in "gradients.cosine.seg,depth": "gradients.cosine.seg_depth"."""
    return re.sub(r"[^\w\-. :/]", "_", key)


def entries(folder: Path) -> set[Path]:
    return set(folder.iterdir()) if folder.is_dir() else set()


def remove_half_made(folder: Path, before: set[Path]) -> None:
    """Experiments or runs of MLflow's file store without what they are known by, which every later look would fail on."""
    for place in entries(folder) - before:
        meta = place / "meta.yaml"
        if place.is_dir() and not (meta.is_file() and meta.stat().st_size):
            shutil.rmtree(place)


def milliseconds(run: Run, name: str) -> int | None:
    """Since 1970, of an ISO 8601 text of the run's provenance; None of none."""
    time = run.provenance.get(name)
    try:
        return round(datetime.fromisoformat(time).timestamp() * 1000) if time else None
    except (TypeError, ValueError) as error:
        raise XtascFailure(f"{run.folder / 'provenance.json'}: {name} is no time: {error}") from error


def to_tensorboard(runs: Sequence[Run], project: str, folder: Path) -> list[str]:
    """In float32: TensorBoard's data server (0.7) passes over scalars in float64, and the browser shows none."""
    from torch.utils.tensorboard import SummaryWriter
    from torch.utils.tensorboard.summary import hparams

    differing = differing_keys([run.config for run in runs])
    for run in runs:
        place = folder / project / run.id
        refuse_foreign(place)
        begun = place.with_name(f".{run.id}.partial")
        shutil.rmtree(begun, ignore_errors=True)
        with whole(place, partial(shutil.rmtree, begun)), SummaryWriter(str(begun)) as writer:
            for step, numbers in epochs_of(run):
                for key, value in numbers.items():
                    writer.add_scalar(group_of(key), value, step)
            summary = {group_of(key): value for key, value in summary_of(run).items()}
            told = {key: str(value) for key, value in config_of(run).items() if key in differing}
            for part in hparams(tags_of(run) | told, summary):  # type: ignore[no-untyped-call]
                writer.file_writer.add_summary(part)
            for key, value in summary.items():
                writer.add_scalar(key, value, run.epochs[-1]["step"])
            writer.add_text("config.toml", "```toml\n" + (run.folder / "config.toml").read_text(encoding="utf-8") + "```")
        if place.exists():
            shutil.rmtree(place)
        begun.rename(place)
    return [f"tensorboard --logdir {shlex.quote(str(folder / project))}"]


def refuse_foreign(place: Path) -> None:
    """Raises XtascError where something lies that to_tensorboard() did not write: event files alone are what is replaced."""
    inside = place.iterdir() if place.is_dir() else [place] if place.exists() or place.is_symlink() else []
    if place.is_symlink() or any(not file.name.startswith("events.out.tfevents") for file in inside):
        raise XtascError(f"{place} holds more than event files, such as a run itself: name another --to-folder or --project")


def group_of(key: str) -> str:
    """TensorBoard groups by what stands before the slash: "paper.miou" -> "paper/miou"."""
    return key.replace(".", "/", 1)


def differing_keys(configs: Sequence[dict[str, Any]]) -> set[str]:
    """The flat names of what is not the same in all of them: TensorBoard gives each hyperparameter a column."""
    items = [{(key, repr(value)) for key, value in flat(config).items()} for config in configs]
    return {key for key, _ in set.union(*items) - set.intersection(*items)} if items else set()


TARGETS: dict[str, Callable[[Sequence[Run], str, Path], list[str]]] = {
    "wandb": to_wandb, "mlflow": to_mlflow, "tensorboard": to_tensorboard}
