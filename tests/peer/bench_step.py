"""The peer of `xtasc-bench step`: training steps of the same net in plain PyTorch, from the same weights, on the same
samples.

Three forms of it:
    eager     as the 2021 code: float32 whatever the precision, NCHW, one backward pass for each task, plain Adam
    best      the fastest form known: channels-last, one backward pass, fused Adam; autocast for bf16
    compiled  the same, the net under torch.compile

Prints one line of JSON when it is ready. Then it takes one step for each line on standard input, the name of a form,
and answers with one line of JSON: {"seconds": wall clock of the step, "peak_bytes": peak resident memory so far,
"first_losses": the plain losses of the form's first step, which was not timed: seg, depth, seg_to_depth, depth_to_seg,
0 where there is none}. Ends with its input. Each form has its own net, made at its first step.
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

from peer_losses import losses
from xtasc_peer import Net, Options, total_loss


FORMS = ("eager", "best", "compiled")
LOSSES = ("seg", "depth", "seg_to_depth", "depth_to_seg")


class Contestant:
    """A net with its optimizer and a batch, ready to take steps."""

    def __init__(self, form, options, arguments):
        self.options = options
        self.is_best = form != "eager"
        self.autocast = self.is_best and arguments.precision == "bf16"
        layout = torch.channels_last if self.is_best else torch.contiguous_format
        self.net = Net(options)
        weights = torch.load(arguments.weights)
        missing = self.net.load_state_dict(weights, strict=False).missing_keys
        missing = [name for name in missing if not name.endswith("num_batches_tracked")]
        if missing:
            sys.exit(f"{arguments.weights}: no {missing[0]}; only system, encoder and precision are the peer's to change")
        self.net = self.net.to(memory_format=layout).train()
        betas = (0.9, 0.999) if options.system.startswith("base_st") else (0.9, 0.99)
        self.optimizer = torch.optim.Adam(
            self.net.parameters(), lr=options.learning_rate, betas=betas, eps=1e-8, fused=True if self.is_best else None
        )
        self.forward = torch.compile(self.net) if form == "compiled" else self.net
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
        parts = losses(self.options, predictions, self.label, self.depth)
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


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weights", required=True, help="the net's tensors by name")
    parser.add_argument("--samples", required=True, help="image, label and depth")
    parser.add_argument("--system", default="xtasc")
    parser.add_argument("--encoder", default="resnet34")
    parser.add_argument("--precision", default="fp32", choices=["fp32", "bf16"])
    parser.add_argument("--classes", type=int, default=7)
    parser.add_argument("--threads", type=int, default=0)
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    options = Options(system=arguments.system, encoder=arguments.encoder, num_classes=arguments.classes)
    contestants = {}
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads()}), flush=True)
    for line in sys.stdin:
        form = line.strip()
        if form not in FORMS:
            sys.exit(f"form must be one of {', '.join(FORMS)}, found '{form}'")
        if form not in contestants:
            contestants[form] = Contestant(form, options, arguments)
            contestants[form].take_step()  # the first one also makes oneDNN's kernels
        seconds = contestants[form].take_step()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        answer = {"seconds": seconds, "peak_bytes": peak, "first_losses": contestants[form].first_losses}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
