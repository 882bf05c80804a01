"""xtasc-sweep on this machine, where runs need other runs: students and their teachers, a shell script in their place."""

from __future__ import annotations

import re
import subprocess

import common
from common import Programs
from student import POINTS
from suite import long_tier
from sweep_case import SweepCase

programs: Programs



class Students(SweepCase):
    def setUp(self) -> None:
        super().setUp()
        self.write_students(seeds=[1])
        self.trainer = self.stand_in()

    def write_students(self, *, seeds: list[int], name: str = "sweep") -> None:
        (self.folder / f"{name}.toml").write_text(
            f'base = "base.toml"\nseeds = {seeds}\nset.run.output = "{self.folder}/runs"\n{POINTS}')

    def id_of(self, name: str) -> str:
        """Of the run of seed 1; as the plan has it."""
        return re.search(rf"^({name}-\w+) ", self.sweep("plan").stdout, re.MULTILINE)[1]

    def behave(self, name: str, how: str) -> None:
        (self.folder / name).write_text(how)

    def test_a_student_starts_after_its_own_teachers_only(self) -> None:
        self.write_students(seeds=[1, 2])
        self.behave("1", "slow")
        self.assertIn("waiting for stan_seg-", self.sweep("status").stdout)
        plan = self.sweep("plan", "--tflops", "1").stdout
        self.assertRegex(plan, r"kd4mtl-\w+ .* after stan_seg-\w+, stan_depth-\w+\n")
        self.assertRegex(plan, r"the longest chain takes .*: stan_\w+-\w+, then kd4mtl-\w+\n")
        kd4mtl = self.id_of("kd4mtl")
        errors = self.sweep("run", "--jobs", "4", *self.trainer).stderr
        self.assertEqual(self.states(), ["done"] * 6)
        self.assertEqual(self.id_of("kd4mtl"), kd4mtl)

        def at(text: str) -> int:
            return re.search(text, errors).start()

        self.assertLess(at(r"stan_depth-\w+ \(STAN, seed 1\) done"), at(r"kd4mtl-\w+ \(KD4MTL, seed 1\) started"))
        self.assertLess(at(r"stan_seg-\w+ \(STAN, seed 1\) done"), at(r"kd4mtl-\w+ \(KD4MTL, seed 1\) started"))
        self.assertLess(at(r"kd4mtl-\w+ \(KD4MTL, seed 2\) started"), at(r"stan_depth-\w+ \(STAN, seed 1\) done"))

    def test_a_failed_teacher_leaves_its_student_waiting_until_it_is_retried(self) -> None:
        self.behave("stan_depth", "fail")
        depth = self.id_of("stan_depth")
        for _ in range(2):  # the second driver finds the failure
            done = self.sweep("run", "--jobs", "2", *self.trainer, code=1)
            self.assertRegex(done.stderr, rf"warning: kd4mtl-\w+ \(KD4MTL, seed 1\) is waiting for {depth}, which failed")
            self.assertIn("sweep: 1 of 3 done", done.stderr)
            self.assertIn("1 failed run is left alone", done.stderr)
        self.assertEqual(self.states(), ["waiting", "done", "failed"])
        self.assertIn(f"waiting for {depth}, which failed\n", self.sweep("status").stdout)
        dry = self.sweep("submit", "--dry-run", *self.trainer).stdout
        self.assertRegex(dry, rf"kd4mtl-\w+ is waiting for {depth}, which failed\n")
        self.assertIn("nothing to submit", dry)
        self.behave("stan_depth", "")
        retried = self.sweep("retry", "--failed", "--run", *self.trainer).stderr
        self.assertIn("1 run of sweep may start again", retried)
        self.assertEqual(self.states(), ["done"] * 3)

    def test_teachers_that_are_not_selected_are_not_added(self) -> None:
        student = self.id_of("kd4mtl")
        done = self.sweep("run", "--only", "KD4MTL", *self.trainer, code=1)
        self.assertRegex(done.stderr,
                         r"KD4MTL, seed 1\) is waiting for stan_seg-\w+, which is not selected and not done\n")
        self.assertFalse((self.folder / "runs/sweep" / student).exists())
        dry = self.sweep("submit", "--dry-run", "--only", "KD4MTL", *self.trainer).stdout
        self.assertRegex(dry, r"kd4mtl-\w+ is waiting for stan_seg-\w+, which is not selected and not done\n")
        self.sweep("run", "--only", "STAN", *self.trainer)
        self.sweep("run", "--only", "KD4MTL", *self.trainer)
        self.assertEqual(self.states(), ["done"] * 3)

    def test_teachers_of_another_driver_are_waited_for(self) -> None:
        for name in ("stan_seg", "stan_depth"):
            self.behave(name, "slow")
        teachers = self.start("--only", "STAN", "--jobs", "2", *self.trainer)
        self.wait(lambda: self.states() == ["waiting", "running", "running"])
        done = self.sweep("run", "--only", "KD4MTL", *self.trainer)
        self.assertRegex(done.stderr, r"KD4MTL, seed 1\) is waiting for stan_\w+-\w+, which is running \(")
        self.assertEqual(teachers.communicate(timeout=60)[1].count(" started"), 2)
        self.assertEqual(self.states(), ["done"] * 3)

    def test_teachers_of_a_sweep_beside_are_linked(self) -> None:
        self.sweep("run", "--only", "STAN", *self.trainer)
        self.write_students(seeds=[1], name="other")
        done = subprocess.run([str(programs.bin / "xtasc-sweep"), "run", str(self.folder / "other.toml"), *self.trainer],
                              capture_output=True, text=True, timeout=600, env=self.environment(), check=False,
                              cwd=programs.scratch)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("is done in a sweep beside this one: linked", done.stderr)
        self.assertIn("other: 3 of 3 done", done.stderr)

    def test_what_would_be_submitted_comes_in_order(self) -> None:
        self.write_students(seeds=[1, 2])
        dry = self.sweep("submit", "--dry-run", *self.trainer).stdout
        self.assertIn("4 runs would be submitted, element by element:\n", dry)
        self.assertIn("2 runs would be submitted, to start when the runs that they need have ended, element by element:"
                      "\n", dry)
        self.assertRegex(dry, r" 0  kd4mtl-\w+, after stan_seg-\w+, stan_depth-\w+\n")
        self.assertLess(dry.index("4 runs would"), dry.index("2 runs would"))

    def test_faults_are_told_before_anything_runs(self) -> None:
        path = self.folder / "sweep.toml"
        path.write_text(path.read_text().replace('needs = ["STAN"]', 'needs = ["STAM"]'))
        for subcommand in ("plan", "run", "status"):
            done = self.sweep(subcommand, code=2)
            self.assertIn('sweep.toml:8:10: "KD4MTL" needs "STAM", which is no row of this sweep; did you mean "STAN"?',
                          done.stderr)
        self.assertFalse((self.folder / "runs").exists())


class RealStudents(SweepCase):
    @long_tier
    def test_a_student_learns_from_what_was_trained_before_it(self) -> None:
        (self.folder / "sweep.toml").write_text(
            f'base = "base.toml"\n[set]\nrun.output = "{self.folder}/runs"\ntrain.epochs = 1\n{POINTS}')
        self.sweep("run")
        self.assertEqual(self.states(), ["done"] * 3)
        student, depth, seg = self.runs()
        config = (student / "config.toml").read_text()
        for teacher in (seg, depth):
            self.assertIn(f'"{teacher}"\n', config)
            self.assertRegex(config, f'"{teacher.name.rpartition("-")[2]}[0-9a-f]{{24}}"\n')


if __name__ == "__main__":
    common.main()
