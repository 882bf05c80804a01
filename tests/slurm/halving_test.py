"""Successive halving on a real Slurm: what goes on from a rung is handed in with the rest, in arrays that wait for those
before, and the first job that comes to a rung decides. A script stands in for the trainer."""

from __future__ import annotations

import os
import re
import unittest

import cluster as shared
from cluster import Cluster, Sweep, wait_for
from epochs import STAND_IN
from suite import long_tier

cluster: Cluster


class Halved(Sweep):
    """Rows lambda_1 = 0.1 ... 0.4, of which the second is the best, and a baseline that trains to its end."""

    def __init__(self, name: str, **options: object) -> None:
        trainer = cluster.scratch / f"{name}_trainer"
        trainer.write_text(STAND_IN)
        trainer.chmod(0o755)
        super().__init__(cluster, name, epochs=6, ranks_per_node=1, trainer=str(trainer), **options)
        os.environ["STAND_IN"] = str(cluster.scratch)
        for value, quality in {"0.1": "0.1", "0.2": "0.4", "0.3": "0.3", "0.4": "0.2"}.items():
            (cluster.scratch / value).write_text(quality)
        head = self.file.read_text().split("[[point]]")[0]
        self.file.write_text(f'{head}baseline = "Base MT"\n[stop]\nafter_epochs = [2, 4]\nby = "miou"\n[grid]\n'
                             'loss.lambda_1 = [0.1, 0.2, 0.3, 0.4]\n[[point]]\nname = "Base MT"\n'
                             'model.system = "base_mt"\n')

    def status_of_rows(self) -> list[str]:
        """State and epoch of each run, in the sweep's order."""
        lines = self.run("status").stdout.split("\n\n")[0].splitlines()[1:]
        return [" ".join(re.search(r" 1  +([a-z]+) +(\d/6)", line).groups()) for line in lines]


class Halving(unittest.TestCase):
    def test_legs_wait_for_each_other_and_the_worse_rows_end(self) -> None:
        halved = Halved("halved", max_at_once=2)
        done = halved.run("submit")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        first, second, third = re.findall(r"as job (\d+)", done.stdout)
        self.assertEqual(done.stdout.splitlines(), [
            f"submitted 5 runs as job {first}",
            f"submitted 4 runs as job {second}, to go on from epoch 2 where they are kept, to start when job {first} has "
            "ended",
            f"submitted 4 runs as job {third}, to go on from epoch 4 where they are kept, to start when the jobs {first}, "
            f"{second} have ended"])
        self.assertIn("nothing to submit", halved.run("submit").stdout)
        wait_for("the end of the jobs", lambda: not halved.is_active(), 240)
        self.assertEqual(halved.status_of_rows(), ["halted 2/6", "done 6/6", "halted 4/6", "halted 2/6", "done 6/6"])
        log = halved.script_log()
        self.assertRegex(log, r"xtasc\S+: halted after epoch 2: mIoU 40\.00 %, 4th of 4, 2 kept\n")
        self.assertRegex(log, r"xtasc\S+: paused at a rung of \[stop\]\n")
        again = halved.run("submit").stdout
        self.assertRegex(again, r"xtasc\S+ is halted: after epoch 4: mIoU 60\.00 %, 2nd of 2, 1 kept\n")
        self.assertIn("nothing to submit", again)
        retried = halved.run("retry", "--halted", "--only", "lambda_1 = 0.1", "--submit", *halved.trainer, "--site",
                             str(halved.site))
        self.assertRegex(retried.stdout, r"submitted 1 run as job \d+\n")
        wait_for("the released run", lambda: halved.status_of_rows()[0] == "done 6/6", 120)

    @long_tier
    def test_what_was_cancelled_is_waited_for_and_a_later_submit_decides(self) -> None:
        (cluster.scratch / "slow").touch()
        halved = Halved("cancelled_rung")
        self.assertTrue(halved.submit())
        wait_for("a first epoch", lambda: any(word.endswith(" 1/6") for word in halved.status_of_rows()), 120)
        self.assertIn("cancelled 4 runs", halved.run("cancel", "--only", "lambda_1*").stdout)
        (cluster.scratch / "slow").unlink()
        wait_for("the end of the jobs", lambda: not halved.is_active(), 240)
        self.assertFalse((halved.folder / ".sweep/rungs").exists())
        self.assertEqual(halved.run("submit").stdout.count("submitted 4 runs as job"), 3)
        wait_for("the end of the jobs", lambda: not halved.is_active(), 240)
        self.assertEqual(halved.status_of_rows(), ["halted 2/6", "done 6/6", "halted 4/6", "halted 2/6", "done 6/6"])


if __name__ == "__main__":
    shared.main()
