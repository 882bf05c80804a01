"""The benchmarks as a user calls them: beside PyTorch, by kernels of a GPU, and what their results tell."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import unittest
import unittest.mock

import common
from common import Programs, sets
from suite import IS_LONG, long_tier

programs: Programs
SMALL_STEP = ["model.encoder=resnet18", "train.batch_size=2", "run.precision=fp32", "run.threads=1",
              "model.decoder_width=32", "model.ttnet_widths=[32,32,32]"]


class Bench(unittest.TestCase):
    @unittest.skipUnless(importlib.util.find_spec("torch"), "this Python has no torch")
    @unittest.mock.patch.dict(os.environ, {"XTASC_PYTHON": sys.executable})
    def test_a_step_beside_pytorch_from_the_same_weights_and_samples(self) -> None:
        path = programs.scratch / "bench.json"
        done = programs.run("xtasc-bench", "step", "--peer", "--rounds", "2", "--height", "64", "--width", "64",
                            "--json", str(path), *sets(SMALL_STEP))
        self.assertEqual(done.returncode, 0, done.stderr)
        found = json.loads(path.read_text())
        for form in ("best", "eager"):
            peer = found["peer"][form]
            self.assertLess(peer["first_losses_deviation"], 1e-5, form)
            self.assertAlmostEqual(peer["memory_ratio"], peer["peak_bytes"] / found["peak_bytes"])
            self.assertLess(peer["idle_cpu_seconds"], 0.3, "it must not disturb who is being timed")
        self.assertNotEqual(found["peer"]["best"]["peak_bytes"], found["peer"]["eager"]["peak_bytes"])
        phases = {phase["name"]: phase["seconds"]["median"] for phase in found["phases"]["phases"]}
        self.assertEqual(list(phases), ["data", "forward: encoder", "forward: decoders", "forward: transfer nets",
                                        "losses", "backward", "all-reduce", "optimizer"])
        self.assertGreater(phases["backward"], 0.0)
        whole = found["phases"]["all"]
        self.assertLessEqual(whole["executed_GFLOP"], whole["GFLOP"])
        self.assertAlmostEqual(whole["executed_of_peak"] / whole["of_peak"], whole["executed_GFLOP"] / whole["GFLOP"])
        self.assertGreater(found["phases"]["layers"]["plain"], 0)
        self.assertTrue(found["command"].startswith("xtasc-bench step --peer"), found["command"])
        self.assertIn("torch", found["machine"]["libraries"])
        self.carries(found, ranks=1, system="xtasc", encoder="resnet18", precision="fp32", classes=7,
                     height=64, width=64, batch_size=2)

    def test_the_first_losses_are_those_before_any_update(self) -> None:
        found = []
        for graph in ("false", "true"):  # which takes more steps before those that are timed, and stays plain on a CPU
            path = programs.scratch / "bench.json"
            done = programs.run("xtasc-bench", "step", "--rounds", "1", "--height", "32", "--width", "64", "--json",
                                str(path), *sets([*SMALL_STEP, f"train.cuda_graph={graph}"]))
            self.assertEqual(done.returncode, 0, done.stderr)
            found.append(json.loads(path.read_text())["first_losses"])
        self.assertGreater(found[0][0], 0.0)
        self.assertEqual(found[0], found[1])

    def test_what_a_step_launches_on_cuda(self) -> None:
        path = programs.scratch / "bench.json"
        counts = []
        for size in ("32", "64"):
            done = programs.run("xtasc-bench", "step", "--launches", "--height", size, "--width", "64",
                                "--json", str(path), *sets([*SMALL_STEP, "run.precision=bf16"]))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("Nothing here ran on a GPU", done.stdout)
            found = json.loads(path.read_text())
            one, two = found["launches"], found["launches_of_two_ranks"]
            self.assertAlmostEqual(one["total"]["flop"] / found["work"]["executed_flop"], 1.0)
            self.assertEqual(one["total"]["launches"], sum(cause["launches"] for cause in one["by_cause"].values()))
            self.assertEqual(one["messages"]["small"], 0)
            self.assertGreater(two["messages"]["small"], 0)
            self.assertGreater(two["messages"]["large"], 0)
            for cause in ("batch norm", "upsample", "convolution", "loss", "augmentation", "optimizer"):
                self.assertGreater(one["by_cause"][cause]["launches"], 0, cause)
            # Three kernels a norm and direction, four with ranks; no joined inputs by copies, one cast of all weights.
            norms = one["by_cause"]["batch norm"]["launches"]
            self.assertEqual(norms % 6, 0)
            self.assertEqual(two["by_cause"]["batch norm"]["launches"] * 6, norms * 8)
            self.assertNotIn("cat", one["by_cause"])
            self.assertLess(one["by_cause"]["casts"]["launches"], 20)
            self.assertLess(one["total"]["launches"], 1300)
            counts.append(one["total"]["launches"])
        self.assertEqual(counts[0], counts[1], "counts do not depend on sizes")
        done = programs.run("xtasc-bench", "step", "--launches", "--peer", *sets(SMALL_STEP))
        self.assertEqual(done.returncode, 2)

    @unittest.skipUnless(importlib.util.find_spec("torch"), "this Python has no torch")
    @unittest.mock.patch.dict(os.environ, {"XTASC_PYTHON": sys.executable})
    @long_tier
    def test_the_peer_follows_losses_and_widths(self) -> None:
        path = programs.scratch / "bench.json"
        cases = [["loss.lambda_1=0.9", "loss.transferred_segmentation=kl", "loss.label_smoothing=0.2",
                  "model.ttnet_widths=[16,32,16]"],
                 ["loss.transferred_depth=ssim", "model.decoder_width=64"], ["model.system=align", "loss.depth=MSE"]]
        for others in cases:
            done = programs.run("xtasc-bench", "step", "--peer", "--rounds", "1", "--height", "64", "--width", "64",
                                "--json", str(path), *sets([*SMALL_STEP, *others]))
            self.assertEqual(done.returncode, 0, done.stderr)
            for form in ("best", "eager"):
                deviation = json.loads(path.read_text())["peer"][form]["first_losses_deviation"]
                self.assertLess(deviation, 1e-5, (form, others))

    @unittest.mock.patch.dict(os.environ, {"XTASC_PYTHON": sys.executable})
    def test_a_peer_that_fails_has_its_last_words(self) -> None:
        broken = programs.scratch / "python"
        broken.write_text("#!/bin/sh\necho Traceback: 1>&2; echo '  File x' 1>&2; echo 'OSError: the reason' 1>&2\n"
                          "echo 1>&2; exit 1\n")
        broken.chmod(0o755)
        with unittest.mock.patch.dict(os.environ, {"XTASC_PYTHON": str(broken)}):
            done = programs.run("xtasc-bench", "step", "--peer", "--height", "64", "--width", "64", *sets(SMALL_STEP))
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("bench_step.py failed: OSError: the reason", done.stderr)

    def test_results_tell_what_ran_on_what(self) -> None:
        path = programs.scratch / "bench.json"
        size = ["--height", "32", "--width", "64", "--rounds", "1"]
        net = {"system": "xtasc", "encoder": "resnet18", "precision": "fp32"}
        for name, arguments, expected in (
            ("scaling", [*size, "--sizes", "64x32"],
             {**net, "classes": 7, "height": 32, "width": 64, "batch_size": 2, "images_a_rank": 1}),
            ("evaluate", ["--samples", "4", "--rounds", "1"],
             {**net, "classes": 7, "height": 128, "width": 256, "batch_size": 8, "images": 4}),
            ("allreduce", ["--mebibytes", "0.01", "--rounds", "1"], {}),
            ("step", size, {**net, "classes": 7, "height": 32, "width": 64, "batch_size": 2}),
        )[:4 if IS_LONG else 2]:
            with self.subTest(name):
                done = programs.run("xtasc-bench", name, *arguments, "--json", str(path), *sets(SMALL_STEP), ranks=2)
                self.assertEqual(done.returncode, 0, done.stderr)
                found = json.loads(path.read_text())
                self.carries(found, benchmark=name, ranks=2, ranks_on_this_host=2, **expected)
                self.assertGreaterEqual(found["threads_a_rank"], 1)
                self.assertTrue(found["device"].startswith("cpu ("), found["device"])
                self.assertRegex(found["command"], rf"^xtasc-bench {name} ")
                self.assertNotIn(str(programs.bin), found["command"])
                if name == "scaling":
                    self.assertEqual([row["ranks"] for row in found["by_ranks"]], [1, 2])
                    self.assertGreater(found["sums"]["small_sums"], 0)

    def test_help_explains_the_fields(self) -> None:
        text = programs.run("xtasc-bench", "--help").stdout
        for field in ("seconds_per_step", "of_peak", "executed_of_peak", "peak_bytes", "memory_ratio", "by_ranks"):
            self.assertIn(field, text)
        self.assertIn("=7", programs.run("xtasc-bench", "step", "--help").stdout)

    def carries(self, found: dict, **expected: object) -> None:
        self.assertEqual({name: found.get(name) for name in expected}, expected)


if __name__ == "__main__":
    common.main()
