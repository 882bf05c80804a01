"""The programs as a user calls them: the whole path, every help text, and wrong inputs with the words they get."""

from __future__ import annotations

import csv
import json
import pathlib
import re
import struct
import unittest

import common
from common import Programs, metrics, sets
from png import write_png
from suite import IS_LONG

programs: Programs
ALL = ["xtasc-preprocess", "xtasc-train", "xtasc-evaluate", "xtasc-predict", "xtasc-export", "xtasc-inspect",
       "xtasc-tabulate", "xtasc-bench"]


def png_size(path: pathlib.Path) -> tuple[int, int]:
    """(height, width) from a PNG's header."""
    data = path.read_bytes()
    assert data[:8] == b"\x89PNG\r\n\x1a\n", path
    width, height = struct.unpack(">II", data[16:24])
    return height, width


SYSTEMS = ["base_mt", "align", "xtasc"]
if IS_LONG:
    SYSTEMS += ["base_st_seg", "base_st_depth"]


class Help(unittest.TestCase):
    def test_every_program_explains_itself(self) -> None:
        for program in ALL:
            with self.subTest(program):
                done = programs.run(program, "--help")
                self.assertEqual((done.returncode, done.stderr), (0, ""))
                self.assertIn(program, done.stdout)
                self.assertGreater(len(done.stdout), 200)
                done = programs.run(program, "--version")
                self.assertEqual(done.returncode, 0)
                self.assertTrue(done.stdout.startswith(program + " 0."), done.stdout)


