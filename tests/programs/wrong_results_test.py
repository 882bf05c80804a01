"""No wrong result without a word: what a run's folder says is what was computed, or the run says why not."""

from __future__ import annotations

import json
import os
import pathlib
import random
import shutil
import subprocess
import unittest

import common
from common import Programs, metrics, sets
from png import write_png
from suite import IS_LONG, long_tier

programs: Programs
TWO_EPOCHS = ["train.epochs=2", "train.batch_size=8"]
ONE_STEP = ["train.epochs=1", "train.max_steps=1"]  # a whole run, where it matters only that there is one
FIRST_ID = "xtasc_resnet18-1c8e7f23"


class Case(common.OneLine):
    def train(self, output: str, *assignments: str, ranks: int = 0, extra: tuple[str, ...] = ()):
        arguments = programs.train_arguments(output, *TWO_EPOCHS, *assignments)
        return programs.run("xtasc-train", *arguments, *extra, ranks=ranks)

    def trained(self, output: str, *assignments: str, ranks: int = 0) -> pathlib.Path:
        done = self.train(output, *assignments, ranks=ranks)
        self.assertEqual(done.returncode, 0, done.stderr)
        return programs.run_folder(output)

    def stopped(self, output: str, *assignments: str) -> pathlib.Path:
        """A run that ended after its first epoch and a step, as a signal ends it; with checkpoints of both."""
        arguments = programs.train_arguments(output, "train.epochs=3", "train.batch_size=8", *assignments)
        code, said = programs.stopped_after_an_epoch(*arguments)
        self.assertEqual(code, 85, said)
        return programs.run_folder(output)

    def resume(self, output: str, *assignments: str):
        return programs.run("xtasc-train", *programs.train_arguments(output, "train.epochs=3", "train.batch_size=8",
                                                                     *assignments))

    def pack(self, name: str, seed: int) -> pathlib.Path:
        path = programs.scratch / name
        path.parent.mkdir(exist_ok=True)
        done = programs.run("xtasc-preprocess", "scenes", "--train", "48", "--val", "7", "--seed", str(seed), "--size",
                            "32x64", "--output", str(path), "--force")
        self.assertEqual(done.returncode, 0, done.stderr)
        return path


class RanksAgree(Case):
    def mismatch(self, *assignments: str):
        """Two ranks, the second one with other assignments."""
        command = ["mpirun", "--quiet", "--oversubscribe", "--bind-to", "none"]
        for others in ((), assignments):
            arguments = programs.train_arguments("mismatch", *TWO_EPOCHS, *others)
            command += ["-np", "1", str(programs.bin / "xtasc-train"), *arguments, ":"]
        return subprocess.run(command[:-1], capture_output=True, text=True, timeout=120, cwd=programs.scratch,
                              check=False)

    def test_config(self) -> None:
        self.one_line(self.mismatch("train.learning_rate=0.1"), 1, "rank 0 on ",
                      "train.learning_rate is 0.1 on rank 1 (", "and 0.0001 on rank 0 (", "the same config file")
        self.one_line(self.mismatch("run.precision=bf16"), 1, "run.precision is \"bf16\" on rank 1")

    def test_pack(self) -> None:
        stale = self.pack("stale/scenes.h5", 9)
        self.one_line(self.mismatch(f"data.pack={stale}"), 1, "the pack's content digest is ", "on rank 1 (")

    def test_whether_there_are_weights(self) -> None:
        self.one_line(self.mismatch("model.encoder_weights=w.pt"), 1, "model.encoder_weights is set on rank 1 (",
                      "not set on rank 0 (")

    def test_an_error_of_a_rank_names_it(self) -> None:
        self.one_line(self.mismatch("data.pack=no/such.h5"), 1, "rank 1 on ", "no/such.h5")


