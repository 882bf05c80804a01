"""The forms of bench_step.py on small nets: they do the same work, on any device through the same code.

No GPU is needed: where a device is a CUDA one, torch.cuda is a double that writes down what it is asked for.
"""
import argparse
import contextlib
import sys
import tempfile
import unittest
from dataclasses import replace
from pathlib import Path
from unittest import mock

try:
    import torch
except ImportError as error:
    print(error)
    sys.exit(77)

sys.path.append(str(Path(__file__).resolve().parents[2] / "launch/bench/peer"))
import peer_device
from bench_step import Contestant
from xtasc_peer import Options, make_net

torch.set_num_threads(1)  # tests run side by side
OPTIONS = Options(encoder="resnet18", num_classes=5, decoder_width=8, ttnet_widths=(4, 8, 8))
THREE = replace(OPTIONS, tasks=("normals", "segmentation", "depth"), transfer="ring")


class Forms(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        torch.manual_seed(1)
        samples = {"image": torch.randn(2, 3, 32, 64), "label": torch.randint(0, 5, (2, 32, 64)),
                   "depth": torch.rand(2, 1, 32, 64) + 0.5,
                   "normals": torch.nn.functional.normalize(torch.randn(2, 3, 32, 64), dim=1),
                   "has_depth": torch.tensor([1, 0], dtype=torch.uint8)}
        torch.save(samples, Path(self.folder.name) / "S.pt")

    def contestant(self, form, precision="fp32", options=OPTIONS):
        torch.manual_seed(2)
        torch.save(make_net(options).state_dict(), Path(self.folder.name) / "W.pt")
        arguments = argparse.Namespace(form=form, device="cpu", weights=Path(self.folder.name) / "W.pt",
                                       samples=Path(self.folder.name) / "S.pt")
        return Contestant(options, (0.9, 0.99), precision, arguments)

    def weights_after(self, contestant, steps):
        contestant.warm_up()
        for _ in range(steps):
            self.assertGreater(contestant.take_step(), 0.0)
        return torch.cat([value.detach().flatten() for value in contestant.net.parameters()])

    def test_they_start_from_the_same_losses(self):
        for options in (OPTIONS, THREE):
            contestants = [self.contestant(form, options=options) for form in ("eager", "best", "graph")]
            for one in contestants:
                one.warm_up()
            self.assertEqual(len(contestants[0].first_losses), len(options.order) + len(options.transfers))
            for other in contestants[1:]:
                torch.testing.assert_close(other.first_losses, contestants[0].first_losses, rtol=1e-4, atol=0.0)

    def test_a_captured_step_is_a_plain_one(self):
        captured = self.weights_after(self.contestant("graph", "bf16"), 2)  # behind three plain ones
        plain = self.weights_after(self.contestant("best", "bf16"), 4)  # behind one
        torch.testing.assert_close(captured, plain, rtol=0.0, atol=1e-6)

    def test_every_loss_can_be_recorded(self):
        """Nothing in a step has a size that the host must ask the device for: the meta device throws there."""
        for loss in ("cross", "kl"):
            options = replace(THREE, transferred_segmentation=loss, transferred_depth="ssim", soft_target=loss == "kl")
            contestant = self.contestant("best", options=options)
            contestant.net = contestant.net.to("meta")
            truths = {name: truth.to("meta") for name, truth in contestant.truths.items()}
            parts = contestant.parts(contestant.image.to("meta"), truths)
            self.assertTrue(all(value.is_meta for value in parts.values()))


class Cuda(unittest.TestCase):
    """In which order a GPU is asked for what."""

    def test_a_recording_is_replayed_and_waited_for(self):
        calls = []
        with mock.patch.object(peer_device.torch, "cuda") as cuda:
            cuda.synchronize.side_effect = lambda *_: calls.append("wait")
            cuda.CUDAGraph.return_value.replay.side_effect = lambda: calls.append("replay")

            @contextlib.contextmanager
            def recording(_):
                calls.append("begin")
                yield
                calls.append("end")

            cuda.graph.side_effect = recording
            cuda.stream.side_effect = lambda _: contextlib.nullcontext()
            device = peer_device.open_device("cuda:1")
            cuda.set_device.assert_called_once_with(torch.device("cuda:1"))
            device.warm_up_to_capture(lambda: calls.append("plain"), 3)
            replay = device.captured(lambda: calls.append("work"))
            device.synchronize()
            replay()
            device.synchronize()
            self.assertIs(device.peak_bytes(), cuda.max_memory_allocated.return_value)
        self.assertEqual(calls, ["plain"] * 3 + ["begin", "work", "end", "wait", "replay", "wait"])

    def test_fp32_is_fp32(self):
        with mock.patch.object(peer_device.torch, "cuda"), mock.patch.object(peer_device.torch, "backends") as backends:
            device = peer_device.open_device("cuda")
            for precision, allowed in (("fp32", False), ("tf32", True)):
                device.set_precision(precision, may_choose=True)
                self.assertIs(backends.cudnn.allow_tf32, allowed)
                self.assertIs(backends.cuda.matmul.allow_tf32, allowed)


if __name__ == "__main__":
    unittest.main()
