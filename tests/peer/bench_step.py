"""The peer of `xtasc-bench step`: training steps of the same net on a batch of the same size in plain PyTorch.

Two forms of it:
    eager  as the 2021 code: float32 whatever the precision, NCHW, one backward pass for each task, plain Adam
    best   the fastest form known: channels-last, one backward pass, fused Adam; autocast for bf16

Prints one line of JSON when it is ready. Then it takes one step for each line on standard input, `eager` or `best`, and
answers with one line of JSON: {"seconds": wall clock of the step, "peak_bytes": peak resident memory so far}. Ends with
its input. Each form has its own net, made at its first step.
"""
import argparse
import json
import resource
import sys
import time

try:
    import torch
except ImportError as error:
    sys.exit(f"{error}: pip install torch into the project's .venv, or leave --peer out")

from peer_losses import IGNORED, losses
from xtasc_peer import Net, Options, total_loss


class Contestant:
    """A net with its optimizer and a batch of noise, ready to take steps."""

    def __init__(self, form, options, arguments):
        self.options = options
        self.is_best = form == "best"
        self.autocast = self.is_best and arguments.precision == "bf16"
        layout = torch.channels_last if self.is_best else torch.contiguous_format
        size = (arguments.height, arguments.width)
        self.net = Net(options).to(memory_format=layout).train()
        betas = (0.9, 0.999) if options.system.startswith("base_st") else (0.9, 0.99)
        self.optimizer = torch.optim.Adam(
            self.net.parameters(), lr=options.learning_rate, betas=betas, eps=1e-8, fused=True if self.is_best else None
        )
        self.image = torch.randn(arguments.batch, 3, *size).to(memory_format=layout)
        depth = torch.rand(arguments.batch, 1, *size)
        label = torch.randint(0, options.num_classes, (arguments.batch, *size))
        self.label = torch.where(depth[:, 0] < 0.1, torch.full_like(label, IGNORED), label)
        self.depth = torch.where(depth < 0.05, torch.zeros_like(depth), depth)

    def task_losses(self, parts):
        """Eq. 11 by task."""
        options = self.options
        if not options.has_transfer:
            return [parts[name] for name in ("seg", "depth") if name in parts]
        return [
            (1 - options.lambda_1) * parts["seg"] + options.lambda_1 * parts["seg_to_depth"],
            (1 - options.lambda_2) * parts["depth"] + options.lambda_2 * parts["depth_to_seg"],
        ]

    def take_step(self):
        start = time.perf_counter()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=self.autocast):
            predictions = self.net(self.image)
        predictions = {name: value.float() for name, value in predictions.items()}
        parts = losses(self.options, predictions, self.label, self.depth)
        self.optimizer.zero_grad()
        if self.is_best:
            total_loss(self.options, parts, None).backward()
        else:
            tasks = self.task_losses(parts)
            for index, task in enumerate(tasks):
                task.backward(retain_graph=index + 1 < len(tasks))
        self.optimizer.step()
        return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--system", default="xtasc")
    parser.add_argument("--encoder", default="resnet34")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--classes", type=int, default=7)
    parser.add_argument("--height", type=int, default=128)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    torch.manual_seed(1)
    options = Options(system=arguments.system, encoder=arguments.encoder, num_classes=arguments.classes)
    contestants = {}
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        form = line.strip()
        if form not in ("eager", "best"):
            sys.exit(f"form must be eager or best, found '{form}'")
        if form not in contestants:
            contestants[form] = Contestant(form, options, arguments)
            contestants[form].take_step()  # the first one also makes oneDNN's kernels
        seconds = contestants[form].take_step()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps({"seconds": seconds, "peak_bytes": peak}), flush=True)


if __name__ == "__main__":
    main()
