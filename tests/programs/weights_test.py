"""Weights for the encoder: files as torchvision has them and wrong ones, through the programs that open them.

No file is downloaded: the names and shapes of torchvision's ResNets are written down here, the numbers are random.
Source of the names: https://github.com/pytorch/vision/blob/main/torchvision/models/resnet.py
"""

from __future__ import annotations

import argparse
import collections
import json
import pathlib
import re
import struct
import subprocess
import sys
import tarfile
import unittest
import zipfile

import common
from common import Programs, sets
from suite import IS_LONG, long_tier

try:
    import torch
except ImportError:
    print("skipped: this Python has no torch")
    sys.exit(77)

programs: Programs
BLOCKS = {"resnet18": (2, 2, 2, 2), "resnet34": (3, 4, 6, 3), "resnet50": (3, 4, 6, 3)}
SAFETENSORS = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.int64: "I64",
               torch.uint16: "U16", torch.float8_e4m3fn: "F8_E4M3"}
Tensors = collections.OrderedDict


def resnet(encoder: str) -> Tensors:
    """A state_dict with torchvision's names and shapes in its order, as torch.nn makes the modules."""
    modules = Tensors()
    bottleneck = encoder == "resnet50"

    def unit(convolution: str, norm: str, into: int, out: int, kernel: int) -> None:
        modules[convolution] = torch.nn.Conv2d(into, out, kernel, bias=False)
        modules[norm] = torch.nn.BatchNorm2d(out)

    unit("conv1", "bn1", 3, 64, 7)
    into = 64
    for stage, count in enumerate(BLOCKS[encoder], start=1):
        width = 32 << stage
        out = width * (4 if bottleneck else 1)
        for index in range(count):
            block = f"layer{stage}.{index}."
            sizes = [(into, out, 3), (out, out, 3)]
            if bottleneck:
                sizes = [(into, width, 1), (width, width, 3), (width, out, 1)]
            for number, size in enumerate(sizes, start=1):
                unit(f"{block}conv{number}", f"{block}bn{number}", *size)
            if index == 0 and into != out:
                unit(f"{block}downsample.0", f"{block}downsample.1", into, out, 1)
            into = out
    modules["fc"] = torch.nn.Linear(into, 1000)
    tensors = Tensors()
    for name, module in modules.items():
        tensors.update((f"{name}.{key}", value) for key, value in module.state_dict().items())
    tensors._metadata = Tensors({"": {"version": 1}, "conv1": {"version": 1}})  # as every state_dict has it
    return tensors


def save_safetensors(tensors: Tensors, path: pathlib.Path) -> None:
    header: dict[str, dict] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, tensor in tensors.items():
        content = tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        header[name] = {"dtype": SAFETENSORS[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(content)]}
        data += content
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def save_legacy(value: object, path: pathlib.Path, pickle_protocol: int = 2) -> None:
    torch.save(value, path, pickle_protocol=pickle_protocol, _use_new_zipfile_serialization=False)


