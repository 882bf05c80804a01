"""Students and their teachers on a real Slurm: a student's job waits for its teachers' elements, and nothing is left in
the queue where a teacher is not DONE. A shell script stands in for the trainer."""

from __future__ import annotations

import re
import subprocess
import time
import unittest

import cluster as shared
from cluster import Cluster, Sweep, wait_for
from student import POINTS
from suite import long_tier

cluster: Cluster

# Its last word is what it does; a student wants its teachers to be there.
TRAINER = """
for teacher in $(sed -n 's/^teacher_[a-z]* = "\\(..*\\)"/\\1/p' "$config"); do
  [ -e "$teacher/DONE" ] || exit 8
done
"""


class Students(Sweep):
    def __init__(self, name: str, body: str, **options: object) -> None:
        trainer = cluster.stand_in(f"{name}_trainer", TRAINER + body)
        super().__init__(cluster, name, ranks_per_node=1, trainer=trainer, **options)
        head = self.file.read_text().split("[[point]]")[0]
        self.file.write_text(head + POINTS)

    def states_of(self) -> dict[str, str]:
        """What status says of each run: its state and what it adds, by the id without the hash."""
        lines = self.run("status").stdout.split("\n\n")[0].splitlines()[1:]
        return {re.sub("-.*", "", line.split()[0]) + "_" + re.search(r" ([12])  ", line)[1]:
                re.sub(r".*  ([a-z]+) +\d/\d ?", r"\1", line) for line in lines}


class Needs(unittest.TestCase):
    def test_a_student_starts_after_its_teachers_even_requeued_ones(self) -> None:
        # The teacher of depth stops once and is put back into the queue.
        plain = Students("chain", 'case "$run" in */stan_depth*) mkdir "$run/once" && exit 85;; *stan*) sleep 3;; esac\n'
                         'touch "$run/DONE"', seeds=2)
        done = plain.run("submit")
        self.assertEqual(done.returncode, 0, done.stderr)
        found = re.search(r"submitted 4 runs as job (\d+)\nsubmitted 2 runs as job \d+, to start when the jobs (.*) have "
                          r"ended\n", done.stdout)
        self.assertIsNotNone(found, done.stdout)
        self.assertEqual(sorted(found[2].split(", ")), [f"{found[1]}_{element}" for element in range(4)])
        wait_for("Slurm's word", lambda: re.fullmatch(r"queued +job \d+_0, Dependency", plain.states_of()["kd4mtl_1"]), 60)
        self.assertIn("is queued: job", plain.run("submit").stdout, "nobody submits a student twice")
        plain.wait_until_done(120)
        wait_for("the end of the jobs", lambda: not plain.is_active())
        self.assertEqual(plain.states(), {"COMPLETED"})
        self.assertEqual(len(plain.arrays()), 2)

    def test_a_failed_teacher_leaves_its_student_waiting_and_nothing_in_the_queue(self) -> None:
        behaviour = cluster.scratch / "fails"
        behaviour.touch()
        failing = Students("failed_teacher", f'case "$run" in */stan_depth*) [ -e {behaviour} ] && exit 3;; esac\n'
                           'touch "$run/DONE"')
        failing.submit()
        wait_for("the end of the jobs", lambda: not failing.is_active(), 120)
        states = failing.states_of()
        self.assertRegex(states["kd4mtl_1"], r"waiting +waiting for stan_depth-\w+, which failed")
        self.assertTrue(states["stan_depth_1"].startswith("failed"), states)
        self.assertRegex(failing.script_log(), r"kd4mtl-\w+: waiting for stan_depth-\w+\n")
        again = failing.run("submit").stdout
        self.assertRegex(again, r"kd4mtl-\w+ is waiting for stan_depth-\w+, which failed\n")
        self.assertIn("nothing to submit", again)
        behaviour.unlink()
        retried = failing.run("retry", "--failed", "--submit", *failing.trainer, "--site", str(failing.site))
        self.assertEqual(retried.returncode, 0, retried.stderr)
        self.assertEqual(retried.stdout.count("submitted 1 run as job"), 2, retried.stdout)
        failing.wait_until_done(120)
        self.assertIn("3 runs: 3 done\n", failing.run("status").stdout)

    def test_a_cancelled_teacher_leaves_its_student_waiting(self) -> None:
        cancelled = Students("cancelled_teacher", f'until [ -e {cluster.scratch}/go ]; do sleep 0.2; done\n'
                             'touch "$run/DONE"', max_at_once=1)
        self.assertTrue(cancelled.submit("--only", "STAN"))
        later = cancelled.run("submit", "--only", "KD4MTL").stdout
        self.assertRegex(later, r"submitted 1 run as job \d+, to start when the jobs \d+_0, \d+_1 have ended\n")
        wait_for("the teacher's start", lambda: "RUNNING" in cancelled.states())
        self.assertIn("cancelled 2 runs", cancelled.run("cancel", "--only", "STAN").stdout)
        wait_for("the end of the jobs", lambda: not cancelled.is_active(), 120)
        self.assertRegex(cancelled.states_of()["kd4mtl_1"], "waiting +waiting for stan_seg-")
        (cluster.scratch / "go").touch()
        self.assertRegex(cancelled.run("submit").stdout,
                         r"submitted 2 runs as job (\d+)\nsubmitted 1 run as job \d+, to start when job \1 has ended\n")
        cancelled.wait_until_done(120)

    def test_a_student_here_waits_for_its_teachers_there(self) -> None:
        mixed = Students("mixed", 'case "$run" in *stan*) sleep 4;; esac; touch "$run/DONE"')
        mixed.submit("--only", "STAN")
        here = mixed.run("run", "--only", "KD4MTL", *mixed.trainer)
        self.assertEqual(here.returncode, 0, here.stderr)
        self.assertRegex(here.stderr, r"KD4MTL, seed 1\) is waiting for stan_\w+-\w+, which is \w+ \(job \d+_\d")
        self.assertIn("3 runs: 3 done\n", mixed.run("status").stdout)

    @long_tier
    def test_a_student_here_does_not_wait_for_ever(self) -> None:
        mixed = Students("mixed_cancelled", "sleep 600")
        mixed.submit("--only", "STAN")
        driver = subprocess.Popen(mixed.command("run", "--only", "KD4MTL", *mixed.trainer), text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cluster.scratch)
        time.sleep(3)
        self.assertIn("cancelled 2 runs", mixed.run("cancel", "--only", "STAN").stdout)
        _, errors = driver.communicate(timeout=shared.PATIENCE)
        self.assertEqual(driver.returncode, 1)
        self.assertRegex(errors, r"warning: kd4mtl-\w+ \(KD4MTL, seed 1\) is waiting for stan_seg-\w+, which is not selected")


if __name__ == "__main__":
    shared.main()
