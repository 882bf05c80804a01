"""The peer of `xtasc-bench step`: training steps of the same net in plain PyTorch, from the same weights, on the same
samples, in one of three forms:

    eager     as the 2021 code: float32 whatever the precision, NCHW, one backward pass for each task, plain Adam
    best      the fastest form known: channels-last, one backward pass, fused Adam, the transferred-segmentation loss in
              one call where torch has it; autocast for bf16
    compiled  the same, the net under torch.compile

One process takes one form, so that its peak of resident memory is that form's. Prints one line of JSON when it is
ready. Then it takes one step for each line on standard input and answers with one line of JSON:

    seconds            wall clock of the step
    peak_bytes         peak resident memory of this process so far
    first_losses       the plain losses of the first step, which was not timed: seg, depth, seg_to_depth, depth_to_seg;
                       0 where there is none
    idle_cpu_seconds   processor time that it took between the last answer and this line: it must not disturb who is
                       being timed then

Ends with its input.
"""
import argparse
import json
import sys
import time

try:
    import torch
except ImportError as error:
    sys.exit(f"{error}: pip install torch into the project's .venv, or leave --peer out")

from peer_losses import losses
from xtasc_peer import Net, Options, total_loss

FORMS = ("eager", "best", "compiled")
LOSSES = ("seg", "depth", "seg_to_depth", "depth_to_seg")


class Contestant:
    """A net with its optimizer and a batch, ready to take steps."""

    def __init__(self, options, betas, precision, arguments):
        self.options = options
        self.is_best = arguments.form != "eager"
        self.autocast = self.is_best and precision == "bf16"
        layout = torch.channels_last if self.is_best else torch.contiguous_format
        self.net = Net(options)
        weights = torch.load(arguments.weights)
        missing = self.net.load_state_dict(weights, strict=False).missing_keys
        missing = [name for name in missing if not name.endswith("num_batches_tracked")]
        if missing:
            sys.exit(f"{arguments.weights}: no {missing[0]}")
        self.net = self.net.to(memory_format=layout).train()
        self.optimizer = torch.optim.Adam(
            self.net.parameters(), lr=options.learning_rate, betas=betas, eps=1e-8, fused=True if self.is_best else None
        )
        self.forward = torch.compile(self.net) if arguments.form == "compiled" else self.net
        samples = torch.load(arguments.samples)
        self.image = samples["image"].contiguous(memory_format=layout)
        self.label, self.depth = samples["label"], samples["depth"]
        self.first_losses = None

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
            predictions = self.forward(self.image)
        predictions = {name: value.float() for name, value in predictions.items()}
        parts = losses(self.options, predictions, self.label, self.depth, quick=self.is_best)
        self.optimizer.zero_grad()
        if self.is_best:
            total_loss(self.options, parts, None).backward()
        else:
            tasks = self.task_losses(parts)
            for index, task in enumerate(tasks):
                task.backward(retain_graph=index + 1 < len(tasks))
        self.optimizer.step()
        seconds = time.perf_counter() - start
        if self.first_losses is None:
            self.first_losses = [parts[name].item() if name in parts else 0.0 for name in LOSSES]
        return seconds


def peak_resident_bytes():
    """Of this program: getrusage() would also tell what its parent had when it started it."""
    with open("/proc/self/status", encoding="utf-8") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--form", required=True, choices=FORMS)
    parser.add_argument("--weights", required=True, help="the net's tensors by name")
    parser.add_argument("--samples", required=True, help="image, label and depth")
    parser.add_argument("--options", type=json.loads, default={}, help="the config's keys that this follows, as JSON")
    parser.add_argument("--classes", type=int, default=7)
    parser.add_argument("--threads", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    betas = arguments.options.pop("betas", (0.9, 0.99))
    precision = arguments.options.pop("precision", "fp32")
    contestant = Contestant(Options(num_classes=arguments.classes, **arguments.options), betas, precision, arguments)
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    idle_since = None
    for _ in sys.stdin:
        idle = 0.0 if idle_since is None else time.process_time() - idle_since
        if contestant.first_losses is None:
            contestant.take_step()  # the first one also makes oneDNN's kernels
        answer = {"seconds": contestant.take_step(), "peak_bytes": peak_resident_bytes(),
                  "first_losses": contestant.first_losses, "idle_cpu_seconds": idle}
        print(json.dumps(answer), flush=True)
        idle_since = time.process_time()


if __name__ == "__main__":
    main()