class Weights(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        torch.manual_seed(1)
        cls.resnet18 = resnet("resnet18")

    def path(self, name: str) -> pathlib.Path:
        return programs.scratch / name

    def run_inspect(self, path: pathlib.Path, encoder: str) -> subprocess.CompletedProcess[str]:
        assignments = [f"model.encoder={encoder}", f"model.encoder_weights={path}"]
        return programs.run("xtasc-inspect", "model", *sets(assignments))

    def inspect(self, path: pathlib.Path, encoder: str) -> str:
        done = self.run_inspect(path, encoder)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.splitlines()[-1]

    def refused(self, path: pathlib.Path, encoder: str = "resnet18") -> list[str]:
        done = self.run_inspect(path, encoder)
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        return done.stderr.splitlines()

    def test_state_dicts_have_torchvisions_sizes(self) -> None:
        # https://pytorch.org/vision/main/models.html: parameters of the whole net, with its classifier
        for encoder, count in (("resnet18", 11_689_512), ("resnet34", 21_797_672), ("resnet50", 25_557_032)):
            values = resnet(encoder).items()
            self.assertEqual(sum(v.numel() for n, v in values if "running" not in n and "num_batches" not in n), count)

    def test_every_format_opens(self) -> None:
        for name, save, words in (("resnet18-f37072fd.pth", torch.save, "torch.save (zip)"),
                                  ("resnet18-old.pth", save_legacy, "torch.save (before PyTorch 1.6)"),
                                  ("model.safetensors", save_safetensors, "safetensors")):
            with self.subTest(name):
                path = self.path(name)
                save(self.resnet18, path)
                self.assertIn(f"{path}: {words}, fc.* not used: all 100 tensors fit", self.inspect(path, "resnet18"))
                done = programs.run("xtasc-inspect", "checkpoint", str(path))
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(done.stdout.splitlines()[0], words)
                self.assertIn("122 tensors, 11699132 elements", done.stdout)

    @long_tier
    def test_a_bottleneck_net(self) -> None:
        tensors = resnet("resnet50")
        for name, save in (("zip50.pth", torch.save), ("old50.pth", save_legacy)):
            save(tensors, self.path(name))
            self.assertIn("all 265 tensors fit", self.inspect(self.path(name), "resnet50"))

    def test_training_starts_from_them(self) -> None:
        for name, save, ranks in (("a.pth", save_legacy, 2), ("a.safetensors", save_safetensors, 0))[:2 if IS_LONG else 1]:
            with self.subTest(name):
                save(self.resnet18, self.path(name))
                done = programs.run("xtasc-train", *programs.train_arguments(
                    f"runs/{name}", f"model.encoder_weights={self.path(name)}", "train.epochs=1", "train.batch_size=8",
                    "train.max_steps=1", "train.learning_rate=1e-30"), ranks=ranks)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertEqual(done.stderr.count("fc.* not used"), 1, done.stderr)
                found = torch.load(programs.run_folder(f"runs/{name}") / "checkpoint/last/weights.pt")
                for key, value in self.resnet18.items():
                    if not key.startswith("fc.") and "running" not in key and "num_batches" not in key:
                        # Adam's first step moves every number by the learning rate, 0 too.
                        self.assertTrue(torch.allclose(found["encoder." + key], value, rtol=0.0, atol=1e-25), key)

    def test_wrappers_prefixes_and_other_types(self) -> None:
        prefixed = Tensors((f"module.{name}", value) for name, value in self.resnet18.items())
        save_legacy({"epoch": 3, "best": torch.zeros(()), "state_dict": prefixed}, self.path("wrapped.pth"))
        self.assertIn('the tensors in "state_dict", "module." left off the names, fc.* not used',
                      self.inspect(self.path("wrapped.pth"), "resnet18"))
        bare = {name: torch.nn.Parameter(value.half()) if value.is_floating_point() else value
                for name, value in self.resnet18.items() if not name.startswith("fc.") and "num_batches" not in name}
        torch.save({"model": bare}, self.path("half.pth"))
        self.assertTrue(self.inspect(self.path("half.pth"), "resnet18").endswith(
            'torch.save (zip), the tensors in "model": all 100 tensors fit'))
        torch.save({"model": bare, "state_dict": bare}, self.path("two.pth"))
        self.assertIn('in "model" and in "state_dict"', self.refused(self.path("two.pth"))[0])

    def test_checkpoints_of_other_programs(self) -> None:
        """Objects beside the tensors, prefixes, other pickle protocols: as the field's programs write them."""
        tensors = self.resnet18
        before = lambda prefix, of=tensors: Tensors((prefix + name, value) for name, value in of.items())  # noqa: E731
        head = {"head.fc.weight": torch.zeros(10, 512), "head.fc.bias": torch.zeros(10)}
        scheduler = {"last_epoch": 3, "_last_lr": [0.1]}
        reference = {"model": tensors, "optimizer": {"state": {}, "param_groups": [{"lr": 0.1, "params": [0]}]},
                     "lr_scheduler": scheduler, "epoch": 3,
                     "args": argparse.Namespace(lr=0.1, output_dir=pathlib.Path("."), seed=1 << 100)}
        lightning = {"epoch": 1, "state_dict": before("model."), "hyper_parameters": argparse.Namespace(width=3),
                     "callbacks": {"stop": collections.Counter(a=1)}}
        for name, value, note in (
                ("torchvision.pth", reference, ', the tensors in "model", fc.*'),
                ("compiled.pth", before("_orig_mod."), ', "_orig_mod." left off the names, fc.*'),
                ("compiled_parallel.pth", {"state_dict": before("module._orig_mod.")},
                 ', the tensors in "state_dict", "module._orig_mod." left off the names, fc.*'),
                ("compiled_parts.pth", Tensors((re.sub(r"^(layer\d\.\d)\.", r"\1._orig_mod.", key), value)
                                               for key, value in tensors.items()), ', fc.*'),
                ("counted.pth", {"model": {"epoch": torch.tensor(3), "state_dict": tensors}},
                 ', the tensors in "model.state_dict", fc.*'),
                ("beside.pth", Tensors(tensors, model={"steps": torch.zeros(2)}), ', fc.*'),
                ("ema.pth", {"model": tensors, "model_ema": {"module": Tensors(tensors, **{"fc.weight": torch.ones(3)})},
                             "optimizer": {"state": {0: {"exp_avg": torch.zeros(3)}}}},
                 ', the tensors in "model", those in "model_ema.module" not used, fc.*'),
                ("lightning.ckpt", lightning, ', the tensors in "state_dict", "model." left off the names, fc.*'),
                ("backbone.pth", {"state_dict": before("backbone.") | head},
                 ', the tensors in "state_dict", "backbone." left off the names, 2 tensors not below it not used, fc.*'),
                ("nested.pth", {"model": {"state_dict": tensors}}, ', the tensors in "model.state_dict", fc.*')):
            for save, protocol in ((torch.save, 2), (torch.save, 5), (save_legacy, 4)):
                with self.subTest(name, protocol=protocol):
                    path = self.path(name)
                    save(value, path, pickle_protocol=protocol)
                    words = "torch.save (before PyTorch 1.6)" if save is save_legacy else "torch.save (zip)"
                    self.assertIn(f"{path}: {words}{note} not used: all 100 tensors fit", self.inspect(path, "resnet18"))

    def test_a_negated_view_has_its_own_numbers(self) -> None:
        scale = torch.arange(64.0) / 64
        torch.save({**self.resnet18, "bn1.weight": torch._neg_view(scale)}, self.path("neg.pth"))
        done = programs.run("xtasc-train", *programs.train_arguments(
            "runs/neg", f"model.encoder_weights={self.path('neg.pth')}", "train.epochs=1", "train.batch_size=8",
            "train.max_steps=1", "train.learning_rate=1e-30"))
        self.assertEqual(done.returncode, 0, done.stderr)
        found = torch.load(programs.run_folder("runs/neg") / "checkpoint/last/weights.pt")["encoder.bn1.weight"]
        self.assertTrue(torch.allclose(found, -scale, rtol=0.0, atol=1e-25))  # Adam's first step moves the 0 too

    def test_types_that_no_encoder_has(self) -> None:
        """Passed over beside the tensors, refused by name among them; safetensors has no beside."""
        ones = torch.ones(3)
        others = {"uint16": ones.to(torch.uint16), "float8": ones.to(torch.float8_e4m3fn),
                  "complex": ones.to(torch.complex64), "conjugate": ones.to(torch.complex64).conj(),
                  "half_complex": ones.to(torch.complex32), "quantised": torch.quantize_per_tensor(ones, 0.1, 1, torch.quint8),
                  "bytes": ones.untyped_storage(), "parameter": torch.nn.Parameter(ones.to(torch.complex64))}
        for save in (torch.save, save_legacy):
            path = self.path("others.pth")
            save({"o": others, "model": self.resnet18, "p": others["complex"]}, path)
            self.assertIn("all 100 tensors fit", self.inspect(path, "resnet18"))
            for name, words in (("uint16", "of type torch.uint16"), ("complex", "of type torch.ComplexFloatStorage"),
                                ("quantised", "made by torch._utils._rebuild_qtensor")):
                with self.subTest(name):
                    save({**self.resnet18, "bn1.bias": others[name]}, path)
                    self.assertIn(f"bn1.bias is {words}, which is not", self.refused(path)[0])
        for kind in (torch.uint16, torch.float8_e4m3fn):
            with self.subTest(str(kind)):
                path = self.path("other.safetensors")
                save_safetensors(self.resnet18 | {"scale": ones.to(kind)}, path)
                self.assertIn("all 100 tensors fit", self.inspect(path, "resnet18"))
                save_safetensors(self.resnet18 | {"bn1.bias": torch.ones(64).to(kind)}, path)
                lines = "\n".join(self.refused(path))
                self.assertIn(f"bn1.bias is of type {SAFETENSORS[kind]}, which is not supported, and not read", lines)
                self.assertIn("  missing: bn1.bias (64)", lines)

    def test_what_does_not_fit_says_the_way_out(self) -> None:
        moco = Tensors((f"module.encoder_{which}.{name}", value) for which in "qk" for name, value in self.resnet18.items())
        torch.save({"model": moco}, self.path("moco.pth"))
        self.assertIn('"module.encoder_k." left off the names, fc.*', self.inspect(self.path("moco.pth"), "resnet18"))
        moco["module.encoder_q.bn1.running_var"] = torch.full((64,), 2.0)
        for value in (moco, {"model": {"state_dict": moco}, "args": argparse.Namespace(lr=0.1)}):
            torch.save(value, self.path("moco.pth"))
            line = self.refused(self.path("moco.pth"))[0]
            before, _, advice = line.partition("save one alone, in Python by ")
            self.assertIn('holds 2 nets, before whose names stand "module.encoder_k.", "module.encoder_q.": ', before)
            exec(advice.replace("one.pth", str(self.path("one.pth"))), {"torch": torch})
            self.assertIn("fc.* not used: all 100 tensors fit", self.inspect(self.path("one.pth"), "resnet18"))
        for wrapper in ("_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module"):
            inner = Tensors((re.sub(r"^(module.encoder_k.layer\d)\.", rf"\1.{wrapper}.", name), value)
                            for name, value in moco.items())
            torch.save(inner, self.path("parts.pth"))
            self.assertIn('holds 2 nets, before whose names stand "module.encoder_k.", "module.encoder_q.": ',
                          "\n".join(self.refused(self.path("parts.pth"))))
        torch.save(Tensors((f"net.{name}", value) for name, value in resnet("resnet34").items()), self.path("net34.pth"))
        self.assertIn('net34.pth ("net." left off the names) does not fit model.encoder = "resnet18" (by its names it is a '
                      "resnet34): 0 missing, 0 of another shape or type, 80 left over", self.refused(self.path("net34.pth"))[0])
        sparse = Tensors(self.resnet18)
        sparse["bn1.bias"] = torch.zeros(64).to_sparse()
        torch.save(sparse, self.path("sparse.pth"))
        self.assertIn("bn1.bias is made by torch._utils._rebuild_sparse_tensor, which is not known here: save plain tensors",
                      self.refused(self.path("sparse.pth"))[0])
        torch.save({name: value.numpy() for name, value in self.resnet18.items()}, self.path("numpy.pth"))
        self.assertIn("as where it holds NumPy arrays: save tensors, torch.save({k: torch.as_tensor(v) for k, v in "
                      "torch.load(FILE, weights_only=False).items()}, NEW)", self.refused(self.path("numpy.pth"))[0])
        torch.save(Tensors(self.resnet18, model=moco), self.path("both.pth"))
        self.assertIn('it holds tensors at its top level and in "model": save one of them alone',
                      self.refused(self.path("both.pth"))[0])
        whole = self.path("one.pth").read_bytes()
        self.path("tail.pth").write_bytes(whole + bytes(1 << 20))
        self.assertIn("all 100 tensors fit", self.inspect(self.path("tail.pth"), "resnet18"))
        for size in (len(whole) // 2, len(whole) - 30):
            self.path("part.pth").write_bytes(whole[:size])
            self.assertIn("part.pth is not a file of tensors: cut off: the directory at a zip file's end is not there",
                          self.refused(self.path("part.pth"))[0])
        torch.save({"epoch": 1, "net": dict(self.resnet18)}, self.path("net.pth"))
        self.assertIn('(keys: epoch, net): save them alone, torch.save(torch.load(FILE, weights_only=False)["net"], NEW)',
                      self.refused(self.path("net.pth"))[0])
        for save in (torch.save, save_legacy):
            save({"args": argparse.Namespace(lr=0.1), "model": torch.nn.Linear(2, 2)}, self.path("object.pth"))
            self.assertIn('(keys: args, model): save them alone, torch.save(torch.load(FILE, weights_only=False)["model"]'
                          ".state_dict(), NEW)", self.refused(self.path("object.pth"))[0])

    def test_a_wrong_net_is_told_tensor_by_tensor(self) -> None:
        save_legacy(resnet("resnet34"), self.path("resnet34.pth"))
        lines = self.refused(self.path("resnet34.pth"))
        self.assertIn('resnet34.pth does not fit model.encoder = "resnet18" (by its names it is a resnet34): '
                      "0 missing, 0 of another shape or type, 80 left over", lines[0])
        self.assertEqual(lines[1], "  left over: layer1.2.bn1.bias (64)")
        self.assertEqual((len(lines), lines[-1]), (22, "  ... and 60 more"))
        lines = self.refused(self.path("resnet34.pth"), "resnet50")
        self.assertIn("missing: layer1.0.conv3.weight (256 x 64 x 1 x 1)", "\n".join(lines))
        wrong = Tensors(self.resnet18)
        wrong.pop("bn1.bias")
        wrong["conv1.weight"] = torch.zeros(64, 4, 7, 7)
        wrong["layer1.0.bn1.weight"] = torch.ones(64, dtype=torch.int64)
        wrong["extra"] = torch.zeros(2, 3)
        torch.save(wrong, self.path("wrong.pth"))
        self.assertEqual(self.refused(self.path("wrong.pth"))[1:], [
            "  missing: bn1.bias (64)", "  conv1.weight is 64 x 4 x 7 x 7, 64 x 3 x 7 x 7 expected",
            "  layer1.0.bn1.weight is of Long, a floating-point type expected", "  left over: extra (2 x 3)"])
        wrong = Tensors(self.resnet18)
        wrong["bn1.bias"] = torch.full((64,), float("nan"))
        save_safetensors(wrong, self.path("nan.safetensors"))
        self.assertIn("bn1.bias has NaN or infinite numbers", self.refused(self.path("nan.safetensors"))[0])

    def test_files_that_are_none(self) -> None:
        save_legacy(torch.nn.Linear(2, 2), self.path("module.pth"))
        torch.save(torch.nn.Linear(2, 2), self.path("module_zip.pth"))
        self.path("page.pth").write_text("<html>not found</html>")
        self.path("empty.pth").touch()
        self.path("pointer.pth").write_text("version https://git-lfs.github.com/spec/v1\n")
        torch.save({"epoch": 1, "net": {"a": torch.zeros(1)}}, self.path("nested.pth"))
        with tarfile.open(self.path("other.pth"), "w") as tar:
            tar.add(self.path("page.pth"), "page")
        torch.save({"a": torch.zeros(1)}, self.path("large.pth"))
        large = bytearray(self.path("large.pth").read_bytes())
        size = large.rfind(b"PK\x01\x02") + 24
        large[size : size + 4] = b"\xf0\xff\xff\xff"
        self.path("large.pth").write_bytes(large)
        with zipfile.ZipFile(self.path("arrays.npz"), "w") as arrays:
            arrays.writestr("conv1.weight.npy", b"\x93NUMPY")
        for name, words in (("module.pth", "it holds an object (torch.nn.modules.linear.Linear), not a dictionary of tensors: save those"),
                            ("module_zip.pth", ".state_dict(), NEW)"),
                            ("page.pth", 'found text ("<html>not found</html>")'), ("empty.pth", "an empty file"),
                            ("pointer.pth", "git lfs pull"), ("nested.pth", "(keys: epoch, net): save them alone"),
                            ("other.pth", "a tar file, as torch.save wrote them before PyTorch 0.1.10"), ("none.pth", "none.pth"),
                            ("large.pth", "/.data/serialization_id is larger than the file"),
                            ("arrays.npz", "found NumPy arrays (.npz): save them anew by torch.save({k: ")):
            with self.subTest(name):
                lines = self.refused(self.path(name))
                self.assertEqual(len(lines), 1, lines)
                self.assertIn(words, lines[0])


if __name__ == "__main__":
    common.main()
