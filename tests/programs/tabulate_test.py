"""xtasc-tabulate and `xtasc-sweep collect` as a user calls them, on run folders that are made up here."""

from __future__ import annotations

import argparse
import ctypes
import csv
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

bin_folder: pathlib.Path
NYUV2 = {"loss.lambda_1": 1e-4, "loss.lambda_2": 1e-4, "weighting.method": "uncertainty", "train.epochs": 100,
         "train.batch_size": 6, "train.lr_step": 60}
SMALL = {"train.epochs": 3, "model.encoder": "resnet18"}


class Xxh128(ctypes.Structure):
    _fields_ = [("low", ctypes.c_uint64), ("high", ctypes.c_uint64)]


def with_digest(line: str) -> str:
    """A line of metrics.jsonl as the trainer ends it: 16 digits of the XXH3-128 of what it is without them."""
    xxh3 = ctypes.CDLL("libxxhash.so.0").XXH3_128bits
    xxh3.restype, xxh3.argtypes = Xxh128, [ctypes.c_char_p, ctypes.c_size_t]
    content = line.encode()
    return f'{line[:-1]},"digest":"{xxh3(content, len(content)).high:016x}"}}'


def toml(settings: dict) -> str:
    sections: dict[str, list[str]] = {}
    for key, value in settings.items():
        section, name = key.split(".")
        sections.setdefault(section, []).append(f"{name} = {json.dumps(value)}")
    return "".join(f"[{section}]\n" + "\n".join(lines) + "\n" for section, lines in sections.items())


def write_run(folder: pathlib.Path, settings: dict, seed: int, quality: float, size: tuple[int, int] = (288, 384),
              dataset: str = "nyuv2", classes: int = 13, cosines: dict[str, float] | None = None) -> None:
    """A finished run: all that the programs read of one. cosines: of the tasks' gradients, in every epoch."""
    settings = {"data.pack": "pack.h5", **settings, "run.seed": seed}
    system = settings.get("model.system", "xtasc")
    has_segmentation, has_depth = system != "base_st_depth", system != "base_st_seg"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(toml(settings))
    texts = dict.fromkeys(("version", "commit", "diff_hash", "build_type", "compiler", "precision", "pack_path"), "")
    (folder / "provenance.json").write_text(json.dumps({
        **texts, "libraries": {}, "hosts": [], "devices": [], "world_size": 1, "pack_digest": "0" * 32,
        "pack_dataset": dataset, "pack_height": size[0], "pack_width": size[1], "pack_num_classes": classes,
        "pack_depth_kind": "metres", "command_line": [], "started": "", "finished": "", "resumed": [],
        "num_parameters": 31553344}))
    lines = []
    for epoch in range(1, settings.get("train.epochs", 250) + 1):
        values = {}
        if has_segmentation:
            values |= {"miou": 0.3 + quality, "pix_acc": 0.6 + quality}
        if has_depth:
            values |= {"abs_err": 0.64 - quality, "rel_err": 0.24 - quality}
        loss = {"seg": 1.0 / epoch, "depth": 0.5 / epoch, "total": 1.5 / epoch}
        lines.append(with_digest(json.dumps({
            "epoch": epoch, "step": epoch, "learning_rate": 1e-4, "train_loss": loss, "val_loss": loss,
            "task_weight": {}, "paper": values, "dataset": values, "class_iou": [], "is_best": epoch == 1,
            "images_per_second": 1.0, "seconds": {}, **({"gradients": {"cosine": cosines}} if cosines else {})})))
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "DONE").write_text("")