class WholePath(unittest.TestCase):
    """Pack -> every system -> evaluate, predict, inspect, tabulate."""

    @classmethod
    def setUpClass(cls) -> None:
        for system in SYSTEMS:
            done = programs.run("xtasc-train", *programs.train_arguments(
                f"runs/{system}", f"model.system={system}", "train.epochs=2", "train.batch_size=8"), ranks=2)
            assert done.returncode == 0, done.stderr
        cls.run_folder = programs.run_folder("runs/xtasc")

    def test_run_folder_is_complete(self) -> None:
        run = self.run_folder
        for name in ("config.toml", "provenance.json", "metrics.jsonl", "DONE", "checkpoint/last/weights.pt",
                     "checkpoint/best/weights.pt"):
            self.assertTrue((run / name).is_file(), name)
        provenance = json.loads((run / "provenance.json").read_text())
        self.assertEqual(provenance["world_size"], 2)
        self.assertEqual(len(provenance["pack_digest"]), 32)
        self.assertTrue(provenance["finished"])
        records = metrics(run)
        self.assertEqual([record["epoch"] for record in records], [1, 2])
        self.assertEqual(set(records[0]["train_loss"]), {"seg", "depth", "seg_to_depth", "depth_to_seg", "total"})
        self.assertLess(records[1]["train_loss"]["total"], records[0]["train_loss"]["total"])
        for protocol in ("paper", "dataset"):
            self.assertLessEqual({"miou", "pix_acc", "abs_err", "rel_err", "rmse", "delta_1"}, set(records[0][protocol]))

    def test_evaluate_repeats_the_trainers_numbers_on_any_ranks(self) -> None:
        expected = metrics(self.run_folder)[-1]
        for ranks in (0, 1, 2, 3) if IS_LONG else (0, 3):
            path = programs.scratch / f"evaluate_{ranks}.json"
            done = programs.run("xtasc-evaluate", "--run", str(self.run_folder), "--checkpoint", "last", "--json",
                                str(path), ranks=ranks)
            self.assertEqual(done.returncode, 0, done.stderr)
            found = json.loads(path.read_text())
            for protocol in ("paper", "dataset"):
                for name, value in expected[protocol].items():
                    self.assertAlmostEqual(found[protocol][name] / value if value else found[protocol][name] + 1.0, 1.0,
                                           places=8, msg=f"{ranks} ranks, {protocol} {name}")
            self.assertAlmostEqual(found["losses"]["total"], expected["val_loss"]["total"], places=6)
            self.assertEqual(set(found["consistency"]), {"seg", "depth", "energy_2021"})
            for name, value in expected["consistency"].items():
                self.assertAlmostEqual(found["consistency"][name] / value, 1.0, places=6, msg=f"{ranks} ranks, {name}")
            self.assertIn("consistency.energy_2021", done.stdout)

    def test_evaluate_by_config_and_weights(self) -> None:
        done = programs.run("xtasc-evaluate", "--config", str(self.run_folder / "config.toml"), "--weights",
                            str(self.run_folder / "checkpoint/best/weights.pt"), "--pack", str(programs.pack))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("miou", done.stdout)

    def test_predict_samples_of_a_pack(self) -> None:
        output = programs.scratch / "predicted"
        done = programs.run("xtasc-predict", "--run", str(self.run_folder), "--pack", str(programs.pack), "--samples",
                            "0,2", "--output", str(output))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(png_size(output / "val_00000_label.png"), (32, 64))
        self.assertTrue((output / "val_00002_depth.npy").exists())
        height, width = png_size(output / "panel.png")
        self.assertGreater(width, 5 * 200)
        self.assertGreater(height, 200)

    def test_predict_a_users_image_at_its_own_size(self) -> None:
        image = programs.scratch / "photo.png"
        write_png(image, 90, 130, 3, lambda y, x: [(x + y) % 256] * 3)
        output = programs.scratch / "photo"
        done = programs.run("xtasc-predict", "--run", str(self.run_folder), "--images", str(image), "--output", str(output))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(png_size(output / "photo_label.png"), (90, 130))
        header = (output / "photo_depth.npy").read_bytes()[:128]
        self.assertIn(b"(90, 130)", header)

    def test_inspect(self) -> None:
        for arguments, expected in ((["pack", str(programs.pack)], "48 samples"),
                                    (["checkpoint", str(self.run_folder / "checkpoint/last")], "checksums agree"),
                                    (["model", "--config", str(self.run_folder / "config.toml")], "all, trainable")):
            done = programs.run("xtasc-inspect", *arguments)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(expected, done.stdout)

    def assert_close(self, found: object, expected: object, place: str = "") -> None:
        """Equal but for the last digits of numbers, which the order of sums decides."""
        self.assertEqual(type(found), type(expected), place)
        if isinstance(expected, dict):
            self.assertEqual(list(found), list(expected), place)
            for key in expected:
                self.assert_close(found[key], expected[key], f"{place}.{key}")
        elif isinstance(expected, list):
            self.assertEqual(len(found), len(expected), place)
            for i, (a, b) in enumerate(zip(found, expected)):
                self.assert_close(a, b, f"{place}[{i}]")
        elif isinstance(expected, float):
            self.assertLessEqual(abs(found - expected), 1e-6 * max(1e-3, abs(expected)), place)
        else:
            self.assertEqual(found, expected, place)

    def test_consistency_is_the_same_on_any_ranks(self) -> None:
        arguments = ["consistency", "--run", str(self.run_folder), "--checkpoint", "last", "--against",
                     str(programs.run_folder("runs/align")), *sets(["run.threads=1"])]  # threads change the last bits
        reports = []
        for ranks in (0, 3):
            path = programs.scratch / f"consistency_{ranks}.json"
            done = programs.run("xtasc-inspect", *arguments, "--json", str(path), ranks=ranks)
            self.assertEqual(done.returncode, 0, done.stderr)
            reports.append(json.loads(path.read_text()))
        found = reports[0]
        self.assert_close(reports[1], found)
        depth, segmentation = found["sides"]
        self.assertEqual((depth["y"], segmentation["y"], depth["images"]), ("depth", "segmentation", 7))
        for side in (depth, segmentation):
            self.assertEqual([inequality["claim"] for inequality in side["inequalities"]],
                             ["XTC = 0, to 0.01 of Var(direct)", "XTC <= ALIGN", "ALIGN <= its xi_Y",
                              "XTC <= its xi_Y"])
            values = {name: square["value"] for name, square in side["mean_squares"].items()}
            self.assertAlmostEqual(side["inequalities"][1]["difference"]["value"],
                                   values["XTC to direct"] - values["ALIGN to direct"])
            self.assertEqual({condition["number"] for condition in side["conditions"]}, {1, 2, 3, 4, 5})
        # The depth's xi_Y is the square of the evaluation's RMSE.
        rmse = metrics(self.run_folder)[-1]["dataset"]["rmse"]
        self.assertAlmostEqual(depth["mean_squares"]["XTC's xi_Y (direct to truth)"]["value"] / rmse**2, 1.0, places=6)

    def test_consistency_wants_transfer_nets_of_two_systems(self) -> None:
        base = str(programs.run_folder("runs/base_mt"))
        run = str(self.run_folder)
        for arguments, expected in ((["--run", run, "--against", base], "base_mt has no task-transfer nets"),
                                    (["--run", run, "--against", run], "both runs are of xtasc")):
            done = programs.run("xtasc-inspect", "consistency", *arguments)
            self.assertEqual((done.returncode, done.stdout), (2, ""), done.stderr)
            self.assertIn(expected, done.stderr)

    def test_tabulate(self) -> None:
        prefix = programs.scratch / "table"
        done = programs.run("xtasc-tabulate", str(programs.scratch / "runs"), "--output", str(prefix))
        self.assertEqual(done.returncode, 0, done.stderr)
        for model in ("Base MT-Net", "Align-Net", "XTasC-Net", *(["Base ST-Net"] if IS_LONG else [])):
            self.assertIn(model, done.stdout)
        self.assertTrue(prefix.with_suffix(".md").exists())
        with open(prefix.with_suffix(".csv"), newline="") as file:
            rows = list(csv.reader(file))
        self.assertTrue(all(len(row) == len(rows[0]) for row in rows))

    def test_a_damaged_checkpoint_is_refused(self) -> None:
        weights = self.run_folder / "checkpoint/best/weights.pt"
        good = weights.read_bytes()
        weights.write_bytes(good[:1000] + bytes([good[1000] ^ 1]) + good[1001:])
        done = programs.run("xtasc-evaluate", "--run", str(self.run_folder))
        weights.write_bytes(good)
        self.assertEqual(done.returncode, 1)
        self.assertIn("weights.pt is damaged", done.stderr)