class WhatARunIsKnownBy(Case):
    def test_other_data_under_the_same_name_is_another_run(self) -> None:
        path = self.pack("again/scenes.h5", 3)
        first = self.trained("repacked", f"data.pack={path}", *ONE_STEP)
        self.assertIn("is DONE", self.train("repacked", f"data.pack={path}", *ONE_STEP).stderr)
        self.pack("again/scenes.h5", 4)
        done = self.train("repacked", f"data.pack={path}", *ONE_STEP)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("is DONE", done.stderr)
        runs = {config.parent for config in (programs.scratch / "repacked").rglob("config.toml")}
        self.assertEqual(len(runs), 2)
        self.assertIn(first, runs)
        # A config that says what it wants does not take something else.
        pinned = json.loads((first / "provenance.json").read_text())["pack_digest"]
        self.one_line(self.train("pinned", f"data.pack={path}", f"data.pack_digest={pinned}"), 1, pinned, str(path))

    def test_a_pack_that_was_edited_in_place(self) -> None:
        h5py = common.h5py_or_skip()
        path = self.pack("edited.h5", 3)
        self.trained("edited", f"data.pack={path}", *ONE_STEP)
        with h5py.File(path, "r+") as file:
            file["train/label"][0] = 1
        for output in ("edited", "fresh"):  # DONE or not
            self.one_line(self.train(output, f"data.pack={path}", *ONE_STEP), 1, str(path), "changed after it was packed")
        self.one_line(programs.run("xtasc-evaluate", "--run", str(programs.run_folder("edited"))), 1,
                      "changed after it was packed")

    def test_a_config_that_is_not_the_folder_s(self) -> None:
        run = self.trained("config", *ONE_STEP)
        config = run / "config.toml"
        config.write_text(config.read_text().replace("seed = 1\n", "seed = 7\n"))
        self.one_line(programs.run("xtasc-evaluate", "--run", str(run)), 1, "config.toml", "somebody changed")
        table = programs.run("xtasc-tabulate", str(run))
        self.assertIn("config.toml", table.stderr + table.stdout)
        self.assertNotIn("seed 7", table.stdout)

    def test_a_done_folder_is_looked_at(self) -> None:
        run = self.trained("done", *ONE_STEP)
        config = run / "config.toml"
        whole = config.read_text()
        config.write_text(whole.replace("seed = 1\n", "seed = 7\n"))
        self.one_line(self.train("done", *ONE_STEP), 1, "is DONE, but is not as this run left it", "--restart")
        config.write_text(whole)
        self.assertIn("is DONE", self.train("done", *ONE_STEP).stderr)
        copy = run.parent / "mine-20261128"  # a name of the user's own
        shutil.copytree(run, copy)
        self.assertEqual(programs.run("xtasc-evaluate", "--run", str(copy)).returncode, 0)

    def test_a_prediction_takes_nothing_from_another_pack(self) -> None:
        path = self.pack("swapped.h5", 3)
        run = self.trained("swapped", f"data.pack={path}", *ONE_STEP)
        done = programs.run("xtasc-preprocess", "scenes", "--train", "4", "--val", "2", "--seed", "3", "--size", "64x128",
                            "--output", str(path), "--force")
        self.assertEqual(done.returncode, 0, done.stderr)
        image = programs.scratch / "picture.png"
        write_png(image, 32, 64, 3, lambda y, x: (4 * x, 8 * y, 60))
        done = programs.run("xtasc-predict", "--run", str(run), "--images", str(image), "--output", "predicted")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("holds another pack by now", done.stderr)

    @long_tier
    def test_a_folder_of_first_ids_is_named(self) -> None:
        """Its name was a hash of what was typed: that of these assignments, as version 0.1.0 of f459f0b made it."""
        old = programs.scratch / "first" / FIRST_ID
        old.mkdir(parents=True)
        (old / "DONE").write_text("then\n")
        done = programs.run("xtasc-train", "--config", "config.toml", *sets(
            [*common.SMALL, *TWO_EPOCHS, "run.output=first", "data.pack=scenes.h5", "run.device=cpu"]))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"first/{FIRST_ID} is this run as an earlier version knew it", done.stderr)
        self.assertNotIn("is DONE", done.stderr)


