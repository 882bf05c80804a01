"""results/bench/gpu_model.py on the committed counts, and on made-up ones whose times are known."""
import json
import sys
import unittest
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "results" / "bench"
sys.path.insert(0, str(FOLDER))
import gpu_model  # noqa: E402


def committed():
    return {size: json.loads((FOLDER / file).read_text()) for size, (file, _, _) in gpu_model.SIZES.items()}


def tally(launches, num_bytes, flop=0.0, large=False, **names):
    return {"launches": launches, "bytes": num_bytes, "flop": flop, "large_launches": launches * large,
            "large_bytes": num_bytes * large, **names}


class Model(unittest.TestCase):
    def test_the_arithmetic_of_a_step_is_that_of_its_layers(self):
        """By hand from the layers' shapes: 1.715 and 4.360 TFLOP."""
        for one, flop in zip(committed().values(), (1.715e12, 4.360e12)):
            self.assertAlmostEqual(one["work"]["plain_flop"] / flop, 1.0, delta=5e-4)
            self.assertAlmostEqual(one["launches"]["total"]["flop"] / one["work"]["executed_flop"], 1.0, delta=1e-9)
            self.assertAlmostEqual(sum(row["flop"] for row in one["launches"]["convolutions"])
                                   / one["launches"]["total"]["flop"], 1.0, delta=1e-9)
            self.assertEqual(sum(row["launches"] for row in one["launches"]["kernels"]),
                             one["launches"]["total"]["launches"])

    def test_the_committed_report_is_of_the_committed_counts(self):
        text = gpu_model.report(committed())
        self.assertEqual((FOLDER / "gpu_model.md").read_text(), text, "run results/bench/gpu_model.py")
        self.assertIn("computed, not measured", text)

    def test_by_hand(self):
        convolution = tally(1, 2.7e6, 400e9)  # 1 ms of arithmetic, less of memory
        kernels = [{**convolution, "cause": "convolution", "name": "forward"},
                   tally(1, 1.35e9, large=True, cause="relu", name="aten::relu_"),  # 0.5 ms of memory
                   tally(1, 1.35e9, large=True, cause="convolution", name="aten::threshold_backward"),  # the same
                   tally(1000, 1e6, cause="batch norm", name="aten::mul"),  # 1.8 ms of launches
                   tally(1, 2.7e9, large=True, cause="new", name="kernel")]
        counted = {"launches": {"convolutions": [convolution], "kernels": kernels, "total": {"launches": 1004}}}
        times = gpu_model.step_times(counted, "H100")
        self.assertAlmostEqual(times["convolutions"], 1.0)
        self.assertAlmostEqual(times["bias, ReLU, max-pool"], 1.0)
        self.assertAlmostEqual(times[gpu_model.REST], 1.0)
        self.assertAlmostEqual(times[gpu_model.TINY], 1.8)
        self.assertAlmostEqual(times["graph"], 4.8)
        self.assertAlmostEqual(times["eager"], 1004 * 5.5e-3)
        self.assertAlmostEqual(times["roofline"], 400 / 798)
        upsample = {"name": "forward", **tally(1, 2.5e9)}  # 1e9 outputs
        self.assertAlmostEqual(gpu_model.Device("H100").upsample(upsample), 22.5 * 1.35 / 22.98, delta=0.01)


if __name__ == "__main__":
    unittest.main()
