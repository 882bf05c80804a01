"""The Python package, results/python, on real runs: tables of runs, networks, packs, and the example of docs/python.md."""

from __future__ import annotations

import json
import os
import pathlib
import pickle
import re
import shutil
import subprocess
import sys
import tomllib
import unittest
import warnings

import common
from common import SOURCE, Programs, h5py_or_skip
from png import write_png

sys.path.append(str(SOURCE / "results/python"))
import xtasc  # noqa: E402

try:
    import torch
except ImportError as error:
    print(f"skipped: {error}")
    sys.exit(77)

programs: Programs
PACKAGE = SOURCE / "results/python"
TASKS = ("segmentation", "depth", "normals")
SIZE = (32, 64)

# System, tasks, and other keys of [model]: every network, every form of transfer (pairs: the trained run), one to three tasks.
NETWORKS = (
    ("xtasc", TASKS, {"transfer": "ring", "ttnet_batch_norm": True}),
    ("xtasc", TASKS, {"transfer": "sample"}),
    ("xtasc", TASKS, {"transfer_pairs": ["seg>normals", "depth>seg"]}),
    ("align", TASKS[:2], {}),
    ("base_mt", TASKS[1:], {}),
    ("base_st_seg", TASKS[:1], {}),
    ("base_st", TASKS[2:], {}),
    ("segnet", TASKS[:1], {}),
    ("stan", TASKS[2:], {}),
    ("mtan", TASKS[:2], {}),
    ("kd4mtl", TASKS[:2], {}),
    ("dense", TASKS[:2], {}),
    ("cross_stitch", TASKS[:2], {}),
    ("cross_stitch", TASKS[1:], {"cross_stitch": "misra"}),
    ("adamt", TASKS[:2], {}),
    ("adamt", TASKS, {"adamt_attention": "per_slot"}),
    ("deeplab", TASKS, {}),
)
SMALL_NET = {"encoder": "resnet18", "decoder_width": 8, "ttnet_widths": [8, 8, 8]}


def setUpModule() -> None:
    """The runs of the example, made as README makes them: three tasks, and a net of the segmentation alone."""
    os.environ["PYTHONPATH"] = str(PACKAGE)
    os.environ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"  # large nets in fp64: most of the time would go into page faults
    torch.set_num_threads(1)
    (programs.scratch / "data").mkdir()
    programs.pack = programs.scratch / "data/scenes.h5"
    made = programs.run("xtasc-preprocess", "scenes", "--train", "8", "--val", "4", "--normals", "--size", "32x64", "--output",
                        str(programs.pack))
    assert made.returncode == 0, made.stderr
    programs.config.write_text('[data]\npack = "data/scenes.h5"\n[evaluate]\nbatch_size = 4\n')
    for name, *more in (("first", f"model.tasks={json.dumps(TASKS)}"), ("seg", "model.system=base_st_seg")):
        done = programs.run("xtasc-train", *programs.train_arguments(f"results/runs/{name}", "train.epochs=2",
                                                                     "train.batch_size=4", *more))
        assert done.returncode == 0, done.stderr
    os.chdir(programs.scratch)