class NotFinite(Case):
    def check_diverged(self, done, output: str, *parts: str) -> None:
        self.one_line(done, 1, "training diverged", "epoch 1", "train.learning_rate", *parts)
        for folder in (programs.scratch / output).iterdir():
            self.assertFalse((folder / "DONE").exists())
            self.assertFalse((folder / "checkpoint").exists())

    def test_weights_that_explode_in_the_last_step(self) -> None:
        self.check_diverged(self.train("explode", "train.learning_rate=1e30", "train.max_steps=1"), "explode", "step 1")

    @long_tier
    def test_on_two_ranks(self) -> None:
        self.check_diverged(self.train("ranks", "train.learning_rate=1e30", ranks=2), "ranks", "rank 1 on ", "step 2")

    def test_the_last_good_checkpoint_stays(self) -> None:
        """The weighting's own rate is such that the second epoch's losses are infinite."""
        done = self.train("later", "train.batch_size=48", "weighting.learning_rate=1000")
        self.one_line(done, 1, "training diverged in epoch 2", "step 2", "the run stays at its last checkpoint")
        run = programs.run_folder("later")
        self.assertFalse((run / "DONE").exists())
        self.assertEqual(len(metrics(run)), 1)
        described = programs.run("xtasc-inspect", "checkpoint", str(run / "checkpoint/last"))
        self.assertEqual(described.returncode, 0, described.stderr)
        self.assertIn('"epoch": 1,', described.stdout)
        self.assertEqual(programs.run("xtasc-evaluate", "--run", str(run)).returncode, 0)

    def test_batch_norm_of_one_value(self) -> None:
        path = programs.scratch / "tiny.h5"
        done = programs.run("xtasc-preprocess", "scenes", "--train", "3", "--val", "2", "--seed", "1", "--size", "32x32",
                            "--output", str(path))
        self.assertEqual(done.returncode, 0, done.stderr)
        for ranks in (0, 2):
            self.one_line(self.train("tiny", f"data.pack={path}", "train.batch_size=2", ranks=ranks), 2,
                          "the last batch of an epoch has 1 image", "train.batch_size")

    def folder_pack(self, name: str, empty: dict[str, tuple[str, ...]]) -> pathlib.Path:
        """Four images a split; \"label\" or \"depth\" without any value in the splits that `empty` names."""
        root = programs.scratch / name
        for split in ("train", "val"):
            (root).mkdir(exist_ok=True)
            (root / f"{split}.txt").write_text("".join(f"{split}{i}\n" for i in range(4)))
            for i in range(4):
                write_png(root / f"rgb/{split}{i}.png", 32, 64, 3, lambda y, x, i=i: (4 * x, 8 * y, 60 * i))
                label = 255 if "label" in empty.get(split, ()) else 1
                depth = 0 if "depth" in empty.get(split, ()) else 40
                write_png(root / f"label/{split}{i}.png", 32, 64, 1, lambda y, x, v=label: (v if x < 40 else v & 254 | v >> 7,))
                write_png(root / f"depth/{split}{i}.png", 32, 64, 1, lambda y, x, v=depth: (v and v + y,))
        (root / "dataset.toml").write_text(common.MADE_SET)
        pack = programs.scratch / f"{name}.h5"
        done = programs.run("xtasc-preprocess", "folder", "--root", str(root), "--output", str(pack), "--force")
        self.assertEqual(done.returncode, 0, done.stderr)
        return pack

    def test_a_split_without_targets_is_told(self) -> None:
        nothing_to_learn = self.folder_pack("no_train_depth", {"train": ("depth",)})
        self.one_line(self.train("a", f"data.pack={nothing_to_learn}"), 1, "no pixel of /train has a depth", "xtasc")
        if IS_LONG:
            self.trained("b", f"data.pack={nothing_to_learn}", "model.system=base_st_seg", "weighting.method=equal",
                         *ONE_STEP)
        half = self.folder_pack("no_val_label", {"val": ("label",)})
        done = self.train("c", f"data.pack={half}", *ONE_STEP)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("no pixel of /val has a label", done.stderr)
        self.one_line(self.train("d", f"data.pack={half}", "model.system=base_st_seg", "weighting.method=equal"), 1,
                      "/val has nothing that base_st_seg predicts")


