"""xtasc-export as a user meets it: files that onnxruntime and torch.jit.load run without our code, and that give what
xtasc-predict gives."""

from __future__ import annotations

import json
import pathlib
import shutil
import sys

import common
from common import OneLine, Programs, sets
from suite import IS_LONG

try:
    import h5py
    import numpy as np
    import onnx
    import onnxruntime
    import torch
    from PIL import Image
except ImportError as error:
    print(f"skipped: no {error.name}, launch/setup.sh --for-tests installs it")
    sys.exit(77)

programs: Programs
SIZE = 64
TOLERANCE = 1e-4
REAL = common.SOURCE.parent / "shared/data/nyuv2_images/rgb"
ONE, THREE = 'model.tasks=["depth"]', 'model.tasks=["segmentation","depth","normals"]'
NETWORKS = {
    "xtasc": [THREE],
    "base_st_depth": [],
    "segnet": [],
    "adamt": ["model.adamt_attention=per_slot"],
    "deeplab": [THREE],
}
LONG = {
    "align": [],
    "base_mt": [],
    "base_st_seg": [],
    "stan": [ONE],
    "mtan": [],
    "dense": [THREE],
    "cross_stitch": [],
    "cross_stitch misra": ["model.cross_stitch=misra", THREE],
    "adamt shared": ["model.adamt_attention=shared"],
    "kd4mtl": [],
}


