"""Optimizers, schedules and batches in pieces are resumed bit for bit; held-out images choose the best epoch, and
patience ends a run."""

from __future__ import annotations

import csv
import io
import json
import pathlib
import unittest

import common
from common import OneLine, Programs, metrics

programs: Programs
LENGTH = ["train.epochs=3", "train.batch_size=6", "train.learning_rate=1e-3"]
HELD = [*LENGTH, "data.holdout=0.25", "run.precision=fp64", "train.learning_rate=1e-4"]


def final(run: pathlib.Path) -> list[dict]:
    return metrics(run, "final.jsonl")


def numbers(record: object) -> list[float]:
    """All of a record's, in its order."""
    if isinstance(record, dict):
        return [number for value in record.values() for number in numbers(value)]
    if isinstance(record, list):
        return [number for value in record for number in numbers(value)]
    return [float(record)] if isinstance(record, (int, float)) else []


class Recipe(OneLine):
    def train(self, output: str, *assignments: str, ranks: int = 0) -> tuple[pathlib.Path, str]:
        done = programs.run("xtasc-train", *programs.train_arguments(output, *assignments), ranks=ranks)
        self.assertEqual(done.returncode, 0, done.stderr)
        return programs.run_folder(output), done.stderr

    def resumed(self, output: str, *assignments: str) -> pathlib.Path:
        """Trained with a stop behind the first epoch."""
        code, rest = programs.stopped_after_an_epoch(*programs.train_arguments(output, *assignments))
        self.assertEqual(code, 85, rest)
        run, said = self.train(output, *assignments)
        self.assertIn("resuming after epoch", said)
        return run

    def check_same(self, run: pathlib.Path, other: pathlib.Path) -> None:
        self.assertEqual(metrics(run), metrics(other))
        for file in ("last/weights.pt", "last/state.pt", "best/weights.pt"):
            self.assertEqual((run / "checkpoint" / file).read_bytes(), (other / "checkpoint" / file).read_bytes(), file)


class Steps(Recipe):
    def test_are_resumed_bit_for_bit(self) -> None:
        recipes = {
            "adamw": ["train.optimizer=adamw", "train.weight_decay=0.05", "train.schedule=poly", "train.clip_norm=0.5"],
            "sgd": ["train.optimizer=sgd", "train.weight_decay=0.01", "train.schedule=cosine", "train.warmup_steps=5",
                    "train.accumulate=3"],
        }
        for name, recipe in recipes.items():
            with self.subTest(name):
                whole, _ = self.train(f"{name}_whole", *LENGTH, *recipe)
                self.check_same(self.resumed(f"{name}_stopped", *LENGTH, *recipe), whole)
                rates = [record["learning_rate"] for record in metrics(whole)]
                self.assertGreater(rates[1], rates[2])  # step by step

    def test_pieces_are_the_batch_on_any_ranks(self) -> None:
        recipe = [*LENGTH, "train.accumulate=2", "run.precision=fp64", "train.epochs=1"]
        one, _ = self.train("pieces_1", *recipe)
        two, _ = self.train("pieces_2", *recipe, ranks=2)
        for a, b in zip(numbers(metrics(one)), numbers(metrics(two)), strict=True):
            self.assertAlmostEqual(a, b, delta=1e-8 * max(1.0, abs(b)))

    def test_refusals_come_before_training(self) -> None:
        for assignments, parts in (
            (["train.accumulate=2", "weighting.method=pcgrad"], ['weighting.method = "pcgrad" weighs by what']),
            (["train.accumulate=7"], ["train.accumulate = 7", "a batch of 6 images"]),
            (["train.momentum=0.5"], ['train.momentum = 0.5 says nothing to train.optimizer = "adam": it is for sgd']),
            (["data.holdout=0.01"], ["data.holdout = 0.01 of 48 training images is 0"]),
            (["data.holdout=0.995"], ["data.holdout = 0.995 of 48 training images is 48"]),
        ):
            done = programs.run("xtasc-train", *programs.train_arguments("refused", *LENGTH, *assignments))
            self.one_line(done, 2, *parts)
        self.assertFalse((programs.scratch / "refused").exists())


