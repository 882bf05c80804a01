"""Chaos: kills at random moments, damaged bytes in every file of a run folder, full disks. Long tier.

Each trial prints its seed; `--seed S --only kills --count 1` makes that one again. A summary ends each part, with the
counts that docs/faults.md states.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import os
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

import common
from common import Programs, metrics

EPOCHS = ["train.epochs=3", "train.batch_size=6", "train.learning_rate=1e-3"]
MOST_KILLS_OF_A_RUN = 6
FILES = ("last/weights.pt", "last/state.pt", "best/weights.pt")


class Wrong(Exception):
    """What must not happen did."""


def require(holds: bool, text: str) -> None:
    if not holds:
        raise Wrong(text)


class Log:
    """What a process says on standard error, with the seconds since its start, read by a thread."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.lines: list[tuple[float, str]] = []
        self._start = time.monotonic()
        self._thread = threading.Thread(target=self._read, args=(process.stderr,), daemon=True)
        self._thread.start()

    def _read(self, stream) -> None:
        for line in stream:
            self.lines.append((time.monotonic() - self._start, line.rstrip()))

    def text(self) -> str:
        self._thread.join(timeout=30)
        return "\n".join(line for _, line in self.lines)

    def wait_for(self, word: str, process: subprocess.Popen[str], seconds: float = 120) -> bool:
        """Whether the word came before the process ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if any(word in line for _, line in list(self.lines)):
                return True
            if process.poll() is not None:
                return False
            time.sleep(0.005)
        return False


class Chaos:
    def __init__(self, programs: Programs) -> None:
        self.programs = programs
        self.whole: dict[int, pathlib.Path] = {}

    # ---- what every part needs
    def command(self, output: str, ranks: int) -> list[str]:
        return self.programs.command("xtasc-train", *self.programs.train_arguments(output, *EPOCHS),
                                     ranks=0 if ranks == 1 else ranks)

    def start(self, output: str, ranks: int, **environment: object) -> tuple[subprocess.Popen[str], Log]:
        process = subprocess.Popen(self.command(output, ranks), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   text=True, cwd=self.programs.scratch,
                                   env=os.environ | {key: str(value) for key, value in environment.items()})
        return process, Log(process)

    def train(self, output: str, ranks: int) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(output, ranks), capture_output=True, text=True, timeout=600,
                              cwd=self.programs.scratch, check=False)

    def unbroken(self, ranks: int) -> pathlib.Path:
        if ranks not in self.whole:
            done = self.train(f"unbroken_{ranks}", ranks)
            require(done.returncode == 0, done.stderr)
            self.whole[ranks] = self.programs.run_folder(f"unbroken_{ranks}")
        return self.whole[ranks]

    def require_equal(self, output: str, ranks: int) -> None:
        run, whole = self.programs.run_folder(output), self.unbroken(ranks)
        require((run / "DONE").exists(), "no DONE")
        for file in FILES:
            require((run / "checkpoint" / file).read_bytes() == (whole / "checkpoint" / file).read_bytes(),
                    f"{file} has other bits than the unbroken run's")
        require(metrics(run) == metrics(whole), "metrics.jsonl says other things than the unbroken run's")
        names = [{str(path.relative_to(folder)) for path in folder.rglob("*")} for folder in (run, whole)]
        require(names[0] <= names[1], f"left over: {sorted(names[0] - names[1])}")

    def remove(self, output: str) -> None:
        shutil.rmtree(self.programs.scratch / output, ignore_errors=True)

    # ---- kills
    def kill_once(self, rng: random.Random, output: str, ranks: int, aim: str) -> bool:
        """Whether a kill came before the run's end."""
        record = metrics_with_clock(self.unbroken(ranks))
        settings = {}
        if aim == "checkpoint":  # just before the N-th change to the files below the run's folder
            settings = {"LD_PRELOAD": self.programs.preload, "XTASC_KILL_UNDER": self.programs.scratch / output,
                        "XTASC_KILL_AT": rng.randint(1, self.changes), "ASAN_OPTIONS": "verify_asan_link_order=0"}
        process, log = self.start(output, ranks, **settings)
        if aim == "start":
            time.sleep(rng.uniform(0.0, 1.5))
        elif aim == "step" and log.wait_for("run folder", process):
            time.sleep(rng.uniform(0.0, 3 * record["train"]))
        elif aim == "evaluation" and log.wait_for("run folder", process):
            time.sleep(record["train"] + rng.uniform(0.0, record["evaluate"]))
        if aim != "checkpoint" and process.poll() is None:
            victims = self.programs.ranks_of(output) or [process.pid]
            # One rank, whose peers and mpirun must end of themselves; or everything, as when the power fails.
            if rng.random() < 0.5:
                victims = [rng.choice(victims)]
            elif ranks > 1:
                victims = [process.pid, *victims]
            for victim in victims:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victim, signal.SIGKILL)
        try:
            process.wait(timeout=120)
        except subprocess.TimeoutExpired as error:
            raise Wrong(f"still running 120 s after the kill; its log:\n{log.text()}") from error
        end = time.monotonic() + 30
        while self.programs.ranks_of(output):
            require(time.monotonic() < end, "ranks are left over 30 s after the kill")
            time.sleep(0.05)
        return process.returncode != 0

    def kills(self, seed: int, count: int, part: Part) -> None:
        changes = self.programs.scratch / "changes"
        process, log = self.start("counted", 1, LD_PRELOAD=self.programs.preload, XTASC_KILL_COUNT=changes,
                                  XTASC_KILL_UNDER=self.programs.scratch / "counted", XTASC_KILL_AT=0)
        require(process.wait(timeout=300) == 0, log.text())
        self.changes = int(changes.read_text())
        self.remove("counted")
        done = 0
        while done < count:
            rng = random.Random(f"kills {seed}")
            ranks = 1 + seed % 2
            output = f"killed_{seed}"
            aims = []
            for _ in range(min(rng.randint(1, MOST_KILLS_OF_A_RUN), count - done)):
                aims.append(rng.choice(("start", "step", "evaluation", "checkpoint")))
                if not self.kill_once(rng, output, ranks, aims[-1]):
                    aims.pop()
                    break
            done += len(aims)
            part.counts.update(f"aimed at {aim}" for aim in aims)
            with part.trial(f"seed {seed}: {ranks} rank(s), killed at {', '.join(aims) or 'no time'}"):
                ended = self.train(output, ranks)
                require(ended.returncode == 0, ended.stderr)
                self.require_equal(output, ranks)
            self.remove(output)
            seed += 1

    # ---- damage
    def stopped_run(self, output: str) -> None:
        """A run that was stopped in its second epoch."""
        for attempt in range(10):
            self.remove(output)
            process, log = self.start(output, 1)
            log.wait_for("epoch 1/3:", process)
            time.sleep(0.1 * attempt)
            process.send_signal(signal.SIGUSR2)
            if process.wait(timeout=120) == 85:
                return
        raise Wrong(f"no stop fell into the run; its last log:\n{log.text()}")

    def damaged_copy(self, rng: random.Random, whole: pathlib.Path, output: str) -> tuple[str, str]:
        """The run folder `whole` as `output`, one byte of one file changed, or the file cut short. Gives file and damage."""
        self.remove(output)
        run = self.programs.scratch / output / whole.name

        def copy(source: str, target: str) -> None:
            (os.link if source.endswith(".pt") else shutil.copy2)(source, target)  # the trainer never writes into one

        shutil.copytree(whole, run, copy_function=copy)
        file = rng.choice(sorted(path for path in run.rglob("*") if path.is_file() and path.stat().st_size > 0))
        data = bytearray(file.read_bytes())
        at = rng.randrange(len(data))
        if rng.random() < 1 / 3:
            del data[at:]
            damage = f"cut to {at} bytes"
        else:
            old = data[at]
            data[at] = rng.choice([value for value in range(256) if value != old])
            damage = f"byte {at}: {old} to {data[at]}"
        file.unlink()
        file.write_bytes(data)
        return str(file.relative_to(run)), damage

    def resume_damaged(self, output: str, file: str) -> str:
        done = self.train(output, 1)
        require(done.returncode in (0, 1), f"exit code {done.returncode}: {done.stderr}")
        name = pathlib.Path(file).name
        told = [line for line in done.stderr.splitlines() if "error: " in line or "warning: " in line]
        if done.returncode == 1:
            require(len(told) > 0, "ended with 1 and without a word")
            return "refused"
        run, whole = self.programs.run_folder(output), self.unbroken(1)
        same = all((run / "checkpoint" / part).read_bytes() == (whole / "checkpoint" / part).read_bytes()
                   for part in FILES) and metrics(run) == metrics(whole)
        told = [line for line in told if name in line or file.split("/")[0] in line or "checkpoint" in line]
        require(same or bool(told), f"another result without a word: {done.stderr}")
        require(same or "resuming" not in done.stderr, f"another result: {done.stderr}")
        return "noticed, same result" if told else "no effect"

    def read_damaged(self, output: str, before: dict[str, str]) -> str:
        is_noticed = False
        for name, done in self.readings(self.programs.scratch / output / self.unbroken(1).name).items():
            require(done.returncode in (0, 1, 2), f"{name} ended with {done.returncode}: {done.stderr}")
            if done.returncode != 0:
                require("error: " in done.stderr, f"{name} ended with {done.returncode} and without a word")
            elif done.stdout != before[name]:
                require("warning: " in done.stderr or "left out" in done.stdout + done.stderr,
                        f"{name} says another thing without a word: {done.stdout}")
            is_noticed |= done.returncode != 0 or done.stdout != before[name]
        return "noticed" if is_noticed else "no effect"

    def readings(self, run: pathlib.Path) -> dict[str, subprocess.CompletedProcess[str]]:
        """What programs say of a run, by their names; its folder's name left out."""
        commands = {"xtasc-tabulate": [str(run), "--format", "csv"],
                    "xtasc-evaluate": ["--run", str(run), "--checkpoint", "last"],
                    "xtasc-inspect": ["checkpoint", str(run / "checkpoint/best")]}
        done = {name: self.programs.run(name, *arguments) for name, arguments in commands.items()}
        for one in done.values():
            one.stdout = one.stdout.replace(str(run), "RUN")
        return done

    def damage(self, seed: int, count: int, part: Part) -> None:
        self.stopped_run("stopped")
        stopped, done = self.programs.run_folder("stopped"), self.unbroken(1)
        before = {name: reading.stdout for name, reading in self.readings(done).items()}
        for trial in range(seed, seed + count):
            rng = random.Random(f"damage {trial}")
            is_resume = trial % 2 == 0
            file, damage = self.damaged_copy(rng, stopped if is_resume else done, "damaged")
            kind = "resumed" if is_resume else "read"
            with part.trial(f"seed {trial}: {kind} with {file}, {damage}") as outcome:
                outcome.append(self.resume_damaged("damaged", file) if is_resume
                               else self.read_damaged("damaged", before))
                part.counts[f"{kind}: {outcome[0]}"] += 1
                part.counts[f"{kind}, {file}: {outcome[0]}"] += 1
        self.remove("damaged")

    # ---- full disks
    def full_disks(self, seed: int, count: int, part: Part) -> None:
        mount = self.programs.scratch / "small"
        mount.mkdir()
        whole = self.unbroken(1)
        need = sum(path.stat().st_size for path in whole.rglob("*") if path.is_file())
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={3 * need}", "tmpfs", str(mount)],
                                               capture_output=True, check=False).returncode != 0:
            print("chaos: full disks skipped: no tmpfs can be mounted here")
            return
        try:
            for trial in range(seed, seed + count):
                self.full_disk(random.Random(f"disk {trial}"), trial, mount, need, part)
        finally:
            subprocess.run(["umount", str(mount)], check=False)

    def full_disk(self, rng: random.Random, trial: int, mount: pathlib.Path, need: int, part: Part) -> None:
        free = int(rng.uniform(0, need))
        with part.trial(f"seed {trial}: {free >> 10} KiB left of {need >> 10} needed") as outcome:
            process, log = self.start("small/run", 1)
            log.wait_for(rng.choice(("run folder", "epoch 1/3:", "epoch 2/3:")), process)
            filler = mount / "filler"
            with filler.open("wb") as file:
                for _ in range(5):  # the run writes meanwhile
                    with contextlib.suppress(OSError):
                        os.posix_fallocate(file.fileno(), 0, max(1, shutil.disk_usage(mount).free - free))
                        break
            code = process.wait(timeout=300)
            said = log.text()
            if code != 0:
                is_told = "No space left on device" in said or "GB free, this run's checkpoints need" in said
                require(code == 1 and is_told, f"exit code {code}: {said}")
                left = [str(path.relative_to(mount)) for path in mount.rglob("*.new*")]
                require(not left, f"left on the full disk: {left}")
            filler.unlink()
            done = self.train("small/run", 1)
            require(done.returncode == 0, done.stderr)
            self.require_equal("small/run", 1)
            outcome.append("there was room" if code == 0 else "refused, then resumed")
            part.counts[outcome[0]] += 1
        self.remove("small/run")