def made_images() -> dict[str, np.ndarray]:
    """uint8 (H, W, 3): frames of the pack, one of equal blocks, where pools find equal values, and real ones if they are
    at hand."""
    with h5py.File(programs.scratch / "export.h5") as pack:
        images = {f"scene_{i}": pack["val/image"][i] for i in range(2)}
    blocks = np.random.default_rng(5).integers(0, 256, (SIZE // 8, SIZE // 8, 3), dtype=np.uint8)
    images["blocks"] = blocks.repeat(8, axis=0).repeat(8, axis=1)
    if REAL.is_dir():
        for path in sorted(REAL.iterdir())[:2]:
            images[f"real_{path.stem}"] = np.array(Image.open(path).convert("RGB"))[100:100 + SIZE, 200:200 + SIZE]
    return images


def run_of(name: str, assignments: list[str]) -> pathlib.Path:
    """Weights of a step or two: what matters is that they are a run's."""
    done = programs.run("xtasc-train", *programs.train_arguments(
        name.replace(" ", "_"), f"data.pack={programs.scratch / 'export.h5'}", f"model.system={name.split()[0]}",
        "train.epochs=1", "train.batch_size=2", "weighting.method=equal", "run.precision=fp32", *assignments))
    assert done.returncode == 0, done.stderr
    return programs.run_folder(name.replace(" ", "_"))


def teachers() -> list[str]:
    folders = {key: run_of(f"stan {key}", [f'model.tasks=["{task}"]'])
               for key, task in (("seg", "segmentation"), ("depth", "depth"))}
    return [f"distillation.teacher_{key}={folder}" for key, folder in folders.items()]


def export(run: pathlib.Path, output: pathlib.Path, *options: str):
    return programs.run("xtasc-export", "--run", str(run), "--output", str(output), *options)


class OnnxFile:
    def __init__(self, path: pathlib.Path) -> None:
        self.model = onnx.load(str(path))
        onnx.checker.check_model(self.model, full_check=True)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self.outputs = [output.name for output in self.session.get_outputs()]
        self.metadata = self.session.get_modelmeta().custom_metadata_map

    def __call__(self, images: np.ndarray) -> dict[str, np.ndarray]:
        return dict(zip(self.outputs, self.session.run(None, {"image": images})))


class Case(OneLine):
    @classmethod
    def setUpClass(cls) -> None:
        pack = programs.scratch / "export.h5"
        if not pack.exists():
            done = programs.run("xtasc-preprocess", "scenes", "--train", "2", "--val", "2", "--seed", "6", "--size",
                                f"{SIZE}x{SIZE}", "--normals", "--output", str(pack))
            assert done.returncode == 0, done.stderr
        cls.images = made_images()

    def exported(self, run: pathlib.Path, name: str, *options: str) -> pathlib.Path:
        path = programs.scratch / name
        done = export(run, path, *options)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(done.stderr, "")
        return path


class Networks(Case):
    def assert_close(self, found: np.ndarray, expected: np.ndarray, unpools: bool, what: str, times: int = 1) -> None:
        """Where two values of a pool's window are equal but for rounding, nets that unpool take another place, and the
        pixels around it jump, as they do between float32 and float64; the most are as near as in other nets."""
        errors = np.abs(found.astype(float) - expected)
        if unpools:
            self.assertLess(np.median(errors), TOLERANCE / 10, what)
            self.assertLess((errors > times * TOLERANCE).mean(), 0.1, what)
        else:
            self.assertLess(errors.max(), times * TOLERANCE, what)

    def check_against_predictions(self, run: pathlib.Path, found: dict[str, np.ndarray], unpools: bool) -> None:
        folder = programs.scratch / "images"
        folder.mkdir(exist_ok=True)
        for name, image in self.images.items():
            Image.fromarray(image).save(folder / f"{name}.png")
        output = programs.scratch / "predicted"
        done = programs.run("xtasc-predict", "--run", str(run), "--output", str(output), "--tensors", "--images",
                            *(str(folder / f"{name}.png") for name in self.images))
        self.assertEqual(done.returncode, 0, done.stderr)
        for i, name in enumerate(self.images):
            for task in ("depth", "normals"):
                if task in found:
                    expected = np.load(output / f"{name}_{task}.npy")
                    own = found[task][i]
                    own = own[0] if task == "depth" else own.transpose(1, 2, 0)
                    if task == "normals":  # unit vectors: as near as those that they are the directions of, if short
                        raw = torch.load(output / f"{name}.pt")[task][0].numpy().transpose(1, 2, 0)
                        self.assertEqual(raw.shape, own.shape)
                        length = np.minimum(1, np.linalg.norm(raw, axis=2, keepdims=True))
                        own, expected = own * length, expected * length
                    self.assert_close(own, expected, unpools, f"{task} of {name}")
            if "seg_label" in found:
                second, first = np.sort(found["seg_probability"][i], axis=0)[-2:]
                expected = np.array(Image.open(output / f"{name}_label.png"))
                same = (found["seg_label"][i] == expected) | (first - second < TOLERANCE)
                self.assertGreater(same.mean(), 0.9 if unpools else 1.0 - 1e-9, name)

    def check_network(self, name: str, assignments: list[str]) -> None:
        run = run_of(name, assignments)
        onnx_file = OnnxFile(self.exported(run, "net.onnx"))
        tasks = json.loads(onnx_file.metadata["tasks"])
        self.assertEqual(onnx_file.outputs,
                         [output for task in tasks
                          for output in (["seg_label", "seg_probability"] if task == "seg" else [task])])
        unpools = any(node.op_type == "MaxUnpool" for node in onnx_file.model.graph.node)
        images = np.stack(list(self.images.values()))
        found = onnx_file(images)
        for i in range(len(images)):  # no image sees the others, and no size of a batch is built in
            for output, values in onnx_file(images[i:i + 1]).items():
                self.assertLess(np.abs(values[0].astype(float) - found[output][i]).max(), TOLERANCE, output)
        if "normals" in found:
            self.assertLess(np.abs(np.linalg.norm(found["normals"], axis=1) - 1.0).max(), TOLERANCE)
        self.check_against_predictions(run, found, unpools)

        torch_file = self.exported(run, "net.pt")
        module = torch.jit.load(str(torch_file)).eval()
        for batch in (images[:1], images[:3]):
            with torch.no_grad():
                of_torch = module(torch.from_numpy(batch))
            self.assertEqual(set(of_torch), set(found))
            for output, values in of_torch.items():
                for i, name_of_image in enumerate(list(self.images)[:len(batch)]):
                    if output != "seg_label":
                        self.assert_close(values[i].numpy(), found[output][i], unpools, f"{output} of {name_of_image}", times=2)

        # Each weight is there under its own name, folded or not, and nothing of what serves training alone.
        own = set(torch.load(run / "checkpoint/best/weights.pt"))
        names = {name for name, _ in module.named_parameters()}
        self.assertEqual(names, {tensor.name for tensor in onnx_file.model.graph.initializer
                                 if not tensor.name.startswith("constant.")})
        for parameter in names - {"normalisation.scale", "normalisation.shift"}:
            layer, _, kind = parameter.rpartition(".")
            self.assertTrue(parameter in own or (kind == "bias" and f"{layer}.weight" in own)
                            or parameter.rsplit("_", 1)[0] in own, parameter)
            self.assertNotIn("_to_", parameter)
        num_bytes = sum(parameter.numel() * parameter.element_size() for parameter in module.parameters())
        self.assertLess(torch_file.stat().st_size, 1.01 * num_bytes + 2**20, "the file holds more than the parameters")

    def test_files_give_what_predictions_give(self) -> None:
        for name, assignments in {**NETWORKS, **(LONG if IS_LONG else {})}.items():
            with self.subTest(network=name, assignments=assignments):
                self.check_network(name, teachers() if name == "kd4mtl" else assignments)


class Choices(Case):
    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.run_folder = run_of("base_mt choices", [])

    def test_metadata_say_what_the_numbers_mean(self) -> None:
        path = self.exported(self.run_folder, "said.onnx")
        metadata = OnnxFile(path).metadata
        self.assertEqual(json.loads(metadata["tasks"]), ["seg", "depth"])
        self.assertEqual(len(json.loads(metadata["classes"])), 7)
        self.assertEqual(len(json.loads(metadata["class_colors"])), 7)
        self.assertEqual(metadata["depth_unit"], "m")
        self.assertEqual((metadata["height"], metadata["width"], metadata["input"]), ("64", "64", "uint8"))
        self.assertEqual(metadata["run"], self.run_folder.name)
        self.assertEqual(metadata["pack_digest"],
                         json.loads((self.run_folder / "provenance.json").read_text())["pack_digest"])
        self.assertIn(metadata["weights_digest"], (self.run_folder / "checkpoint/best/checkpoint.json").read_text())
        files = {"metadata.json": ""}
        torch.jit.load(str(self.exported(self.run_folder, "said.pt")), _extra_files=files)
        self.assertEqual(json.loads(files["metadata.json"]), metadata)
        self.assertEqual(path.read_bytes(), self.exported(self.run_folder, "again.onnx").read_bytes())

    def test_normalised_floats_and_another_size(self) -> None:
        images = np.random.default_rng(7).integers(0, 256, (2, 32, 96, 3), dtype=np.uint8)
        inside = OnnxFile(self.exported(self.run_folder, "bytes.onnx", "--size", "32x96"))
        outside = OnnxFile(self.exported(self.run_folder, "floats.onnx", "--size", "32x96", "--input", "float"))
        mean, std = (np.array(json.loads(outside.metadata[key])) for key in ("image_mean", "image_std"))
        floats = ((images / 255.0 - mean) / std).transpose(0, 3, 1, 2).astype(np.float32)
        for output, values in outside(floats).items():
            self.assertEqual(values.shape[-2:], (32, 96))
            if output != "seg_label":
                self.assertLess(np.abs(values - inside(images)[output]).max(), TOLERANCE, output)

    def test_a_pack_of_another_size_gives_class_names_alone(self) -> None:
        pack = programs.scratch / "small.h5"
        done = programs.run("xtasc-preprocess", "scenes", "--train", "2", "--val", "2", "--size", "32x96", "--output", str(pack))
        self.assertEqual(done.returncode, 0, done.stderr)
        metadata = OnnxFile(self.exported(self.run_folder, "of_pack.onnx", "--pack", str(pack))).metadata
        self.assertEqual((metadata["height"], metadata["width"]), ("64", "64"))
        self.assertEqual(len(json.loads(metadata["classes"])), 7)

    def test_onnxruntime_takes_turns_with_our_net(self) -> None:
        path = programs.scratch / "bench.json"
        done = programs.run("xtasc-bench", "export", *sets([*common.SMALL, "run.precision=fp32"]), "--height", "32", "--width",
                            "64", "--batch", "2", "--rounds", "2", "--json", str(path))
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads(path.read_text())
        peer = found["onnxruntime"]
        self.assertEqual((peer["version"], peer["predict"]["rounds"]), (onnxruntime.__version__, 2))
        self.assertGreater(peer["ratio"]["median"], 0.0)
        self.assertAlmostEqual(found["images_per_second"] * found["predict"]["median"], 2.0)

    def test_bad_input_is_one_line_and_writes_nothing(self) -> None:
        folder = programs.scratch / "bad"
        folder.mkdir()
        empty = programs.scratch / "no_weights"
        empty.mkdir()
        (empty / "config.toml").write_bytes((self.run_folder / "config.toml").read_bytes())
        run = str(self.run_folder)
        shutil.copy(self.run_folder / "checkpoint/best/weights.pt", folder.parent / "own.pt")
        for code, words, *arguments in (
                (2, "no folder none", "--run", "none", "--output", "bad/a.onnx"),
                (2, "name the model by --run DIR", "--output", "bad/a.onnx"),
                (2, "--size: size 60x64 (height x width): both must be multiples of 32", "--run", run, "--output", "bad/a.onnx", "--size", "60x64"),
                (2, "HEIGHTxWIDTH is expected", "--run", run, "--output", "bad/a.onnx", "--size", "64"),
                (2, "must end in .onnx or .pt", "--run", run, "--output", "bad/a.bin"),
                (2, "must end in .pt", "--run", run, "--output", "bad/a.onnx", "--format", "torch"),
                (2, "No such file or directory", "--run", run, "--output", "absent/a.onnx"),
                (2, "lies among the run's checkpoints", "--run", run, "--output", f"{run}/checkpoint/best/weights.pt"),
                (2, "is the file that is read", "--config", f"{run}/config.toml", "--weights", str(folder.parent / "own.pt"),
                 "--output", str(folder.parent / "own.pt")),
                (2, "no checkpoint at", "--run", str(empty), "--output", "bad/a.onnx")):
            with self.subTest(arguments=arguments):
                self.one_line(programs.run("xtasc-export", *arguments), code, words)
        self.assertEqual(list(folder.iterdir()), [])


if __name__ == "__main__":
    common.main()
