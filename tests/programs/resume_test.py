"""A stopped, killed and resumed run ends with the bits of an unbroken one."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import time
import unittest

import common
from common import Programs, metrics
from suite import IS_LONG, long_tier

programs: Programs
EPOCHS = ["train.epochs=3", "train.batch_size=5", "train.learning_rate=1e-3"]
KILL_STRIDE = int(os.environ.get("XTASC_KILL_STRIDE", "8" if IS_LONG else "40"))


def weights(run: pathlib.Path) -> bytes:
    return (run / "checkpoint/last/weights.pt").read_bytes()


def steps_in_batch_script(run: pathlib.Path) -> int:
    """What slurm/job.sbatch.in finds of a run's progress."""
    template = (common.SOURCE / "slurm/job.sbatch.in").read_text()
    function = re.search(r"^steps_of\(\) \{.*?^\}$", template, re.MULTILINE | re.DOTALL)
    assert function
    script = f'set -u; SWEEP="$1"\n{function[0]}\nsteps_of "$2"'
    return int(subprocess.run(["bash", "-c", script, "-", run.parent, run.name], capture_output=True, check=True).stdout)


class Resume(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        done = programs.run("xtasc-train", *programs.train_arguments("unbroken", *EPOCHS), ranks=2)
        assert done.returncode == 0, done.stderr
        cls.unbroken = programs.run_folder("unbroken")

    def start(self, output: str) -> subprocess.Popen[str]:
        return subprocess.Popen(programs.command("xtasc-train", *programs.train_arguments(output, *EPOCHS), ranks=2),
                                stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=programs.scratch)

    def check_equal(self, output: str) -> None:
        run = programs.run_folder(output)
        self.assertTrue((run / "DONE").exists())
        self.assertEqual(weights(run), weights(self.unbroken), "weights differ from the unbroken run's")
        self.assertEqual(metrics(run), metrics(self.unbroken))

    def stop(self, process: subprocess.Popen[str], output: str) -> dict | None:
        """Stops a trainer; its progress then, or None where it was done before the signal came."""
        process.send_signal(signal.SIGUSR2)  # mpirun passes it on to the ranks
        _, rest = process.communicate(timeout=300)
        if process.returncode == 0:
            return None
        self.assertEqual(process.returncode, 85, rest)
        self.assertIn("the same command resumes", rest)
        run = programs.run_folder(output)
        progress = json.loads((run / "checkpoint/last/checkpoint.json").read_text())["progress"]
        self.assertEqual(steps_in_batch_script(run), progress["step"])
        return progress

    def test_stopped_in_the_middle_of_an_epoch(self) -> None:
        for pause in (0.1, 0.2, 0.4, 0.8):  # after an epoch's line: the next epoch is under way, sooner or later
            output = f"stopped_{pause}"
            process = self.start(output)
            for line in process.stderr:
                if "epoch 1/3:" in line:
                    break
            time.sleep(pause)
            progress = self.stop(process, output)
            if progress is None or progress["step_in_epoch"] > 0:
                break
        self.assertTrue(progress and progress["step_in_epoch"] > 0, "no stop fell into an epoch: the test did not test")
        done = programs.run("xtasc-train", *programs.train_arguments(output, *EPOCHS), ranks=2)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check_equal(output)

    def test_paused_after_an_epoch(self) -> None:
        for until in ("1", "1", "2"):  # the second finds nothing to do
            done = programs.run("xtasc-train", *programs.train_arguments("paused", *EPOCHS), "--until-epoch", until,
                                ranks=2)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(f"paused after epoch {until}, as --until-epoch says", done.stderr)
            run = programs.run_folder("paused")
            self.assertFalse((run / "DONE").exists())
            self.assertEqual(metrics(run), metrics(self.unbroken)[:int(until)])
        done = programs.run("xtasc-train", *programs.train_arguments("paused", *EPOCHS), "--until-epoch", "3", ranks=2)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check_equal("paused")

    @long_tier
    def test_stopped_again_and_again(self) -> None:
        stopped_mid_epoch = False
        steps, longest = 0, 0.6
        for _ in range(20):
            process = self.start("stopped")
            for line in process.stderr:
                if "run folder" in line:
                    break
            time.sleep(random.uniform(0.2, longest))
            progress = self.stop(process, "stopped")
            if progress is None:
                break
            stopped_mid_epoch |= progress["step_in_epoch"] > 0
            longest *= 1.5 if progress["step"] == steps else 1.0  # it came before the first step: a slow machine
            steps = progress["step"]
            if stopped_mid_epoch and steps > 5:
                break
        self.assertTrue(stopped_mid_epoch, "no stop fell into an epoch: the test did not test")
        done = programs.run("xtasc-train", *programs.train_arguments("stopped", *EPOCHS), ranks=2)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check_equal("stopped")

    @long_tier
    def test_killed_at_random_times(self) -> None:
        for _ in range(4):
            process = self.start("killed")
            time.sleep(random.uniform(1.0, 4.0))
            process.kill()  # mpirun dies, and its ranks with it
            process.communicate(timeout=300)
            for rank in programs.ranks_of("killed"):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(rank, signal.SIGKILL)
        done = programs.run("xtasc-train", *programs.train_arguments("killed", *EPOCHS), ranks=2)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check_equal("killed")

    def preloaded(self, output: str, *assignments: str, **settings: object) -> subprocess.Popen[str]:
        """One rank, with the library of support/kill_at.cpp."""
        arguments = programs.train_arguments(output, "train.epochs=2", "train.batch_size=24", *assignments)
        environment = {"LD_PRELOAD": str(programs.preload), "XTASC_KILL_UNDER": str(programs.scratch / output),
                       "ASAN_OPTIONS": "verify_asan_link_order=0"}
        environment |= {f"XTASC_{name}": str(value) for name, value in settings.items()}
        return subprocess.Popen(programs.command("xtasc-train", *arguments), env=os.environ | environment,
                                cwd=programs.scratch, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)

    def check_same_files(self, run: pathlib.Path, whole: pathlib.Path) -> None:
        self.assertEqual(metrics(run), metrics(whole))
        for file in ("last/weights.pt", "last/state.pt", "best/weights.pt"):
            self.assertEqual((run / "checkpoint" / file).read_bytes(), (whole / "checkpoint" / file).read_bytes(), file)

    def test_stopped_while_a_checkpoint_is_written(self) -> None:
        """The training is steps ahead of a slow disk: what is stopped then is saved after what is being written."""
        whole = self.preloaded("fast", "train.batch_size=6")
        stopped = self.preloaded("slow", "train.batch_size=6", DELAY_MS=50)  # a second and more for a checkpoint
        for line in stopped.stderr:
            if "epoch 1/2:" in line:
                break
        checkpoint = programs.run_folder("slow") / "checkpoint"
        self.assertFalse((checkpoint / "last").exists(), "the disk is too fast: the test does not test")
        stopped.send_signal(signal.SIGUSR2)
        _, rest = stopped.communicate(timeout=300)
        self.assertEqual(stopped.returncode, 85, rest)
        epochs = [json.loads((checkpoint / name / "checkpoint.json").read_text())["progress"]["epoch"]
                  for name in ("previous", "last")]
        self.assertEqual(epochs, [1, 1])
        resumed = self.preloaded("slow", "train.batch_size=6", DELAY_MS=5)
        _, rest = resumed.communicate(timeout=300)
        self.assertEqual(resumed.returncode, 0, rest)
        _, rest = whole.communicate(timeout=300)
        self.assertEqual(whole.returncode, 0, rest)
        self.check_same_files(programs.run_folder("slow"), programs.run_folder("fast"))

    @long_tier
    def test_a_disk_that_hangs_ends_the_run_within_the_limit(self) -> None:
        hangs = self.preloaded("hanging", "train.batch_size=6", "run.stall_seconds=15", HANG_AT=30)
        _, rest = hangs.communicate(timeout=300)
        self.assertEqual(hangs.returncode, 85, rest)
        self.assertIn("epoch 1/2:", rest)  # the training went on
        self.assertRegex(rest, "nothing got done for 15 s in checkpoint of epoch [12]")

    def test_killed_before_any_change_of_its_folder(self) -> None:
        count = programs.scratch / "changes"

        def train(output: str, kill_at: int) -> int:
            process = self.preloaded(output, KILL_AT=kill_at, KILL_COUNT=count)
            _, rest = process.communicate(timeout=300)
            self.assertIn(process.returncode, (0, -signal.SIGKILL), rest)
            return process.returncode

        self.assertEqual(train("whole", 0), 0)
        num_changes = int(count.read_text())
        self.assertGreater(num_changes, 40, "the library does not see the changes: the test does not test")
        whole = programs.run_folder("whole")
        # All of them (XTASC_KILL_STRIDE=1) take minutes; each run of the test takes others.
        for kill_at in range(random.randint(1, KILL_STRIDE), num_changes + 1, KILL_STRIDE):
            with self.subTest(kill_at=kill_at):
                output = f"killed-{kill_at}"
                self.assertEqual(train(output, kill_at), -signal.SIGKILL)
                self.assertEqual(train(output, 0), 0)
                self.check_same_files(programs.run_folder(output), whole)
                shutil.rmtree(programs.scratch / output)

    def test_done_is_not_trained_again(self) -> None:
        before = metrics(self.unbroken)
        done = programs.run("xtasc-train", *programs.train_arguments("unbroken", *EPOCHS), ranks=2)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("is DONE", done.stderr)
        self.assertEqual(metrics(self.unbroken), before)

    @long_tier
    def test_restart_begins_anew(self) -> None:
        arguments = programs.train_arguments("restarted", *EPOCHS)
        for extra in ([], ["--restart"]):
            done = programs.run("xtasc-train", *arguments, *extra, ranks=2)
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("resuming", done.stderr)
        self.assertEqual(len(metrics(programs.run_folder("restarted"))), 3)
        self.check_equal("restarted")

    @long_tier
    def test_other_ranks_may_finish_a_run(self) -> None:
        limited = self.start("ranks")
        for line in limited.stderr:
            if "epoch 1/3:" in line:
                break
        limited.send_signal(signal.SIGUSR2)
        limited.communicate(timeout=300)
        done = programs.run("xtasc-train", *programs.train_arguments("ranks", *EPOCHS), ranks=3)
        self.assertEqual(done.returncode, 0, done.stderr)
        for mine, theirs in zip(metrics(programs.run_folder("ranks")), metrics(self.unbroken)):
            self.assertAlmostEqual(mine["train_loss"]["total"] / theirs["train_loss"]["total"], 1.0, places=2)


if __name__ == "__main__":
    common.main()
