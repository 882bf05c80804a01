"""What the Slurm tests share: one cluster, brought up once, and sweeps on a small pack of generated scenes."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Callable

SOURCE = pathlib.Path(__file__).resolve().parents[2]
sys.path.append(str(SOURCE / "tests/support"))
from suite import run_tests  # noqa: E402

SKIPPED = 77
RANKS = 2
# A net that is small, not simple: every part of it is there.
BASE = """
[run]
output = "{output}"
threads = 1
stall_seconds = {stall_seconds}
[data]
pack = "{pack}"
[model]
encoder = "resnet18"
decoder_width = 8
ttnet_widths = [8, 8, 8]
[weighting]
method = "uncertainty"
[train]
epochs = {epochs}
batch_size = 4
learning_rate = 1e-3
[evaluate]
batch_size = 4
"""
SITE = """
[job]
nodes = {nodes}
gpus_per_node = 0
ranks_per_node = {ranks_per_node}
cpus_per_rank = 1
time = "00:30:00"
max_at_once = {max_at_once}
[launch]
launcher = "{launcher}"
runs_per_gpu = {runs_per_gpu}
environment = ["OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1", "OMPI_MCA_btl_tcp_if_include=lo",
               "OMPI_MCA_oob_tcp_if_include=lo", "OMP_NUM_THREADS=1", "OMPI_MCA_mpi_yield_when_idle=1"]
[restart]
max_fruitless_starts = {max_fruitless_starts}
"""


# What a busy machine may take for what takes seconds on an idle one. Nothing waits for so long but to fail.
PATIENCE = 900.0


def wait_for(what: str, condition: Callable[[], object], seconds: float = PATIENCE, pause: float = 0.2) -> object:
    """Until the condition holds; its value."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(pause)
    return value


class Cluster:
    """A test cluster, its scratch folder, and the programs of one build."""

    def __init__(self, bin_folder: pathlib.Path) -> None:
        self.bin = bin_folder
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="xtasc-slurm-"))
        self.folder.chmod(0o755)
        self.scratch = self.folder / "scratch"
        self.scratch.mkdir()
        # In memory, before the nodes copy the list of mounts: a shared file system that is quick at fsync.
        subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(self.scratch)], capture_output=True, check=False)
        self.command("up", "--nodes", "2")
        os.environ["SLURM_CONF"] = str(self.folder / "cluster/slurm.conf")
        self.pack = self.scratch / "scenes.h5"
        subprocess.run([str(self.bin / "xtasc-preprocess"), "scenes", "--train", "16", "--val", "4", "--seed", "3",
                        "--size", "32x64", "--output", str(self.pack)], check=True, capture_output=True)

    def command(self, *words: str) -> str:
        """test_cluster.sh; where it says no, the tests are skipped with its reason."""
        done = subprocess.run([str(SOURCE / "slurm/test_cluster.sh"), *words, "--dir", str(self.folder / "cluster")],
                              capture_output=True, text=True, check=False)
        if done.returncode != 0:
            self.remove()
            print(done.stderr.strip())
            print(f"skipped: {done.stderr.strip().splitlines()[0]}")
            sys.exit(SKIPPED if words[0] == "up" else 1)
        return done.stdout

    def close(self) -> None:
        self.command("down")
        self.remove()

    def remove(self) -> None:
        subprocess.run(["umount", "--lazy", str(self.scratch)], capture_output=True, check=False)
        shutil.rmtree(self.folder, ignore_errors=True)

    def stand_in(self, name: str, body: str) -> str:
        """A program in xtasc-train's place, for what is not about training. $run is the run's folder."""
        path = self.scratch / name
        path.write_text('#!/bin/bash\nconfig="$2"\nrun="${config%/.sweep/*}/$(basename "${config%.toml}")"\n'
                        + body + "\n")
        path.chmod(0o755)
        return str(path)

    def jobs(self) -> list[dict]:
        """Every job that the controller knows, finished ones as well."""
        done = subprocess.run(["squeue", "--states=all", "--json"], capture_output=True, text=True, check=True)
        return json.loads(done.stdout)["jobs"]

    def processes(self, run: str, program: str = "xtasc-train") -> list[int]:
        """The ranks of a run, whatever node they live on, in the order in which they started."""
        found = []
        for entry in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if words[0].endswith(program.encode()) and any(run.encode() in word for word in words):
                found.append(int(entry.name))
        return sorted(found)


