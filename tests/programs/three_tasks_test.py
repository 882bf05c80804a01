"""Surface normals as a third task, and labels that images lack, as a user meets them: from the scenes to the table."""

from __future__ import annotations

import csv
import json
import unittest

import common
from common import OneLine, Programs, metrics
from suite import long_tier

programs: Programs
THREE = 'model.tasks=["segmentation","depth","normals"]'
LENGTH = ["train.epochs=2", "train.batch_size=8"]


def pack_of_three() -> str:
    path = programs.scratch / "three.h5"
    if not path.exists():
        done = programs.run("xtasc-preprocess", "scenes", "--train", "24", "--val", "5", "--seed", "4", "--size", "32x64",
                            "--normals", "--output", str(path))
        assert done.returncode == 0, done.stderr
    return str(path)


def arguments(output: str, *assignments: str) -> list[str]:
    return programs.train_arguments(output, f"data.pack={pack_of_three()}", *LENGTH, *assignments)


def train(output: str, *assignments: str, ranks: int = 0):
    done = programs.run("xtasc-train", *arguments(output, *assignments), ranks=ranks)
    assert done.returncode == 0, done.stderr
    return programs.run_folder(output), done


class WholePath(OneLine):
    @classmethod
    def setUpClass(cls) -> None:
        cls.run_folder, _ = train("three/xtasc", THREE, ranks=2)

    def test_metrics_are_those_of_all_tasks_on_any_ranks(self) -> None:
        record = metrics(self.run_folder)[-1]
        for protocol in ("paper", "dataset"):
            self.assertLessEqual({"miou", "abs_err", "angle_mean", "angle_median", "within_11", "within_22", "within_30"},
                                 set(record[protocol]))
        self.assertEqual(set(record["consistency"]), {
            "seg_to_depth", "depth_to_seg", "seg_to_normals", "normals_to_seg", "depth_to_normals", "normals_to_depth",
            "energy_2021"})
        self.assertEqual(set(record["task_weight"]), {"seg", "depth", "normals"})
        path = programs.scratch / "three.json"
        done = programs.run("xtasc-evaluate", "--run", str(self.run_folder), "--checkpoint", "last", "--json", str(path),
                            ranks=3)
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads(path.read_text())
        for protocol in ("paper", "dataset"):
            for name, value in record[protocol].items():
                self.assertAlmostEqual(found[protocol][name], value, places=4, msg=f"{protocol} {name}")

    def test_predictions_are_vectors_of_length_one_and_a_picture(self) -> None:
        output = programs.scratch / "three_predicted"
        done = programs.run("xtasc-predict", "--run", str(self.run_folder), "--pack", pack_of_three(), "--samples", "1",
                            "--output", str(output))
        self.assertEqual(done.returncode, 0, done.stderr)
        header, data = (output / "val_00001_normals.npy").read_bytes().split(b"\n", 1)
        self.assertIn(b"'shape': (32, 64, 3)", header)
        self.assertEqual(len(data), 32 * 64 * 3 * 4)
        self.assertTrue((output / "val_00001_normals.png").is_file())
        self.assertTrue((output / "panel.png").is_file())

    def test_a_pack_without_normals_serves_predictions_but_no_evaluation(self) -> None:
        run = ("--run", str(self.run_folder), "--pack", str(programs.pack))
        self.one_line(programs.run("xtasc-evaluate", *run), 2, "the pack has no normals, which xtasc predicts here")
        output = programs.scratch / "without_truth"
        done = programs.run("xtasc-predict", *run, "--samples", "0", "--output", str(output))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue((output / "val_00000_normals.png").is_file())

    def test_the_proposition_is_measured_of_every_ordered_pair(self) -> None:
        path = programs.scratch / "pairs.json"
        done = programs.run("xtasc-inspect", "consistency", "--run", str(self.run_folder), "--json", str(path))
        self.assertEqual(done.returncode, 0, done.stderr)
        sides = json.loads(path.read_text())["sides"]
        names = ("segmentation", "depth", "normals")
        self.assertEqual({(side["z"], side["y"]) for side in sides}, {(a, b) for a in names for b in names if a != b})

    def test_a_step_refuses_samples_that_are_no_truth(self) -> None:
        try:
            import torch
        except ImportError:
            self.skipTest("this Python has no torch")
        good = {"image": torch.zeros(2, 3, 32, 64), "label": torch.zeros(2, 32, 64, dtype=torch.int64),
                "depth": torch.ones(2, 1, 32, 64), "normals": torch.tensor([0.0, 0.6, -0.8]).view(1, 3, 1, 1).expand(2, 3, 32, 64)}
        path, output = programs.scratch / "samples.pt", programs.scratch / "step.pt"
        for name, value, words in (("", 0.0, ""), ("image", float("nan"), "image must be finite"),
                                   ("depth", float("inf"), "depth must be finite"),
                                   ("normals", float("nan"), "normals must be finite"),
                                   ("normals", 2.0, "normals must be of length 1, or 0 where they are not known")):
            samples = {key: tensor.clone() for key, tensor in good.items()}
            if name:
                samples[name][1, 0, 3, 5] = value
            torch.save(samples, path)
            done = programs.run("xtasc-inspect", "step", "--config", str(self.run_folder / "config.toml"), "--weights",
                                str(self.run_folder / "checkpoint/last/weights.pt"), "--samples", str(path), "--output",
                                str(output))
            if name:
                self.one_line(done, 1, words)
            else:
                self.assertEqual(done.returncode, 0, done.stderr)

    def test_fixed_weights_are_as_many_as_the_tasks(self) -> None:
        for more in ([], ["weighting.weights=[1.0, 0.5, 2.0]"]):
            train(f"three/fixed{len(more)}", THREE, "model.system=base_mt", "weighting.method=fixed", "train.epochs=1", *more)
        done = programs.run("xtasc-train", *programs.train_arguments("three/fixed", THREE, "train.accumulate=2",
                                                                     "weighting.method=nash"), "--print-config")
        self.one_line(done, 2, "train.accumulate = 2 adds up a batch's gradient", "weighting.method = \"nash\"")

    def test_a_pack_without_normals_is_told(self) -> None:
        done = programs.run("xtasc-train", *programs.train_arguments("three/none", THREE))
        self.one_line(done, 2, "the pack has no normals, which xtasc predicts here", "(model.tasks)")

    def test_sampled_transfers_say_how_often_they_were_drawn(self) -> None:
        run, _ = train("three/sample", THREE, "model.transfer=sample")
        losses = metrics(run)[0]["train_loss"]
        # 3 steps: of each task one of two each time, so that some have none, and none is diluted by zeros.
        drawn = [name for name in losses if "_to_" in name]
        self.assertGreaterEqual(len(drawn), 3)
        for name in drawn:
            self.assertGreater(losses[name], 0.0, name)


