"""The peer of `xtasc-bench step`: training steps of the same net in plain PyTorch, from the same weights, on the same
samples, on the same device, in one of four forms:

    eager     as the 2021 code: float32 whatever the precision, NCHW, one backward pass for each task, plain Adam
    best      the fastest form known: channels-last, one backward pass, fused Adam, the transferred-segmentation loss in
              one call where torch has it; autocast for bf16
    graph     the same step captured once and replayed: a CUDA graph; on the CPU the plain step
    compiled  the net and its losses under torch.compile; on CUDA with mode max-autotune, which has graphs of its own

One process takes one form, so that its peak of memory is that form's. Prints one line of JSON when it is ready. Then it
takes one step for each line on standard input and answers with one line of JSON:

    seconds            wall clock of the step, until the device has done it
    peak_bytes         peak memory of this process so far: resident, or on CUDA what tensors held of the device's
    first_losses       the plain losses of the first step, which was not timed: the tasks' in the config's order, then
                       those of the transfers
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

from peer_device import open_device
from peer_losses import losses
from xtasc_peer import Options, clip_gradient, distillation_losses, make_net, make_optimizer, task_losses, total_loss

FORMS = ("eager", "best", "graph", "compiled")
TEACHERS = "teachers."
STEPS_BEFORE_CAPTURE = 3  # libraries make handles and workspaces, which cannot be captured
STEPS_OF_COMPILING = 3  # max-autotune compiles, then warms its graphs up, then captures them


class Contestant:
    """A net with its optimizer and a batch, ready to take steps."""

    def __init__(self, options, betas, precision, arguments):
        self.options = options
        self.device = open_device(arguments.device)
        self.is_best = arguments.form != "eager"
        self.is_captured = arguments.form == "graph"
        self.is_compiled = arguments.form == "compiled"
        self.autocast = self.is_best and precision == "bf16"
        self.device.set_precision(precision, may_choose=self.is_best)
        layout = torch.channels_last if self.is_best else torch.contiguous_format
        self.net = make_net(options)
        weights = torch.load(arguments.weights)
        own = {name: value for name, value in weights.items() if not name.startswith(TEACHERS)}
        missing = self.net.load_state_dict(own, strict=False).missing_keys
        missing = [name for name in missing if not name.endswith("num_batches_tracked")]
        if missing:
            sys.exit(f"{arguments.weights}: no {missing[0]}")
        if options.system == "kd4mtl":
            prefixes = {key: f"{TEACHERS}{key}." for key in options.order}
            self.net.set_teachers({key: {name.removeprefix(prefix): value for name, value in weights.items()
                                         if name.startswith(prefix)} for key, prefix in prefixes.items()})
        self.net = self.net.to(self.device.device, memory_format=layout).train()
        self.optimizer = make_optimizer(self.net, betas, fused=True if self.is_best else None,
                                        capturable=self.is_captured and self.device.device.type == "cuda")
        self.forward = self.parts
        if self.is_compiled:
            self.forward = torch.compile(self.parts, mode=self.device.compile_mode)
        samples = {name: value.to(self.device.device) for name, value in torch.load(arguments.samples).items()}
        self.image = samples.pop("image").contiguous(memory_format=layout)
        if "draws" in samples:  # of the network's dropout: those of ours, so that the first losses can be compared
            self.net.noise = samples.pop("draws")
        self.truths = samples
        self.step = self.plain_step
        self.first_losses = None

    def parts(self, image, truths):
        """The plain losses."""
        with torch.autocast(self.device.device.type, dtype=torch.bfloat16, enabled=self.autocast):
            predictions = self.net(image)
            distilled = self.net.distillation_losses(image) if self.options.system == "kd4mtl" else {}
        predictions = {name: value.float() for name, value in predictions.items()}
        return losses(self.options, predictions, truths, quick=self.is_best) | distilled

    def task_losses(self, parts):
        """Eq. 11 by task, and what its teacher adds."""
        tasks = task_losses(self.options, parts)
        taught = distillation_losses(self.options, parts)
        return [task + more for task, more in zip(tasks, taught)] if taught else tasks

    def plain_step(self):
        parts = self.forward(self.image, self.truths)
        self.optimizer.zero_grad()
        if self.is_best:
            total_loss(self.options, parts, None).backward()
        else:
            tasks = self.task_losses(parts)
            for index, task in enumerate(tasks):
                task.backward(retain_graph=index + 1 < len(tasks))
        clip_gradient(self.net)
        self.optimizer.step()
        if self.first_losses is None:
            names = [*self.options.order, *(f"{a}_to_{b}" for a, b in self.options.transfers)]
            self.first_losses = [parts[name].item() for name in names]

    def warm_up(self):
        """The steps that nobody times: libraries make their kernels, torch.compile ours, a graph is captured."""
        if self.is_captured:
            self.device.warm_up_to_capture(self.plain_step, STEPS_BEFORE_CAPTURE)
            self.step = self.device.captured(self.plain_step)
        else:
            for _ in range(STEPS_OF_COMPILING if self.is_compiled else 1):
                self.plain_step()
        self.device.synchronize()

    def take_step(self):
        """Seconds."""
        start = time.perf_counter()
        self.step()
        self.device.synchronize()
        return time.perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--form", required=True, choices=FORMS)
    parser.add_argument("--weights", required=True, help="the net's tensors by name; its teachers': teachers.KEY.NAME")
    parser.add_argument("--samples", required=True, help="image, the tasks' truths, has_KEY; draws for dropout")
    parser.add_argument("--options", type=json.loads, default={}, help="the config's keys that this follows, as JSON")
    parser.add_argument("--classes", type=int, default=7)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    betas = arguments.options.pop("betas", (0.9, 0.99))
    precision = arguments.options.pop("precision", "fp32")
    contestant = Contestant(Options(num_classes=arguments.classes, **arguments.options), betas, precision, arguments)
    print(json.dumps({"torch": torch.__version__, "threads": torch.get_num_threads(), "device": arguments.device}),
          flush=True)
    idle_since = None
    for _ in sys.stdin:
        idle = 0.0 if idle_since is None else time.process_time() - idle_since
        if contestant.first_losses is None:
            contestant.warm_up()
        answer = {"seconds": contestant.take_step(), "peak_bytes": contestant.device.peak_bytes(),
                  "first_losses": contestant.first_losses, "idle_cpu_seconds": idle}
        print(json.dumps(answer), flush=True)
        idle_since = time.process_time()


if __name__ == "__main__":
    main()