class Tables(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        cls._scratch = tempfile.TemporaryDirectory(prefix="xtasc-tabulate-")
        cls.scratch = pathlib.Path(cls._scratch.name)
        cls.runs = cls.scratch / "runs"
        for seed in (1, 2, 3):
            luck = 0.001 * seed * seed
            for system, quality in (("base_st_seg", 0), ("base_st_depth", 0), ("base_mt", 0.01), ("xtasc", 0.03)):
                write_run(cls.runs / f"{system}-{seed}", {**NYUV2, "model.system": system}, seed, quality + luck)

    @classmethod
    def tearDownClass(cls) -> None:
        cls._scratch.cleanup()

    def call(self, *arguments: str, program: str = "xtasc-tabulate", code: int = 0,
             path: str | None = None) -> subprocess.CompletedProcess[str]:
        # From a folder of its own: nothing may depend on the source tree.
        environment = os.environ | ({"PATH": path} if path is not None else {})
        done = subprocess.run([str(bin_folder / program), *arguments], capture_output=True, text=True, timeout=120,
                              cwd=self.scratch, env=environment, check=False)
        self.assertEqual(done.returncode, code, done.stderr)
        return done

    def test_the_papers_tables_beside_ours(self) -> None:
        text = self.call("--paper", "runs").stdout
        for number in ("I", "II", "III", "IV", "V", "VI", "VII", "VIII"):
            self.assertIn(f"## Table {number}. ", text)
        self.assertIn("64.58 looks like a misprint", text)
        self.assertIn("`xtasc-sweep run sweeps/table_I.toml`", text)
        titled = self.call("--paper", "--only", "III", "--title", "A copy", "--format", "latex", "runs").stdout
        self.assertRegex(titled, r"\\caption\{The paper's Table III\..* A copy\.\}")
        rows = list(csv.DictReader(io.StringIO(
            self.call("--paper", "--only", "III", "--format", "csv", "runs").stdout)))
        by_model = {row["model"]: row for row in rows}
        self.assertEqual([row["seeds"] for row in rows], ["3", "3", "missing", "3"])
        self.assertAlmostEqual(float(by_model["XTasC-Net"]["miou"]), 100 * (0.33 + 0.014 / 3), places=9)
        self.assertEqual(by_model["XTasC-Net"]["miou_paper"], "30.31")
        self.assertEqual(by_model["Align-Net"]["miou"], "")

    def test_the_papers_tables_without_any_run(self) -> None:
        text = self.call("--paper", "--only", "I").stdout
        self.assertEqual(text.count(" missing "), 4, text)

    def test_output_files(self) -> None:
        self.call("--paper", "--output", "made/here", "runs")
        for extension in (".md", ".csv", ".tex"):
            self.assertGreater((self.scratch / f"made/here{extension}").stat().st_size, 1000)

    def test_rows_by_config_keys(self) -> None:
        text = self.call("--by", "system,lambda_1", "--protocol", "paper", "runs").stdout
        self.assertRegex(text, r"\| XTasC-Net +\| 0.0001 +\| +3 \|")
        done = self.call("--by", "lamda_1", "runs", code=2)
        self.assertIn('did you mean "lambda_1"?', done.stderr)

    def test_seeds_each_or_mean(self) -> None:
        each = self.call("--protocol", "paper", "runs").stdout
        mean = self.call("--protocol", "paper", "--seeds", "mean", "runs").stdout
        self.assertEqual(len(re.findall(r"^\| XTasC-Net", each, re.MULTILINE)), 3)
        self.assertEqual(len(re.findall(r"^\| XTasC-Net", mean, re.MULTILINE)), 1)
        self.assertIn(" +- ", mean)
        self.assertNotIn(" +- ", each)

    def test_mean10_is_of_runs_with_ten_epochs(self) -> None:
        text = self.call("--checkpoint", "mean10", "--protocol", "paper", "runs").stdout
        self.assertIn("mean10 (last ten epochs' mean)", text)
        write_run(self.scratch / "short/a", SMALL, 1, 0.0)
        done = self.call("--checkpoint", "mean10", "short", code=1)
        self.assertIn("short/a: mean10 is of the last 10 epochs, and this run has 3", done.stderr)
        self.assertIn("| XTasC-Net", self.call("short").stdout)
        mixed = self.call("--checkpoint", "mean10", "--protocol", "paper", "short", "runs").stdout
        self.assertIn("- short/a: mean10 is of the last 10 epochs", mixed)

    def test_the_sign_of_delta_m(self) -> None:
        def of_xtasc(*arguments: str) -> list[dict[str, str]]:
            text = self.call("--protocol", "paper", "--format", "csv", *arguments, "runs").stdout
            return [row for row in csv.DictReader(io.StringIO(text)) if row["model"] == "XTasC-Net"]

        for paper, field in zip(of_xtasc(), of_xtasc("--delta-sign", "field"), strict=True):
            self.assertGreater(float(paper["delta_m_percent"]), 0)
            self.assertEqual(float(field["delta_m_lower_is_better_percent"]), -float(paper["delta_m_percent"]))
        self.assertIn("the mean over each task's metrics first", self.call("--delta-mean", "tasks", "runs").stdout)

    def test_the_fields_tables_beside_ours(self) -> None:
        ids = [line.split()[0] for line in self.call("--field", "list").stdout.splitlines()]
        self.assertIn("nyuv2_mtan_3", ids)
        self.assertIn('did you mean "nyuv2_mtan_3"?', self.call("--field", "nyuv2_mtan3", code=2).stderr)
        for table in ids:
            with self.subTest(table):
                self.assertIn(f"## {table}: ", self.call("--field", table).stdout)
        text = self.call("--field", "readme_nyuv2_3tasks", "runs").stdout
        self.assertEqual(len(re.findall(r"^\| published", text, re.MULTILINE)), 4)
        self.assertRegex(text, r"\| ours \[\d\] +\| uncertainty +\| XTasC-Net, resnet34")
        self.assertIn("tasks seg, depth (published: tasks seg, depth, normals)", text)
        self.assertNotIn("(published: 288 x 384 pixels)", text)
        self.assertIn("finished nets are not shown: of another data set", self.call("--field", "cityscapes_mtan_2", "runs").stdout)
        self.assertIn("one protocol a table", self.call("--field", ids[0], "--protocol", "both", "runs", code=2).stderr)

    def test_published_tables_of_a_file(self) -> None:
        (self.scratch / "own.toml").write_text(
            '[mine]\ntitle = "Mine"\ndataset = "nyuv2"\ntasks = ["seg"]\nsize = [288, 384]\nclasses = 13\n'
            'metrics = ["miou"]\ndelta = { better = "lower", mean_over = "metrics", base = "A" }\n'
            'rows = [{ method = "A", values = [40.0] }, { method = "B", values = [41.0], delta_m = -9.9 }]\n')
        text = self.call("--field", "mine", "--published", "own.toml", "runs").stdout
        self.assertIn("-9.9 of B is not what its printed figures give over A: -2.50", text)
        self.assertIn("| ours", text)
        broken = self.scratch / "broken.toml"
        broken.write_text((self.scratch / "own.toml").read_text().replace("[41.0]", "[41.0, 1]"))
        self.assertIn("[mine] row 2: values has 2 numbers, and 1 are wanted",
                      self.call("--field", "mine", "--published", "broken.toml", code=2).stderr)

        self.assertIn("--published is of --paper, --field and --figure",
                      self.call("--published", "own.toml", "runs", code=2).stderr)

    def test_options_that_do_not_go_together(self) -> None:
        for arguments in (("--paper", "--by", "seed"), ("--paper", "--delta-sign", "field"), ("--metrics", "miou"),
                          ("--field", "nyuv2_mtan_3", "--paper"), ("--field", "nyuv2_mtan_3", "--delta-mean", "tasks"),
                          ("--figure", "curves", "--metrics", "miou", "--output", "x"), ("--only", "I"), ("--paper", "--figure", "curves"),
                          ("--only", "IX", "--paper"), ("--format", "html")):
            done = self.call(*arguments, "runs", code=2)
            self.assertEqual(done.stdout, "")

    def test_latex_compiles(self) -> None:
        text = self.call("--paper", "--format", "latex", "runs").stdout
        default = self.call("--format", "latex", "runs").stdout
        if shutil.which("pdflatex") is None:
            self.skipTest("pdflatex is not installed")
        folder = self.scratch / "latex"
        folder.mkdir()
        (folder / "tables.tex").write_text(text + default)
        (folder / "document.tex").write_text(
            "\\documentclass[a4paper]{article}\n\\usepackage[margin=15mm]{geometry}\n\\usepackage{booktabs}\n"
            "\\begin{document}\n\\input{tables}\n\\end{document}\n")
        done = subprocess.run(["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "document.tex"], cwd=folder,
                              capture_output=True, text=True, timeout=120, check=False)
        if "booktabs.sty' not found" in done.stdout:
            self.skipTest("LaTeX lacks booktabs")
        self.assertEqual(done.returncode, 0, done.stdout[-2000:])
        for points in re.findall(r"Overfull \\hbox \(([0-9.]+)pt", done.stdout):
            self.assertLess(float(points), 12.0, "a table is wider than the page")

    def test_figures(self) -> None:
        if shutil.which("gnuplot") is None:
            self.skipTest("gnuplot is not installed")
        for figure in ("curves", "lambda", "encoders"):
            with self.subTest(figure):
                self.call("--figure", figure, "--output", f"figures/{figure}", "runs")
                self.assertTrue((self.scratch / f"figures/{figure}.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n"))
                self.assertIn("</svg>", (self.scratch / f"figures/{figure}.svg").read_text())
                script = (self.scratch / f"figures/{figure}.gp").read_text()
                self.assertNotIn(str(self.scratch), script, "the script goes to another machine as it is")

    def test_a_figure_on_a_full_disk_leaves_the_one_before(self) -> None:
        if shutil.which("gnuplot") is None:
            self.skipTest("gnuplot is not installed")
        self.call("--figure", "curves", "--output", "figures/whole", "runs")
        script, disk = (self.scratch / "figures/whole.gp").stat().st_size, self.scratch / "disk"
        disk.mkdir()
        # Room for the script, and none for all of a picture.
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={script // 1024 + 24}k", "none", str(disk)], capture_output=True, text=True,
                                 check=False)
        if mounted.returncode != 0:
            self.skipTest(f"cannot mount a file system: {mounted.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", str(disk)], check=True)
        (disk / "f.svg").write_text("as it was")
        told = self.call("--figure", "curves", "--output", str(disk / "f"), "runs", code=1).stderr
        self.assertIn(f"gnuplot wrote no whole {disk}/f.", told)
        self.assertEqual(sorted(path.name for path in disk.iterdir()), ["f.gp", "f.svg"])
        self.assertEqual((disk / "f.svg").read_text(), "as it was")

    def test_figures_of_kept_labels_and_of_pairs(self) -> None:
        if shutil.which("gnuplot") is None:
            self.skipTest("gnuplot is not installed")
        for share in (1.0, 0.5):
            write_run(self.scratch / f"labels/{share}", {**SMALL, "data.label_share": share}, 1, share / 10)
        for system in ("base_st_seg", "base_st_depth", "base_mt"):
            write_run(self.scratch / f"pairs/{system}", {**SMALL, "model.system": system}, 1, 0.0)
        write_run(self.scratch / "pairs/one", {**SMALL, "model.transfer_pairs": ["seg>depth"]}, 1, 0.01)
        for figure, shown in (("labels", "0.5"), ("pairs", "+2.68")):
            with self.subTest(figure):
                self.call("--figure", figure, "--output", f"figures/{figure}", figure)
                self.assertTrue((self.scratch / f"figures/{figure}.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n"))
                self.assertIn(shown, (self.scratch / f"figures/{figure}.svg").read_text())
        done = self.call("--figure", "pairs", "--output", "x", "labels", code=1)
        self.assertIn("no finished run has a single pair in model.transfer_pairs", done.stderr)

    def test_figures_of_the_front_and_of_conflict(self) -> None:
        if shutil.which("gnuplot") is None:
            self.skipTest("gnuplot is not installed")
        for method, quality in (("equal", 0.0), ("pcgrad", 0.01), ("mgda", 0.02)):
            for seed in (1, 2):
                write_run(self.scratch / f"methods/{method}-{seed}", {**SMALL, "weighting.method": method}, seed,
                          quality * seed, cosines={"seg,depth": quality * seed - 0.015} if method != "equal" else None)
        for figure, shown in (("front", "not dominated"), ("conflict", "Segmentation and depth")):
            with self.subTest(figure):
                done = self.call("--figure", figure, "--output", f"figures/{figure}", "methods")
                self.assertTrue((self.scratch / f"figures/{figure}.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n"))
                svg = (self.scratch / f"figures/{figure}.svg").read_text()
                self.assertIn(shown, svg)
                self.assertIn("pcgrad", svg)
                self.assertEqual("not drawn: 1 of 3 nets" in done.stderr, figure == "conflict", done.stderr)
        self.call("--figure", "front", "--metrics", "pix_acc", "--output", "figures/front", "methods")
        self.assertIn("PixAcc", (self.scratch / "figures/front.svg").read_text())
        done = self.call("--figure", "front", "--metrics", "pixacc", "--output", "x", "methods", code=2)
        self.assertIn('did you mean "pix_acc"?', done.stderr)
        done = self.call("--figure", "conflict", "--output", "x", "runs", code=1)
        self.assertIn("no finished run has anything of its tasks' gradients", done.stderr)

    def test_a_figure_without_gnuplot_leaves_its_script(self) -> None:
        done = self.call("--figure", "curves", "--output", "alone/curves", "runs", code=1, path="/nonexistent")
        self.assertIn("gnuplot is not installed", done.stderr)
        self.assertTrue((self.scratch / "alone/curves.gp").exists())
        self.assertIn("--output PREFIX is needed", self.call("--figure", "curves", "runs", code=2).stderr)

    def test_a_figure_is_of_one_pack(self) -> None:
        write_run(self.scratch / "two/a", SMALL, 1, 0.0)
        write_run(self.scratch / "two/b", SMALL, 1, 0.0, size=(96, 128))
        done = self.call("--figure", "curves", "--output", "x", "two", code=2)
        self.assertIn("runs on 2 packs", done.stderr)

    def test_collect(self) -> None:
        pack = {"data.pack": "pack.h5", "data.pack_digest": "0" * 32}
        (self.scratch / "base.toml").write_text(toml({**SMALL, **pack, "run.output": "swept"}))
        (self.scratch / "sweep.toml").write_text(
            'title = "Two"\nbase = "base.toml"\nseeds = [1, 2]\nbaseline = "Base MT-Net"\n'
            '[[point]]\nname = "Base MT-Net"\nmodel.system = "base_mt"\n'
            '[[point]]\nname = "XTasC-Net"\nmodel.system = "xtasc"\n')
        done = self.call("collect", "sweep.toml", program="xtasc-sweep", code=1)
        self.assertIn("no run of sweep is done", done.stderr)
        plan = self.call("plan", "sweep.toml", program="xtasc-sweep").stdout
        ids = re.findall(r"\b(?:base_mt|xtasc)_resnet18-[0-9a-f]{8}\b", plan)
        self.assertEqual(len(set(ids)), 4, plan)
        for number, run in enumerate(ids[:3]):
            system, seed = run.split("_resnet18")[0], number % 2 + 1
            write_run(self.scratch / "swept/sweep" / run, {**SMALL, **pack, "model.system": system}, seed, 0.01 * number)
        done = self.call("collect", "sweep.toml", "--output", "collected", program="xtasc-sweep")
        self.assertIn("| XTasC-Net", done.stdout)
        self.assertIn("1 of 4 runs are not in the table", done.stderr)
        self.assertIn("XTasC-Net, seed 2: waiting", done.stdout)
        self.assertIn("nothing can be said", done.stdout)
        for extension in (".md", ".csv", ".tex"):
            self.assertTrue((self.scratch / f"collected{extension}").exists())
        field = self.call("collect", "sweep.toml", "--delta-sign", "field", program="xtasc-sweep").stdout
        self.assertIn("lower is better", field)
        done = self.call("collect", "sweep.toml", "--checkpoint", "mean10", program="xtasc-sweep", code=1)
        self.assertIn("no run of sweep that is done has the ten epochs that --checkpoint mean10 is of", done.stderr)


def main() -> None:
    global bin_folder
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of the programs")
    options, rest = parser.parse_known_args()
    bin_folder = options.bin.resolve()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)


if __name__ == "__main__":
    main()