class PartialLabels(OneLine):
    def test_one_label_an_image_trains_and_says_what_is_left(self) -> None:
        run, done = train("three/one", THREE, "data.one_label=true")
        self.assertRegex(done.stderr, r"of 24 training images have labels: \d+ of seg, \d+ of depth, \d+ of normals")
        self.assertIn("miou", metrics(run)[-1]["paper"])

    def test_batches_without_labels_do_not_dilute_an_epochs_losses(self) -> None:
        still = ("model.system=base_mt", THREE, "train.learning_rate=1e-9", "train.batch_size=2", "train.epochs=1",
                 "data.flip=false", "data.scale_crop=false", "weighting.method=equal")
        whole, _ = train("three/all_labels", *still)
        some, _ = train("three/some_labels", *still, "data.label_share=0.25")
        for task in ("seg", "depth", "normals"):
            of_whole, of_some = (metrics(run)[0]["train_loss"][task] for run in (whole, some))
            self.assertLess(abs(of_some / of_whole - 1.0), 0.25, task)  # counted as zeros, about a half would be left

    def test_a_share_that_leaves_nothing_is_told(self) -> None:
        done = programs.run("xtasc-train", *arguments("three/nothing", THREE, "data.label_share=1e-9"))
        self.one_line(done, 1, "nothing can be learnt")
        done = programs.run("xtasc-train", *arguments("three/nothing", THREE, "data.label_share=0"))
        self.one_line(done, 2, "data.label_share")


@long_tier
class Long(unittest.TestCase):
    def test_resumed_runs_end_as_unbroken_ones(self) -> None:
        for name, *more in (("pairs",), ("sample", "model.transfer=sample"), ("partial", "data.label_share=0.5"),
                            ("align", "model.system=align"), ("ring", "model.transfer=ring", "weighting.method=pcgrad")):
            with self.subTest(name):
                whole, _ = train(f"long/{name}_whole", THREE, *more)
                code, said = programs.stopped_after_an_epoch(*arguments(f"long/{name}_resumed", THREE, *more))
                self.assertEqual(code, 85, said)
                resumed, _ = train(f"long/{name}_resumed", THREE, *more)
                self.assertEqual(metrics(whole), metrics(resumed))
                file = "checkpoint/last/weights.pt"
                self.assertEqual((whole / file).read_bytes(), (resumed / file).read_bytes())

    def test_the_table_has_nine_metrics_and_a_row_of_three_nets(self) -> None:
        train("table/xtasc", THREE)
        for task in ("segmentation", "depth", "normals"):
            train(f"table/{task}", "model.system=base_st", f'model.tasks=["{task}"]')
        prefix = programs.scratch / "table_of_three"
        done = programs.run("xtasc-tabulate", str(programs.scratch / "table"), "--output", str(prefix))
        self.assertEqual(done.returncode, 0, done.stderr)
        with open(prefix.with_suffix(".csv"), newline="") as file:
            rows = {row["model"]: row for row in csv.DictReader(file)}
        self.assertEqual(set(rows), {"Base ST-Net", "XTasC-Net"})
        self.assertNotEqual(rows["XTasC-Net"]["delta_m_percent"], "")
        self.assertNotEqual(rows["Base ST-Net"]["angle_median"], "")


if __name__ == "__main__":
    common.main()
