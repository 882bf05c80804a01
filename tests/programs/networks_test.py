"""The networks that the paper compares with, as a user runs them: training on ranks, resuming, predicting, tables."""

from __future__ import annotations

import json
import pathlib
import shutil
import unittest

import common
from common import Programs, metrics
from suite import long_tier

programs: Programs
LENGTH = ["train.epochs=2", "train.batch_size=24", "weighting.method=equal"]
ALONE = 'model.tasks=["depth"]'


class Case(unittest.TestCase):
    def train(self, output: str, *assignments: str, ranks: int = 0) -> pathlib.Path:
        done = programs.run("xtasc-train", *programs.train_arguments(output, *LENGTH, *assignments), ranks=ranks)
        self.assertEqual(done.returncode, 0, done.stderr)
        return programs.run_folder(output)

    def stopped(self, output: str, *assignments: str) -> None:
        """As a signal ends a run after its first epoch."""
        code, said = programs.stopped_after_an_epoch(*programs.train_arguments(output, *LENGTH, *assignments))
        self.assertEqual(code, 85, said)


class OneOfThem(Case):
    def test_mtan_trains_on_two_ranks_evaluates_and_predicts(self) -> None:
        run = self.train("mtan", "model.system=mtan", "train.epochs=1", ranks=2)
        self.assertTrue(run.name.startswith("mtan-"), run)
        best = programs.scratch / "mtan.json"
        done = programs.run("xtasc-evaluate", "--run", str(run), "--json", str(best))
        self.assertEqual(done.returncode, 0, done.stderr)
        expected = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
        for name, value in expected["paper"].items():  # the trainer's own numbers, on another number of ranks
            self.assertAlmostEqual(json.loads(best.read_text())["paper"][name], value, places=5, msg=name)
        done = programs.run("xtasc-predict", "--run", str(run), "--pack", str(programs.pack), "--samples", "0", "--output",
                            str(programs.scratch / "mtan_predicted"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((programs.scratch / "mtan_predicted/val_00000_depth.npy").exists())

    def test_wrong_choices_are_one_line(self) -> None:
        for assignments, words in ((["model.system=stan"], "takes 1 task, but model.tasks names 2"),
                                   (["model.system=mtan", ALONE], "takes 2 or more tasks, but model.tasks names 1"),
                                   ([ALONE], "model.system = \"xtasc\" takes 2 or more tasks"),
                                   (["model.system=dense", "model.cross_stitch=misra"], "it is for cross_stitch"),
                                   (["model.system=mtan", "model.encoder_weights=w.pt"], "which has no ResNet"),
                                   (["model.system=kd4mtl"], "set distillation.teacher_seg to a run of stan (seg"),
                                   (["model.system=kd4mtl", "distillation.teacher_seg=none"], "teacher_seg = \"none\""),
                                   (["distillation.weight_seg=2"], "it is for kd4mtl"),
                                   (["model.system=mtan", "model.dropout=0"], "it is for adamt, deeplab")):
            done = programs.run("xtasc-train", *programs.train_arguments("wrong", *assignments))
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertEqual(len(done.stderr.strip().splitlines()), 1, done.stderr)
            self.assertIn(words, done.stderr)


@long_tier
class Students(Case):
    def test_teachers_are_done_runs_of_the_task_and_size(self) -> None:
        teacher = self.train("of_depth", "model.system=stan", ALONE, "train.epochs=1")
        other = self.train("of_both", "model.system=mtan", "train.epochs=1")
        larger = programs.scratch / "larger.h5"
        done = programs.run("xtasc-preprocess", "scenes", "--train", "2", "--val", "2", "--size", "64x64", "--output",
                            str(larger))
        self.assertEqual(done.returncode, 0, done.stderr)

        def refusal(*assignments: str) -> str:
            done = programs.run("xtasc-train", *programs.train_arguments("student", "model.system=kd4mtl", *assignments))
            self.assertEqual(done.returncode, 2, done.stderr)
            self.assertFalse((programs.scratch / "student").exists(), "a run was begun")
            return done.stderr.strip().splitlines()[-1]

        def of(seg: pathlib.Path, depth: pathlib.Path) -> tuple[str, str]:
            return f"distillation.teacher_seg={seg}", f"distillation.teacher_depth={depth}"

        self.assertIn("it is a run of stan (depth), wanted is one of stan (segmentation)", refusal(*of(teacher, teacher)))
        self.assertIn("it is a run of mtan, wanted is one of stan (segmentation)", refusal(*of(other, teacher)))
        self.assertIn("no folder of a run: it has no config.toml", refusal(*of(other / "checkpoint", teacher)))
        seg = self.train("of_seg", "model.system=stan", 'model.tasks=["segmentation"]', "train.epochs=1")
        self.assertIn("trained on images of 32 x 64, the student's are 64 x 64",
                      refusal(*of(seg, teacher), f"data.pack={larger}"))
        of_file = seg / "checkpoint/best/weights.pt"  # no way around what its run is
        self.assertIn("trained on images of 32 x 64, the student's are 64 x 64",
                      refusal(*of(of_file, teacher), f"data.pack={larger}"))
        for path in (seg, of_file):
            self.assertIn("it was trained on images that the student holds out: it has data.holdout = 0 and run.seed",
                          refusal(*of(path, teacher), "data.holdout=0.25"))
        # A student that was stopped goes on with the teachers that it began with, and with no others.
        self.stopped("student", "model.system=kd4mtl", *of(seg, teacher))
        arguments = programs.train_arguments("of_depth", *LENGTH, "model.system=stan", ALONE, "train.epochs=1")
        done = programs.run("xtasc-train", *arguments, "--restart", ranks=2)  # which rounds otherwise
        self.assertEqual(done.returncode, 0, done.stderr)
        arguments = programs.train_arguments("student", *LENGTH, "model.system=kd4mtl", *of(seg, teacher))
        done = programs.run("xtasc-train", *arguments)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("distillation.teacher_depth has other weights than when this run began", done.stderr)
        shutil.rmtree(programs.scratch / "student")
        (teacher / "DONE").rename(teacher / "NOT")
        self.assertIn("it is not DONE", refusal(*of(seg, teacher)))


@long_tier
class AllOfThem(Case):
    def test_resumed_runs_end_as_unbroken_ones(self) -> None:
        seg = self.train("teacher_seg", "model.system=stan", 'model.tasks=["segmentation"]', "train.epochs=1")
        depth = self.train("teacher_depth", "model.system=stan", ALONE, "train.epochs=1")
        for system, *more in (("segnet",), ("stan", ALONE), ("mtan",), ("dense",), ("cross_stitch",),
                              ("cross_stitch", "model.cross_stitch=misra"),
                              ("kd4mtl", f"distillation.teacher_seg={seg}", f"distillation.teacher_depth={depth}"),
                              ("adamt",), ("adamt", "model.adamt_attention=per_slot", "weighting.method=alsw"),
                              ("deeplab", "train.weight_decay=0.01", "data.normalise=false")):
            with self.subTest(system=system, more=more):
                assignments = (f"model.system={system}", *more)
                name = "_".join([system, *(word for word in ("misra", "per_slot") if word in "".join(more))])
                whole = self.train(f"{name}_whole", *assignments)
                self.stopped(f"{name}_resumed", *assignments)
                resumed = self.train(f"{name}_resumed", *assignments)
                self.assertEqual(metrics(whole), metrics(resumed))
                file = "checkpoint/last/weights.pt"
                self.assertEqual((whole / file).read_bytes(), (resumed / file).read_bytes())


if __name__ == "__main__":
    common.main()
