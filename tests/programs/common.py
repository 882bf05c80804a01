"""What the end-to-end tests share: running the programs as a user does, on a small real pack."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import unittest
from collections.abc import Sequence

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(SOURCE / "tests/support"))
from suite import run_tests  # noqa: E402

# A net that is small, not simple: every part of it is there. One thread: tests run side by side, and OpenMP's threads
# wait for each other by spinning, which makes a crowded machine several times as slow.
SMALL = ["model.encoder=resnet18", "model.decoder_width=8", "model.ttnet_widths=[8,8,8]", "weighting.method=uncertainty",
         "run.threads=1"]


# dataset.toml of a made-up set of pictures, for `xtasc-preprocess folder`.
MADE_SET = """
name = "made"
size = [32, 64]
[image]
file = "rgb/{id}.png"
[label]
file = "label/{id}.png"
void = [255]
class_names = ["a", "b"]
[depth]
file = "depth/{id}.png"
bits = 8
kind = "metres"
divisor = 20.0
invalid = [0]
[split]
train = "train.txt"
val = "val.txt"
"""


def sets(assignments: list[str]) -> list[str]:
    return [word for assignment in assignments for word in ("--set", assignment)]


def h5py_or_skip():
    try:
        import h5py  # noqa: PLC0415
    except ImportError as error:
        raise unittest.SkipTest(f"no h5py: {error}") from error
    return h5py


class OneLine(unittest.TestCase):
    def one_line(self, done, code: int, *parts: str) -> None:
        """A program ended with this code and a single line of error, which has these parts."""
        self.assertEqual(done.returncode, code, done.stderr)
        errors = [line for line in done.stderr.splitlines() if ": error: " in line]
        self.assertEqual(len(errors), 1, done.stderr)
        for part in parts:
            self.assertIn(part, errors[0])


class Programs:
    """The programs of one build, and a scratch folder with a pack of generated scenes."""

    def __init__(self, bin_folder: pathlib.Path, preload: pathlib.Path | None) -> None:
        self.bin = bin_folder
        self.preload = preload
        self._scratch = tempfile.TemporaryDirectory(prefix="xtasc-programs-")
        self.scratch = pathlib.Path(self._scratch.name)
        self.pack = self.scratch / "scenes.h5"
        self.config = self.scratch / "config.toml"
        self.config.write_text(f'[data]\npack = "{self.pack}"\n[evaluate]\nbatch_size = 3\n')
        done = self.run("xtasc-preprocess", "scenes", "--train", "48", "--val", "7", "--seed", "3", "--size", "32x64",
                        "--output", str(self.pack))
        assert done.returncode == 0, done.stderr

    def command(self, program: str, *arguments: str, ranks: int = 0) -> list[str]:
        launcher = []
        if ranks > 0:
            launcher = ["mpirun", "--quiet", "-np", str(ranks), "--oversubscribe", "--bind-to", "none"]
        return [*launcher, str(self.bin / program), *arguments]

    def run(self, program: str, *arguments: str, ranks: int = 0,
            through: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
        """Runs a program to its end, started by the command `through` where one is given."""
        return subprocess.run([*through, *self.command(program, *arguments, ranks=ranks)], capture_output=True,
                              text=True, timeout=600, cwd=self.scratch, check=False)

    def stopped_after_an_epoch(self, *arguments: str) -> tuple[int, str]:
        """Trains until the first epoch has ended, then sends the signal that asks for a checkpoint and an end. Gives the
        exit code and what was said after the signal."""
        process = subprocess.Popen(self.command("xtasc-train", *arguments), stderr=subprocess.PIPE, text=True,
                                   cwd=self.scratch)
        for line in process.stderr:
            if "epoch 1/" in line and ": train loss" in line:
                process.send_signal(signal.SIGUSR2)
                break
        _, rest = process.communicate(timeout=600)
        return process.returncode, rest

    def train_arguments(self, output: str, *assignments: str) -> list[str]:
        return ["--config", str(self.config), *sets([*SMALL, f"run.output={self.scratch / output}", *assignments])]

    def ranks_of(self, output: str) -> list[int]:
        """Process ids of the trainers that write there: xtasc-train itself, not mpirun."""
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            place = str(self.scratch / output).encode()
            if words[0].endswith(b"xtasc-train") and any(word.endswith(place) for word in words):
                found.append(int(entry.name))
        return sorted(found)

    def run_folder(self, output: str) -> pathlib.Path:
        folders = [config.parent for config in (self.scratch / output).rglob("config.toml")]
        assert len(folders) == 1, folders
        return folders[0]


def programs_of_script() -> Programs:
    """Those of the script whose tests run."""
    return sys.modules["__main__"].programs


# Fields of metrics.jsonl that may differ between two equal runs; the last is over the others.
CLOCKS = ("seconds", "images_per_second", "machine", "digest")


def metrics(run: pathlib.Path, file: str = "metrics.jsonl") -> list[dict]:
    """The epochs of a run without what may differ between two equal runs: the clock's."""
    records = [json.loads(line) for line in (run / file).read_text().splitlines()]
    return [{key: value for key, value in record.items() if key not in CLOCKS} for record in records]


def set_environment() -> None:
    """As launch/common.sh: one thread a rank, and Open MPI may run as root, as in a container; who waits yields."""
    os.environ.update(OMP_NUM_THREADS="1", OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
                      OMPI_MCA_mpi_yield_when_idle="1", OMPI_MCA_pml="ob1")


def main() -> None:
    """Runs the calling script's tests on the programs in --bin."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of the programs")
    parser.add_argument("--preload", type=pathlib.Path, help="a library of tests/support to put before others")
    options, rest = parser.parse_known_args()
    set_environment()
    module = sys.modules["__main__"]
    module.programs = Programs(options.bin.resolve(), options.preload and options.preload.resolve())
    run_tests(rest)