def python(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-B", "-c", text], capture_output=True, text=True, check=False, timeout=300)


class Runs(unittest.TestCase):
    def setUp(self) -> None:
        self.run = programs.run_folder("results/runs/first")

    def test_a_row_has_what_the_files_have(self) -> None:
        by_name = xtasc.run("results/runs/first").row()
        config = tomllib.loads((self.run / "config.toml").read_text())
        for section, keys in config.items():
            for key, value in keys.items():
                self.assertEqual(by_name[f"{section}.{key}"], value)
        lines = [json.loads(line) for line in (self.run / "metrics.jsonl").read_text().splitlines()]
        best = [line for line in lines if line["is_best"]][-1]
        for protocol in ("paper", "dataset"):
            for metric, value in lines[-1][protocol].items():
                self.assertEqual(by_name[f"last.{protocol}.{metric}"], value)
                self.assertEqual(by_name[f"best.{protocol}.{metric}"], best[protocol][metric])
        provenance = json.loads((self.run / "provenance.json").read_text())
        self.assertEqual(by_name["provenance.libraries.torch"], provenance["libraries"]["torch"])
        self.assertEqual((by_name["run"], by_name["state"], by_name["epochs"]), (self.run.name, "done", 2))

    def test_a_table_has_every_run_once_and_every_epoch(self) -> None:
        rows = xtasc.runs(["results/runs", self.run])
        if not isinstance(rows, list):
            rows = rows.to_dict("records")
        self.assertEqual([row["run"] for row in rows], [self.run.name, programs.run_folder("results/runs/seg").name])
        without = python("import sys; sys.modules['pandas'] = None; import xtasc; "
                         "print([(row['epoch'], row['paper.miou']) for row in xtasc.runs('results/runs/seg', by_epoch=True)])")
        lines = (programs.run_folder("results/runs/seg") / "metrics.jsonl").read_text().splitlines()
        expected = [(line["epoch"], line["paper"]["miou"]) for line in map(json.loads, lines)]
        self.assertEqual(without.stdout.strip(), str(expected), without.stderr)

    def test_broken_runs_are_told_by_their_path(self) -> None:
        broken = programs.scratch / "broken"
        for name in ("torn", "empty", "unread", "unset"):
            shutil.copytree(self.run, broken / name, ignore=shutil.ignore_patterns("checkpoint"))
        metrics = self.run / "metrics.jsonl"
        (broken / "torn/metrics.jsonl").write_bytes(metrics.read_bytes()[:-40])
        (broken / "empty/metrics.jsonl").unlink()
        (broken / "unset/config.toml").write_text("[run]\n")
        (broken / "unread/metrics.jsonl").write_text("{}\n" + metrics.read_text())
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            rows = [one.row() for one in xtasc.folders.readable_runs(broken)]
        self.assertEqual({pathlib.Path(row["folder"]).name: row["epochs"] for row in rows}, {"torn": 1, "empty": 0})
        told = sorted(str(warning.message) for warning in caught)
        self.assertEqual(len(told), 4, told)
        for text, (path, words) in zip(told, (("empty", "has no metrics.jsonl"), ("torn/metrics.jsonl", "cut off"),
                                              ("unread", "line 1 is not an epoch's"), ("unset", "no section [data]"))):
            self.assertTrue(text.startswith(f"{broken / path}: "), text)
            self.assertIn(words, text)
        with self.assertRaisesRegex(xtasc.XtascError, "2 runs below results/runs: give the folder of one of them"):
            xtasc.run("results/runs")

    def test_of_a_run_with_held_out_images_the_validation_split_is_shown(self) -> None:
        folder = programs.scratch / "held_out"
        shutil.copytree(self.run, folder, ignore=shutil.ignore_patterns("checkpoint"))
        shutil.copy(folder / "metrics.jsonl", folder / "final.jsonl")
        lines = [json.loads(line) for line in (folder / "final.jsonl").read_text().splitlines()]
        for line in lines:  # what data.holdout writes: other numbers, in another place
            expected = line.pop("paper")
            line["holdout"] = {"loss": line.pop("val_loss"), "paper": {"miou": 0.125}, "dataset": line.pop("dataset")}
            line["digest"] = "not looked at"
        (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
        run = xtasc.run(folder)
        self.assertEqual(run.row()["last.paper.miou"], expected["miou"])
        self.assertEqual([row["holdout.paper.miou"] for row in run.epoch_rows()], [0.125, 0.125])
        (folder / "metrics.jsonl").unlink()
        with self.assertWarnsRegex(xtasc.BrokenRun, "it has no metrics.jsonl"):
            self.assertEqual(xtasc.run(folder).row()["epochs"], 0)

    def test_the_version_is_the_programs_and_pip_builds_it(self) -> None:
        self.assertEqual(programs.run("xtasc-train", "--version").stdout.split()[1], xtasc.__version__)
        copy = programs.scratch / "package"
        shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
        setup = "import sys; sys.argv = ['setup.py', *{}]; from setuptools import setup; setup()"
        done = [subprocess.run([sys.executable, "-c", setup.format(words)], cwd=copy, capture_output=True, text=True,
                               check=False)
                for words in (["--version"], ["-q", "build_py", "--build-lib", "built"])]
        if "No module named 'setuptools'" in done[0].stderr:
            self.skipTest("no setuptools")
        self.assertEqual(done[0].stdout.split()[-1:], [xtasc.__version__], done[0].stderr)
        for source in PACKAGE.rglob("*.py"):
            self.assertTrue((copy / "built" / source.relative_to(PACKAGE)).is_file(), f"{source}: {done[1].stderr}")
        self.assertTrue((copy / "built/xtasc/py.typed").is_file())


class Networks(unittest.TestCase):
    """Random weights, with running statistics that are not those of the start, through xtasc-predict in fp64."""

    def random_run(self, name: str, system: str, tasks: tuple[str, ...], keys: dict) -> pathlib.Path:
        from xtasc.nets import NetOptions, make_net

        keys = {**SMALL_NET, "system": system, **keys}
        if not system.startswith("base_st_"):  # whose word says the task
            keys["tasks"] = list(tasks)
        of_net = {key: tuple(value) if isinstance(value, list) else value for key, value in keys.items()}
        net = make_net(NetOptions(**of_net, num_classes=7, height=SIZE[0], width=SIZE[1], batch_size=2))
        for module in net.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                for values in (module.running_mean, module.weight.data, module.bias.data):
                    values.add_(torch.randn_like(values), alpha=0.1)
                module.running_var.mul_(1 + 0.2 * torch.rand_like(module.running_var))
        for parameter_name, parameter in net.named_parameters():
            if parameter_name.startswith("cs_unit"):  # all alike at first
                parameter.data.mul_(1 + 0.2 * torch.rand_like(parameter))
        run = programs.scratch / "random" / name
        (run / "checkpoint/best").mkdir(parents=True)
        torch.save(net.state_dict(), run / "checkpoint/best/weights.pt")
        sections = {"model": keys, "data": {"pack": str(programs.pack), "normalise": system != "deeplab"},
                    "train": {"batch_size": 2}}
        (run / "config.toml").write_text("".join(f"[{section}]\n" + "".join(f"{key} = {json.dumps(value)}\n"
                                                                           for key, value in values.items())
                                                 for section, values in sections.items()))
        return run

    def holds(self, run: pathlib.Path, *source: str) -> None:
        """The package's outputs are those of `xtasc-predict` with this source of weights."""
        output = programs.scratch / "predicted"
        done = programs.run("xtasc-predict", *source, *common.sets(["run.precision=fp64", "run.threads=1"]), "--pack",
                            str(programs.pack), "--samples", "1", "--tensors", "--output", str(output))
        self.assertEqual(done.returncode, 0, done.stderr)
        theirs = torch.load(output / "val_00001.pt")
        net = xtasc.load(run).double()
        with torch.no_grad():
            val = xtasc.pack(programs.pack, "val")
            both = net(torch.stack([val[0]["image"], val[1]["image"]]))  # no image sees its place in a batch
            ours = {key: value[1:] for key, value in both.items()}
        self.assertEqual(set(theirs), set(net.tasks))
        for key, value in theirs.items():
            self.assertEqual(value.dtype, torch.float64)
            if key == "normals":
                value = torch.nn.functional.normalize(value, dim=1)
            mine = ours["seg_logits" if key == "seg" else key]
            self.assertLess((mine - value).abs().max().item(), 1e-10 * max(1.0, value.abs().max().item()), key)
        if "seg" in theirs:
            torch.testing.assert_close(ours["seg_probability"], torch.softmax(theirs["seg"], dim=1), rtol=0, atol=1e-10)
            self.assertTrue((ours["seg_label"] == theirs["seg"].argmax(dim=1)).all())

    def test_every_network_gives_what_xtasc_predict_gives(self) -> None:
        for number, (system, tasks, keys) in enumerate(NETWORKS):
            with self.subTest(system=system, tasks=tasks, **keys):
                torch.manual_seed(number)
                run = self.random_run(f"{number}_{system}", system, tasks, keys)
                self.holds(run, "--config", str(run / "config.toml"), "--weights", str(run / "checkpoint/best/weights.pt"))
                shutil.rmtree(run)  # some are large

    def test_which_have_an_encoder(self) -> None:
        from xtasc.nets import NETS, NetOptions, make_net

        for system in NETS:
            tasks = TASKS[:1] if system == "stan" else TASKS[:2]
            with torch.device("meta"):
                names = make_net(NetOptions(system=system, tasks=tasks)).state_dict()
            has_one = "encoder.layer1.0.conv1.weight" in names
            self.assertEqual(system not in xtasc.folders.WITHOUT_ENCODER, has_one, system)

    def test_weights_that_do_not_fit_are_named(self) -> None:
        run = self.random_run("unfit", "base_st_seg", TASKS[:1], {})
        path = run / "checkpoint/best/weights.pt"
        weights = torch.load(path)
        weights["seg_decoder.extra"] = weights.pop("seg_decoder.block1.conv1.bias")
        torch.save(weights, path)
        with self.assertRaisesRegex(xtasc.XtascError, r"missing: seg_decoder.block1.conv1.bias; left over: seg_decoder.extra"):
            xtasc.load(run)
        with self.assertRaisesRegex(xtasc.XtascError, "no weights .*last.*: the run has best checkpoints"):
            xtasc.load(run, "last")
        path.write_bytes(path.read_bytes()[:1000])
        with self.assertRaisesRegex(xtasc.XtascError, "is no file of weights, or is damaged"):
            xtasc.load(run)

    def test_pixels_are_the_same_from_a_picture_and_a_pack(self) -> None:
        run = xtasc.run("results/runs/first")
        image = xtasc.pack(programs.pack, "val")[1]["image"].numpy()
        write_png(programs.scratch / "same/pixels.png", *image.shape, lambda y, x: image[y, x])
        output = programs.scratch / "same/out"
        done = programs.run("xtasc-predict", "--run", str(run.folder), *common.sets(["run.precision=fp64", "run.threads=1"]),
                            "--images", str(programs.scratch / "same/pixels.png"), "--tensors", "--output", str(output))
        self.assertEqual(done.returncode, 0, done.stderr)
        with torch.no_grad():
            ours = xtasc.load(run).double()(torch.from_numpy(image)[None])
        theirs = torch.load(output / "pixels.pt")
        torch.testing.assert_close(ours["depth"], theirs["depth"], rtol=0, atol=1e-10)
        torch.testing.assert_close(ours["seg_logits"], theirs["seg"], rtol=0, atol=1e-10)

    def test_a_trained_run_measures_what_its_file_says(self) -> None:
        """Weights, pack and metrics together: the package's predictions against its truths give the run's own numbers."""
        run = xtasc.run("results/runs/first")
        self.holds(run.folder, "--run", str(run.folder))
        net = xtasc.load(run, "last")
        self.assertEqual(net.class_names, xtasc.pack(programs.pack).class_names)
        val = torch.utils.data.default_collate(list(xtasc.pack(programs.pack, "val")))
        with torch.no_grad():
            found = net(val["image"])
        with self.assertRaisesRegex(ValueError, "images are of 30 x 64 pixels: multiples of 32 are needed"):
            net(val["image"][:, :30])
        of_floats = net(val["image"].permute(0, 3, 1, 2) / 255)
        torch.testing.assert_close(of_floats["depth"], found["depth"])
        numbers = run.evaluation["last"]["dataset"]
        known = val["depth"] > 0
        self.assertAlmostEqual((found["depth"] - val["depth"])[known].abs().mean().item(), numbers["abs_err"], places=4)
        labelled = val["label"] != 255
        right = (found["seg_label"] == val["label"])[labelled].double().mean().item()
        self.assertAlmostEqual(right, numbers["pix_acc"], places=3)
        pointing = (val["normals"] != 0).any(dim=1)
        angle = torch.rad2deg(torch.acos((found["normals"] * val["normals"]).sum(dim=1)[pointing].clamp(-1, 1).double()))
        self.assertAlmostEqual(angle.mean().item(), numbers["angle_mean"], places=2)


class Packs(unittest.TestCase):
    def test_samples_are_those_of_the_file_in_every_worker(self) -> None:
        h5py = h5py_or_skip()
        pack = xtasc.pack(programs.pack, "train")
        self.assertEqual(len(pack), 8)
        self.assertRegex(repr(pack), r"scenes, 8 samples of 32 x 64, 7 classes, depth, normals")
        with h5py.File(programs.pack) as file:
            raw = {name: file["train"][name][:] for name in ("image", "label", "depth", "normals")}
            scale = file.attrs["depth_scale"]
        loader = torch.utils.data.DataLoader(pack, batch_size=4, num_workers=2)
        batches = list(loader)
        found = {name: torch.cat([batch[name] for batch in batches]).numpy() for name in batches[0]}
        self.assertTrue((found["image"] == raw["image"]).all())
        self.assertTrue((found["label"] == raw["label"]).all())
        self.assertTrue((found["depth"][:, 0] == raw["depth"].astype("f4") * scale.astype("f4")).all())
        length = (found["normals"].astype("f8") ** 2).sum(axis=1)
        known = (raw["normals"] != 0).any(axis=3)
        self.assertLess(abs(length - known).max(), 1e-6)
        self.assertTrue(found["has_seg"].all())
        child = os.fork()
        if child == 0:
            pack[0]
            os._exit(int(pack._process != os.getpid()))
        self.assertEqual(os.waitpid(child, 0)[1], 0, "a forked worker reads its parent's file")
        self.assertTrue((pickle.loads(pickle.dumps(pack))[7]["image"].numpy() == raw["image"][7]).all())  # as of a spawned one
        with self.assertRaisesRegex(xtasc.XtascError, 'has no split "test": it has train and val'):
            xtasc.pack(programs.pack, "test")

    def test_old_packs_and_missing_labels(self) -> None:
        h5py = h5py_or_skip()
        partial, old = programs.scratch / "partial.h5", programs.scratch / "old.h5"
        for path in (partial, old):
            shutil.copy(programs.pack, path)
        with h5py.File(partial, "r+") as file:
            file["val"]["has_depth"] = [1, 0, 1, 0]
        with h5py.File(old, "r+") as file:  # texts of variable length
            file.attrs["version"] = 1
            names = [name.decode() for name in file["val/name"][:]]
            del file["val/name"]
            file["val"].create_dataset("name", data=names, dtype=h5py.string_dtype())
            file.attrs["class_names"] = [name.decode() for name in file.attrs["class_names"]]
            file["val/label"].attrs["class_names"] = list(file.attrs["class_names"])
        pack = xtasc.pack(partial, "val")
        self.assertIn("2 with depth", repr(pack))
        self.assertEqual([bool(sample["has_depth"]) for sample in pack], [True, False, True, False])
        self.assertEqual([bool((sample["depth"] > 0).any()) for sample in pack], [True, False, True, False])
        self.assertEqual((xtasc.pack(old, "val").names, xtasc.pack(old, "val").class_names), (pack.names, pack.class_names))
        with h5py.File(old, "r+") as file:
            file.attrs["version"] = 9
        with self.assertRaisesRegex(xtasc.XtascError, "is a pack of version 9"):
            xtasc.pack(old)
        old.write_text("no pack")
        with self.assertRaisesRegex(xtasc.XtascError, "cannot open the pack .*old.h5: no HDF5 file"):
            xtasc.pack(old)


class Example(unittest.TestCase):
    def test_the_cells_of_the_page_run_in_their_order(self) -> None:
        for needed in ("pandas", "h5py"):
            try:
                __import__(needed)
            except ImportError as error:
                self.skipTest(str(error))
        page = (SOURCE / "docs/python.md").read_text()
        cells = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
        self.assertGreater(len(cells), 4)
        done = python("\n".join(cells))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("agree", done.stdout)


if __name__ == "__main__":
    common.main()
