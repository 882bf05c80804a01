"""Starts of one run that get into each other's way, and ways to end it: lock, fence, watchdog, the file STOP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
import unittest

import common
from common import Programs
from suite import long_tier

programs: Programs
EPOCHS = ["train.epochs=200", "train.batch_size=5"]


class Attempts(unittest.TestCase):
    def start(self, output: str, *assignments: str, ranks: int = 2, **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            programs.command("xtasc-train", *programs.train_arguments(output, *EPOCHS, *assignments), ranks=ranks),
            stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=programs.scratch,
            env=os.environ | environment)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def wait_for_epoch(self, process: subprocess.Popen[str]) -> str:
        text = ""
        for line in process.stderr:
            text += line
            if "epoch 1/200:" in line:
                return text
        self.fail(text)

    def test_ranks_are_listed_at_start(self) -> None:
        process = self.start("listed")
        text = self.wait_for_epoch(process)
        host = os.uname().nodename
        self.assertRegex(text, rf"rank 0 -> {host} -> cpu \(")
        self.assertRegex(text, rf"rank 1 -> {host} -> cpu \(")

    def test_a_second_trainer_of_the_same_run_is_refused(self) -> None:
        first = self.start("twice")
        self.wait_for_epoch(first)
        second = programs.run("xtasc-train", *programs.train_arguments("twice", *EPOCHS), ranks=2)
        self.assertEqual(second.returncode, 1, second.stderr)
        errors = [line for line in second.stderr.splitlines() if "error" in line]
        self.assertEqual(len(errors), 1, second.stderr)
        self.assertRegex(errors[0], r"is being trained by attempt 1 \(.*process \d+, since ")
        self.assertIsNone(first.poll())

    def test_who_was_taken_over_stops_and_writes_nothing(self) -> None:
        old = self.start("fenced")
        self.wait_for_epoch(old)
        new = self.start("fenced", XTASC_TAKE_OVER="1")
        _, errors = old.communicate(timeout=300)
        self.assertEqual(old.returncode, 1, errors)
        self.assertRegex(errors, r"attempt 2 \(.*took .* over; this one \(1\) stops and writes nothing")
        time.sleep(1.0)
        self.assertIsNone(new.poll())
        new.send_signal(signal.SIGUSR2)
        _, errors = new.communicate(timeout=300)
        self.assertEqual(new.returncode, 85, errors)
        self.assertIn("taking", errors)
        attempt = json.loads((programs.run_folder("fenced") / "attempt.json").read_text())
        self.assertEqual(attempt["attempt"], 2)

    @long_tier
    def test_a_rank_that_hangs_ends_the_run_within_the_limit(self) -> None:
        process = self.start("hanging", "run.stall_seconds=25")
        self.wait_for_epoch(process)
        ranks = programs.ranks_of("hanging")
        self.assertEqual(len(ranks), 2)
        os.kill(ranks[1], signal.SIGSTOP)
        begin = time.monotonic()
        _, errors = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 85, errors)
        self.assertLess(time.monotonic() - begin, 60)
        self.assertRegex(errors, r"rank \d on .*: nothing got done for 25 s in (training step|evaluation|checkpoint)")
        self.assertEqual(programs.ranks_of("hanging"), [])

    def test_the_file_stop_stops_all_ranks_after_a_checkpoint(self) -> None:
        process = self.start("stopped")
        self.wait_for_epoch(process)
        run = programs.run_folder("stopped")
        (run / "STOP").touch()
        _, errors = process.communicate(timeout=300)
        self.assertEqual(process.returncode, 85, errors)
        self.assertIn("stopped by the file STOP", errors)
        self.assertTrue((run / "checkpoint/last/checkpoint.json").exists())
        again = self.start("stopped")  # starting it again is the user's word that it may go on
        for line in again.stderr:
            if "resuming after" in line:
                break
        self.assertFalse((run / "STOP").exists())


if __name__ == "__main__":
    common.main()