class FilesOfARun(Case):
    @classmethod
    def setUpClass(cls) -> None:
        case = cls("setUp")
        cls.whole = case.trained("whole", "train.epochs=3")
        cls.part = case.stopped("part")

    def setUp(self) -> None:
        if not hasattr(type(self), "part"):
            return
        self.output = f"copy{random.getrandbits(40)}"
        self.run_folder = programs.scratch / self.output / self.part.name
        shutil.copytree(self.part, self.run_folder)

    def tearDown(self) -> None:
        shutil.rmtree(programs.scratch / self.output, ignore_errors=True)

    def goes_on(self, *said: str, assignments: tuple[str, ...] = ()):
        """The damaged copy resumes, says so, and ends with the bits of the run that nothing happened to."""
        done = self.resume(self.output, *assignments)
        self.assertEqual(done.returncode, 0, done.stderr)
        for part in said:
            self.assertIn(part, done.stderr)
        self.assertEqual(metrics(self.run_folder), metrics(self.whole))
        for checkpoint in ("last", "best"):
            self.assertEqual((self.run_folder / f"checkpoint/{checkpoint}/weights.pt").read_bytes(),
                             (self.whole / f"checkpoint/{checkpoint}/weights.pt").read_bytes())
        self.assertTrue((self.run_folder / "DONE").exists())
        table = programs.run("xtasc-tabulate", str(self.run_folder))
        self.assertIn("XTasC-Net", table.stdout, table.stderr)
        return done

    def flip(self, file: str) -> None:
        path = self.run_folder / file
        content = bytearray(path.read_bytes())
        place = random.randrange(len(content) * 8)
        content[place // 8] ^= 1 << (place % 8)
        path.unlink()  # a file of its own, whatever shares its bytes
        path.write_bytes(content)

    @long_tier
    def test_the_same_bytes_elsewhere_resume_bit_for_bit(self) -> None:
        (programs.scratch / "scratch.1002").mkdir(exist_ok=True)
        copy = shutil.copy(programs.pack, programs.scratch / "scratch.1002/copy.h5")
        done = self.goes_on("resuming after epoch 1", assignments=(f"data.pack={copy}",))
        self.assertNotIn("warning", done.stderr)
        starts = json.loads((self.run_folder / "provenance.json").read_text())["starts"]
        self.assertEqual([start["pack_path"] for start in starts], [str(programs.pack), str(copy)])
        self.assertEqual(starts[1]["epoch"], 1)

    def test_flipped_bits(self) -> None:
        files = ["checkpoint/last/weights.pt"]
        if IS_LONG:
            files += ["metrics.jsonl", "checkpoint/last/checkpoint.json", "checkpoint/last/state.pt", "checkpoint/last/metrics.jsonl", "provenance.json", "attempt.json"]
        for file in files:
            with self.subTest(file=file):
                self.tearDown()
                self.setUp()
                self.flip(file)
                self.goes_on()

    def test_lost_files(self) -> None:
        files = {"checkpoint/last": "last is missing: going on from previous"}
        if IS_LONG:
            files |= {"checkpoint/best": "best is missing: made again", "metrics.jsonl": "metrics.jsonl: it is missing: written anew", "checkpoint/last/state.pt": "going on from previous", "checkpoint/previous": "resuming",
                      "provenance.json": "resuming", "config.toml": "resuming", "attempt.json": "resuming"}
        for file, said in files.items():
            with self.subTest(file=file):
                self.tearDown()
                self.setUp()
                path = self.run_folder / file
                shutil.rmtree(path) if path.is_dir() else path.unlink()
                self.goes_on(said)

    def test_cut_metrics(self) -> None:
        path = self.run_folder / "metrics.jsonl"
        path.write_bytes(path.read_bytes()[:100])
        self.goes_on("it lacks epochs that the checkpoint has")

    def test_no_checkpoint_but_epochs(self) -> None:
        shutil.rmtree(self.run_folder / "checkpoint")
        self.one_line(self.resume(self.output), 1, "metrics.jsonl has epochs", "--restart")

    def test_all_checkpoints_damaged(self) -> None:
        for generation in ("last", "previous", "best"):
            self.flip(f"checkpoint/{generation}/weights.pt")
        self.one_line(self.resume(self.output), 1, "--restart")

    @long_tier
    def test_a_restart_that_was_killed_is_finished(self) -> None:
        (self.run_folder / ".restarting").write_text("")
        self.assertNotIn("resuming", self.goes_on().stderr)

    def test_changed_lines_are_in_no_table(self) -> None:
        run = programs.scratch / self.output / self.whole.name
        shutil.rmtree(run)
        shutil.copytree(self.whole, run)
        path = run / "metrics.jsonl"
        path.write_text(path.read_text().replace('"miou":0.0', '"miou":0.9'))
        if path.read_text() == (self.whole / "metrics.jsonl").read_text():
            path.write_text(path.read_text().replace('"step":6', '"step":7', 1))
        table = programs.run("xtasc-tabulate", str(run))
        self.assertIn("digest", table.stdout + table.stderr)
        self.assertNotIn("XTasC-Net", table.stdout)

    def test_a_changed_provenance_is_set_aside(self) -> None:
        path = self.run_folder / "provenance.json"
        digest = json.loads(path.read_text())["pack_digest"]
        path.write_text(path.read_text().replace(digest, digest[::-1]))
        self.goes_on("provenance.json.damaged")
        table = programs.run("xtasc-tabulate", str(self.run_folder))
        self.assertIn("XTasC-Net", table.stdout)

    @long_tier
    def test_a_line_without_its_digest_is_in_no_table(self) -> None:
        self.goes_on()
        path = self.run_folder / "metrics.jsonl"
        lines = path.read_text().splitlines()
        record = json.loads(lines[0])
        record.pop("digest")
        path.write_text("\n".join([json.dumps(record), *lines[1:]]) + "\n")
        table = programs.run("xtasc-tabulate", str(self.run_folder))
        self.assertNotIn("XTasC-Net", table.stdout)
        self.assertIn("lacks its digest", table.stdout + table.stderr)

    @long_tier
    def test_cut_metrics_of_a_run_that_max_steps_ended(self) -> None:
        run = self.trained(f"{self.output}x", "train.epochs=9", "train.max_steps=12")
        path = run / "metrics.jsonl"
        lines = path.read_text().splitlines()
        self.assertEqual(len(lines), 2)
        path.write_text(lines[0] + "\n")
        table = programs.run("xtasc-tabulate", str(run))
        self.assertNotIn("XTasC-Net", table.stdout)

    def test_a_full_disk_is_told_before(self) -> None:
        mount = programs.scratch / "small"
        mount.mkdir(exist_ok=True)
        if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200m", "tmpfs", str(mount)],
                                               check=False, capture_output=True).returncode != 0:
            self.skipTest("no tmpfs can be mounted here")
        try:
            done = programs.run("xtasc-train", *programs.train_arguments("whole", *TWO_EPOCHS), "--set",
                                f"run.output={mount}")
            self.one_line(done, 1, "GB free", "checkpoints need", "run.output")
        finally:
            subprocess.run(["umount", str(mount)], check=False)


if __name__ == "__main__":
    common.main()