class WrongInput(unittest.TestCase):
    """One clear line each, the right exit code, and nothing on standard output."""

    def refused(self, code: int, expected: str, program: str, *arguments: str, ranks: int = 0) -> None:
        done = programs.run(program, *arguments, ranks=ranks)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertEqual(done.stdout, "")
        lines = [line for line in done.stderr.splitlines() if line.startswith(program + ": error: ")]
        self.assertEqual(len(lines), 1, done.stderr)
        self.assertIn(expected, lines[0])
        if ranks == 0:
            beside = [line for line in done.stderr.splitlines() if line not in lines and not re.match(r"\d\d:\d\d:\d\d ", line)]
            self.assertEqual(beside, [], "only log lines may stand beside the error")

    def test_training(self) -> None:
        base = ["--config", str(programs.config)]
        self.refused(2, "--config is required", "xtasc-train")
        self.refused(2, "none.toml': No such file", "xtasc-train", "--config", "none.toml")
        self.refused(2, 'did you mean "encoder"?', "xtasc-train", *base, *sets(["model.encodr=resnet18"]))
        self.refused(2, 'did you mean "encoder"?', "xtasc-train", *base, *sets(["model.encodr=resnet18"]), ranks=2)
        self.refused(2, "train.batch_size must be an integer >= 1", "xtasc-train", *base, *sets(["train.batch_size=0"]))
        self.refused(2, "data.pack is not set", "xtasc-train", *base, *sets(["data.pack="]))
        self.refused(1, "none.h5", "xtasc-train", *base, *sets(["data.pack=none.h5"]))
        self.refused(1, "config.toml", "xtasc-train", *base, *sets([f"data.pack={programs.config}"]))
        self.refused(2, "run.device = \"cuda\"", "xtasc-train", *base, *sets(["run.device=cuda"]))
        self.refused(2, "the pack has label", "xtasc-train", *base, *sets(["data.label_set=label_19"]))
        self.refused(1, "/proc", "xtasc-train", *base, *sets(["run.output=/proc/none"]))
        self.refused(1, "none.pt", "xtasc-train", *base, *sets(
            [f"run.output={programs.scratch}/wrong", "model.encoder_weights=none.pt", *common.SMALL]))

    def test_a_damaged_pack(self) -> None:
        damaged = programs.scratch / "damaged.h5"
        content = bytearray(programs.pack.read_bytes())
        content[len(content) // 2] ^= 1
        damaged.write_bytes(content)
        arguments = ["--config", str(programs.config), *sets([f"data.pack={damaged}", f"run.output={programs.scratch}/wrong"])]
        done = programs.run("xtasc-train", *arguments, *sets(["data.verify=true"]), ranks=2)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn(f"{damaged} is damaged", done.stderr)
        self.assertRegex(done.stderr, r"/(train|val)/(image|label|depth): sample \d+")
        done = programs.run("xtasc-train", *arguments)  # without it, the sample is met when it is read
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, r"/(train|val)/(image|label|depth): sample \d+ cannot be read")

    def test_evaluating_and_predicting(self) -> None:
        self.refused(2, "name the model by --run DIR", "xtasc-evaluate")
        self.refused(2, "no folder none: give a run folder", "xtasc-evaluate", "--run", "none")
        self.refused(2, "--pack: cannot read 'none.h5': No such file", "xtasc-evaluate", "--run", "x", "--pack", "none.h5")
        self.refused(2, "cannot write 'none/a.json': No such file", "xtasc-evaluate", "--run", "x", "--json", "none/a.json")
        self.refused(2, "cannot read 'none.png': No such file", "xtasc-predict", "--run", "x", "--images", "none.png")
        self.refused(2, "--weights: cannot read 'none.pt': No such file", "xtasc-evaluate", "--config", str(programs.config),
                     "--weights", "none.pt")
        self.refused(2, "name the input by --images", "xtasc-predict", "--run", "none")
        self.refused(2, "--split", "xtasc-evaluate", "--run", "x", "--split", "test")
        self.refused(2, "--pack is empty", "xtasc-evaluate", "--run", "x", "--pack", "")
        self.refused(2, "--size is empty", "xtasc-predict", "--run", "x", "--images", "x.png", "--size", "")
        self.refused(2, "--orientation", "xtasc-predict", "--run", "x", "--images", "x.png", "--orientation", "turn")

    def test_inspecting(self) -> None:
        self.refused(2, "subcommand is required", "xtasc-inspect")
        self.refused(2, "DIR: cannot read 'none': No such file", "xtasc-inspect", "checkpoint", "none")
        self.refused(2, "PACK: cannot read 'none.h5': No such file", "xtasc-inspect", "pack", "none.h5")
        self.refused(2, "cannot write 'none/a.json'", "xtasc-inspect", "selftest", "--json", "none/a.json")
        self.refused(2, "name the model by --run DIR", "xtasc-inspect", "consistency")

    def test_preprocessing(self) -> None:
        self.refused(2, str(programs.pack), "xtasc-preprocess", "scenes", "--train", "2", "--val", "1", "--seed", "1",
                     "--output", str(programs.pack))
        self.refused(2, "32", "xtasc-preprocess", "scenes", "--train", "2", "--val", "1", "--seed", "1", "--size",
                     "30x64", "--output", "x.h5")
        self.refused(2, "--size is empty", "xtasc-preprocess", "scenes", "--train", "2", "--val", "1", "--size", "",
                     "--output", "x.h5")
        self.refused(2, "--seed is empty", "xtasc-preprocess", "scenes", "--train", "2", "--val", "1", "--seed", "",
                     "--output", "x.h5")
        self.refused(2, "none", "xtasc-preprocess", "nyuv2", "--root", "none", "--output", "x.h5")
        self.refused(2, "no folder 'none'", "xtasc-preprocess", "mtan", "--dataset", "nyuv2", "--root", "none",
                     "--output", "x.h5")
        self.refused(2, "PACK: cannot read 'none.h5': No such file", "xtasc-preprocess", "verify", "none.h5")
        self.refused(2, "--description: cannot read 'none.toml': No such file", "xtasc-preprocess", "folder", "--root", ".",
                     "--description", "none.toml", "--output", "x.h5")
        self.refused(2, "there is no folder 'none'", "xtasc-preprocess", "scenes", "--train", "2", "--val", "1",
                     "--output", "none/x.h5")
        self.refused(2, "--samples 999", "xtasc-preprocess", "show", str(programs.pack), "--samples", "0,999",
                     "--output", "x.png")
        self.assertFalse((programs.scratch / "x.h5").exists())

    def test_benchmarks(self) -> None:
        bench = ["xtasc-bench", "step"]
        self.refused(2, "the peer does not follow weighting.method = \"dwa\"", *bench, "--peer",
                     *sets(["weighting.method=dwa"]))
        self.refused(2, "--peer compares one rank", *bench, "--peer-compiled", *sets(["run.precision=fp64"]))
        self.refused(2, "--height, --width: size 100x256", *bench, "--height", "100")
        self.refused(2, "96x96 would do", "xtasc-bench", "scaling", "--sizes", "100x100")
        self.refused(2, 'unknown subcommand "bogus"; known are preprocess, pack, step', "xtasc-bench", "bogus")
        self.refused(2, 'unknown subcommand "bogus"', "xtasc-preprocess", "bogus", "--json", "x")
        self.refused(2, "A subcommand is required", "xtasc-bench")
        self.refused(2, "cannot write 'none/a.json': No such file", *bench, "--json", "none/a.json")
        self.refused(2, "--pack: cannot read 'none.h5': No such file", "xtasc-bench", "pack", "--pack", "none.h5")

    def test_tabulating(self) -> None:
        self.refused(2, "no folder none", "xtasc-tabulate", "none")
        self.refused(2, "--published: cannot read 'none.toml'", "xtasc-tabulate", "--field", "list", "--published", "none.toml")
        self.refused(2, "RUNS_DIR is empty", "xtasc-tabulate", "")
        self.refused(2, "--html notes.txt: the name of a page must end in .html", "xtasc-tabulate", "--html", "notes.txt", ".")


if __name__ == "__main__":
    common.main()