class Sweep:
    """One sweep file with its runs, and the program on it."""

    def __init__(self, cluster: Cluster, name: str, *, seeds: int = 1, epochs: int = 3, ranks_per_node: int = RANKS,
                 nodes: int = 1, launcher: str = "srun", runs_per_gpu: int = 1, max_at_once: int = 0,
                 max_fruitless_starts: int = 3, stall_seconds: int = 300, trainer: str = "") -> None:
        self.cluster = cluster
        # A folder of outputs each: a run that is done in a sweep beside this one would not be run again.
        self.output = cluster.scratch / "runs" / name
        self.folder = self.output / name
        self.file = cluster.scratch / f"{name}.toml"
        base = cluster.scratch / f"{name}.base.toml"
        base.write_text(BASE.format(pack=cluster.pack, epochs=epochs, output=self.output, stall_seconds=stall_seconds))
        numbers = ",\n".join(str(seed) for seed in range(1, seeds + 1))
        self.file.write_text(f'base = "{base}"\nseeds = [{numbers}]\n'
                             '[[point]]\nname = "XTasC-Net"\nmodel.system = "xtasc"\n')
        self.site = cluster.scratch / f"{name}.site.toml"
        self.site.write_text(SITE.format(nodes=nodes, ranks_per_node=ranks_per_node, launcher=launcher,
                                         runs_per_gpu=runs_per_gpu, max_at_once=max_at_once,
                                         max_fruitless_starts=max_fruitless_starts))
        self.trainer = ["--trainer", trainer] if trainer else []
        self.directory = cluster.scratch  # where the program is called
        self.job = ""  # of the last submission

    def command(self, verb: str, *arguments: str) -> list[str]:
        extra = ["--site", str(self.site), *self.trainer] if verb == "submit" else []
        return [str(self.cluster.bin / "xtasc-sweep"), verb, str(self.file), *extra, *arguments]

    def run(self, verb: str, *arguments: str, seconds: float = PATIENCE) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(verb, *arguments), capture_output=True, text=True, timeout=seconds,
                              check=False, cwd=self.directory)

    def submit(self, *arguments: str) -> str:
        """Submits; the array's job id, or "" when there was nothing to submit."""
        done = self.run("submit", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        found = re.search(r"as job (\d+)\n", done.stdout)
        self.job = found[1] if found else ""
        return self.job

    def ids(self) -> list[str]:
        return [path.stem for path in sorted((self.folder / ".sweep/configs").glob("*.toml"))]

    def the_run(self) -> pathlib.Path:
        assert len(self.ids()) == 1, self.ids()
        return self.folder / self.ids()[0]

    def all_done(self) -> bool:
        return all((self.folder / run / "DONE").exists() for run in self.ids())

    def steps(self) -> int:
        """Of the one run, safe in its checkpoint."""
        try:
            index = json.loads((self.the_run() / "checkpoint/last/checkpoint.json").read_text())
        except (OSError, json.JSONDecodeError):
            return 0
        return index["progress"]["step"]

    def attempt(self) -> int:
        try:
            return json.loads((self.the_run() / "attempt.json").read_text())["attempt"]
        except (OSError, json.JSONDecodeError):
            return 0

    def tokens(self) -> list[str]:
        return [path.name for path in (self.folder / ".sweep/submissions").iterdir()]

    def arrays(self) -> set[int]:
        """Job ids of the arrays that Slurm has of this sweep."""
        mine = {f"xtasc:{token}" for token in self.tokens()}
        return {job["array_job_id"] or job["job_id"] for job in self.cluster.jobs() if job["comment"] in mine}

    def states(self) -> set[str]:
        mine = {f"xtasc:{token}" for token in self.tokens()}
        return {job["job_state"] for job in self.cluster.jobs() if job["comment"] in mine}

    def is_active(self) -> bool:
        return bool(self.states() & {"PENDING", "RUNNING", "COMPLETING", "REQUEUED"})

    def script_log(self) -> str:
        return "".join(path.read_text() for path in sorted((self.folder / ".sweep/submissions").glob("*/log/*.txt")))

    def hold(self) -> list[int]:
        """Waits for the first checkpoint and then stops all ranks: whatever is done to the run now, a fast machine
        does not finish it before. The watchdog does not count such a time."""
        for _ in range(5):
            wait_for(f"the first checkpoint of {self.file.stem}", lambda: self.steps() > 0, pause=0.02)
            ranks = self.cluster.processes(f"/{self.file.stem}/")
            signal_all(ranks, signal.SIGSTOP)
            if len(ranks) == RANKS and not self.all_done():
                return ranks
            # It was faster than this test, which had to wait for a core: once more, as if it had never been.
            release(ranks)
            wait_for("the end of the job", lambda: not self.is_active())
            shutil.rmtree(self.folder)
            self.submit()
        raise AssertionError(f"{self.file.stem} is always faster than this test")

    def wait_until_done(self, seconds: float = 2 * PATIENCE) -> None:
        try:
            wait_for(f"{self.file.stem} done", self.all_done, seconds)
        except AssertionError as error:
            logs = "".join(path.read_text()[-2000:] for path in self.folder.glob("*/log.txt"))
            raise AssertionError(f"{error}\n{self.script_log()[-3000:]}\n{logs}") from error


class ProjectSweep(Sweep):
    """A file of sweeps/ as it is, called in a folder of its own: there lie the packs that it names, and its runs."""

    def __init__(self, cluster: Cluster, name: str, directory: pathlib.Path, **options: object) -> None:
        super().__init__(cluster, name, **options)
        self.file = SOURCE / "sweeps" / f"{name}.toml"
        self.directory = directory
        self.folder = directory / "results/runs" / name


def signal_all(processes: list[int], number: int) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, number)