class HeldOut(Recipe):
    @classmethod
    def setUpClass(cls) -> None:
        done = programs.run("xtasc-train", *programs.train_arguments("held", *HELD), ranks=2)
        assert done.returncode == 0, done.stderr
        cls.said = done.stderr
        cls.run_folder = programs.run_folder("held")

    def evaluated(self, checkpoint: str) -> dict:
        output = programs.scratch / f"{checkpoint}.json"
        done = programs.run("xtasc-evaluate", "--run", str(self.run_folder), "--checkpoint", checkpoint, "--json",
                            str(output))
        self.assertEqual(done.returncode, 0, done.stderr)
        return json.loads(output.read_text())

    def test_epochs_are_of_held_out_images_and_the_end_of_the_validation_split(self) -> None:
        self.assertIn("36 train, 12 held out, 7 val", self.said)
        self.assertIn("epoch 1/3: train loss", self.said)
        self.assertIn(", held-out loss ", self.said)
        self.assertIn("the validation split, by the weights of the ", self.said)
        lines = metrics(self.run_folder)
        self.assertEqual([line["step"] for line in lines], [6, 12, 18])
        for line in lines:
            self.assertNotIn("val_loss", line)
            self.assertNotIn("paper", line)
            self.assertIn("miou", line["holdout"]["paper"])
        losses = [line["holdout"]["loss"]["total"] for line in lines]
        best = losses.index(min(losses)) + 1
        self.assertEqual([line["epoch"] for line in lines if line["is_best"]][-1], best)
        ends = {line["epoch"]: line for line in final(self.run_folder)}
        self.assertEqual(set(ends), {best, 3})
        for checkpoint, epoch in (("best", best), ("last", 3)):
            expected = self.evaluated(checkpoint)
            self.assertNotIn("holdout", ends[epoch])
            for name, value in expected["paper"].items():
                self.assertAlmostEqual(ends[epoch]["paper"][name], value, places=9)
            self.assertAlmostEqual(ends[epoch]["val_loss"]["total"], expected["losses"]["total"], places=9)
            self.assertNotAlmostEqual(losses[epoch - 1], expected["losses"]["total"], places=6)

    def test_one_rank_finds_the_same_and_ends_again_where_it_was_killed_at_its_end(self) -> None:
        alone, _ = self.train("alone", *HELD)
        for records in (metrics, final):
            for a, b in zip(numbers(records(alone)), numbers(records(self.run_folder)), strict=True):
                self.assertAlmostEqual(a, b, delta=1e-7 * max(1.0, abs(b)))
        before = final(alone)
        (alone / "DONE").unlink()
        (alone / "final.jsonl").unlink()
        _, said = self.train("alone", *HELD)
        self.assertIn("resuming after epoch 3", said)
        self.assertEqual(final(alone), before)
        self.assertTrue((alone / "DONE").exists())

    def test_tables_are_of_the_validation_split_and_say_what_chose(self) -> None:
        for checkpoint, words in (("best", "Weights of the best epoch by a held-out share of 0.25 of the training"),
                                  ("last", "Weights of the last epoch.")):
            shown = programs.run("xtasc-tabulate", "held", "--checkpoint", checkpoint)
            self.assertIn(words, shown.stdout)
            self.assertIn("share held out 0.25", shown.stdout)
            table = programs.run("xtasc-tabulate", "held", "--checkpoint", checkpoint, "--format", "csv",
                                 "--protocol", "paper")
            (row,) = csv.DictReader(io.StringIO(table.stdout))
            line = final(self.run_folder)[-1 if checkpoint == "last" else 0]
            self.assertAlmostEqual(float(row["miou"]), line["paper"]["miou"], places=6)


class Patience(Recipe):
    RECIPE = ("train.epochs=60", "train.batch_size=24", "train.learning_rate=3e-3", "train.patience=1",
              "data.holdout=0.25")

    def test_ends_a_run_that_is_done_then(self) -> None:
        run, said = self.train("impatient", *self.RECIPE)
        lines = metrics(run)
        self.assertLess(len(lines), 60, "every epoch was better: the test does not test")
        self.assertEqual([line.get("stopped_by") for line in lines], [None] * (len(lines) - 1) + ["train.patience"])
        self.assertEqual([line["is_best"] for line in lines], [True] * (len(lines) - 1) + [False])
        self.assertIn(f"ended by train.patience = 1: no epoch since {len(lines) - 1} was better", said)
        self.assertTrue((run / "DONE").exists())
        shown = programs.run("xtasc-tabulate", "impatient")
        self.assertIn("patience 1", shown.stdout)
        self.assertNotIn("Left out", shown.stdout)
        (run / "DONE").unlink()  # killed before its end: nothing is left to train
        before = final(run)
        self.train("impatient", *self.RECIPE)
        self.assertEqual(metrics(run), lines)
        self.assertEqual(final(run), before)
        stopped = self.resumed("impatient_stopped", *self.RECIPE, "train.patience=2")
        whole, _ = self.train("impatient_whole", *self.RECIPE, "train.patience=2")
        self.check_same(stopped, whole)
        self.assertEqual(final(stopped), final(whole))

    def test_goes_by_the_validation_split_without_held_out_images(self) -> None:
        run, _ = self.train("impatient_val", *self.RECIPE, "data.holdout=0")
        lines = metrics(run)
        self.assertLess(len(lines), 60, "every epoch was better: the test does not test")
        self.assertGreater(lines[-1]["val_loss"]["total"], lines[-2]["val_loss"]["total"])
        self.assertEqual(lines[-1]["stopped_by"], "train.patience")
        self.assertFalse((run / "final.jsonl").exists())


if __name__ == "__main__":
    common.main()