def metrics_with_clock(run: pathlib.Path) -> dict[str, float]:
    """Seconds of a middle epoch by phase."""
    return common.json.loads((run / "metrics.jsonl").read_text().splitlines()[1])["seconds"]


class Part:
    """The trials of one kind: prints each, counts, and keeps what went wrong."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.counts: collections.Counter[str] = collections.Counter()
        self.num_trials = 0
        self.wrong: list[str] = []

    @contextlib.contextmanager
    def trial(self, text: str):
        outcome: list[str] = []
        self.num_trials += 1
        try:
            yield outcome
            print(f"{self.name}: {text}: {', '.join(outcome) or 'same bits'}", flush=True)
        except Wrong as error:
            self.wrong.append(text)
            print(f"{self.name}: WRONG: {text}: {str(error)[:2000]}", flush=True)

    def summary(self) -> str:
        counts = "".join(f"\n  {count:4d}  {text}" for text, count in sorted(self.counts.items()))
        return f"{self.name}: {self.num_trials} trials, {len(self.wrong)} wrong{counts}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of the programs")
    parser.add_argument("--preload", type=pathlib.Path, required=True, help="the library of tests/support/kill_at.cpp")
    parser.add_argument("--seed", type=int, help="of the first trial; default: the time")
    parser.add_argument("--only", choices=("kills", "damage", "disks"), help="one part")
    parser.add_argument("--count", type=int, help="trials of each part; default: 100 kills, 500 damages, 20 disks")
    options = parser.parse_args()
    common.set_environment()
    chaos = Chaos(Programs(options.bin.resolve(), options.preload.resolve()))
    seed = int(time.time()) if options.seed is None else options.seed
    parts = {"kills": (chaos.kills, 100), "damage": (chaos.damage, 500), "disks": (chaos.full_disks, 20)}
    finished = []
    for name, (run, count) in parts.items():
        if options.only in (None, name):
            finished.append(Part(name))
            run(seed, options.count or count, finished[-1])
            print(finished[-1].summary(), flush=True)
    return 1 if any(part.wrong for part in finished) else 0


if __name__ == "__main__":
    sys.exit(main())