def has_arrived(process: int, number: int) -> bool:
    """Does a stopped process have this signal waiting for it, or did it go on because of it?"""
    try:
        status = pathlib.Path(f"/proc/{process}/status").read_text()
    except OSError:
        return True
    pending = sum(int(line.split()[1], 16) for line in status.splitlines() if line.startswith(("SigPnd", "ShdPnd")))
    return bool(pending & 1 << number - 1) or "\nState:\tT" not in status


def release(held: list[int]) -> None:
    """The ranks go on."""
    signal_all(held, signal.SIGCONT)


def weights(run: pathlib.Path) -> bytes:
    return (run / "checkpoint/last/weights.pt").read_bytes()


def check_same(test: unittest.TestCase, run: pathlib.Path, unbroken: pathlib.Path) -> None:
    """Nothing of what happened to a run is seen in what it ended with."""
    test.assertEqual(weights(run), weights(unbroken), "weights differ from the unbroken run's")
    test.assertEqual(metrics(run), metrics(unbroken))


def metrics(run: pathlib.Path) -> list[dict]:
    """The epochs of a run without what may differ between two equal runs: the clock's."""
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    for record in records:
        record.pop("seconds")
        record.pop("digest", None)  # over the clock's values as well
        record.pop("images_per_second")
        record.pop("machine")
    return records


def main() -> None:
    """Runs the calling script's tests on a cluster, with the programs in --bin."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of the programs")
    options, rest = parser.parse_known_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # not without taking the cluster down
    module = sys.modules["__main__"]
    module.cluster = Cluster(options.bin.resolve())
    try:
        program = run_tests(rest, exits=False)
    finally:
        module.cluster.close()
    sys.exit(0 if program.result.wasSuccessful() else 1)
