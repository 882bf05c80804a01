"""A clock that is set back while a run trains: durations are a steady clock's, and nothing is named by a time."""

from __future__ import annotations

import json
import os
import subprocess
import time
import unittest

import common
from common import Programs, metrics

programs: Programs
EPOCHS = ["train.epochs=2", "train.batch_size=12"]


class Clock(unittest.TestCase):
    def test_a_clock_that_goes_back_changes_no_number_and_no_duration(self) -> None:
        begin = time.monotonic()
        for output, environment in (("steady", {}), ("back", {"LD_PRELOAD": str(programs.preload)})):
            done = subprocess.run(programs.command("xtasc-train", *programs.train_arguments(output, *EPOCHS)),
                                  capture_output=True, text=True, timeout=600, cwd=programs.scratch,
                                  env=os.environ | environment, check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
        longest = time.monotonic() - begin
        steady, back = programs.run_folder("steady"), programs.run_folder("back")
        self.assertEqual(back.name, steady.name)
        self.assertEqual(metrics(back), metrics(steady))
        weights = "checkpoint/last/weights.pt"
        self.assertEqual((back / weights).read_bytes(), (steady / weights).read_bytes())
        for line in (back / "metrics.jsonl").read_text().splitlines():
            record = json.loads(line)
            self.assertGreater(record["images_per_second"], 0)
            for what, seconds in record["seconds"].items():
                self.assertGreaterEqual(seconds, 0, what)
                self.assertLess(seconds, longest, what)
        started = [json.loads((run / "attempt.json").read_text())["started"] for run in (steady, back)]
        self.assertGreater(started[0], started[1], "the clock did not go back: the test did not test")


if __name__ == "__main__":
    common.main()
