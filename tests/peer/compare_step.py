"""Compares `xtasc-inspect step` with the PyTorch peer, from the same random weights and samples.

    python tests/peer/compare_step.py --program build/release/bin/xtasc-inspect [--ranks 1,2,3] [--cases NAME ...]

fp64 is the proof: predictions, losses and every gradient within 1e-9, weights and batch-norm buffers after up to 50
Adam steps within 1e-6. fp32: predictions and losses within 1e-5 (single gradients may differ by 1e-2 where rounding
flips a ReLU), or within three times the peer's own distance from its fp64 where that is more (ResNet152 after random
initialisation). bf16: losses within 2 % of the peer's fp32. Deviations are relative to the tensor's norm.

Biases in front of a batch norm have a true gradient of zero: theirs must be nothing but rounding beside the gradient of
the same convolution's weight, and their values after the steps are not compared (Adam magnifies rounding).

The cases are in cases.py: each option at least once by default, the whole matrix with --long.
Where a case says `twice`, the program runs again and must give the same bits.

Exit code 0: all agree; 1: something does not; 77: this Python has no torch (ctest: SKIP_RETURN_CODE).
"""

from __future__ import annotations

import argparse
import collections
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

try:
    import torch
except ImportError:
    print("skipped: this Python has no torch")
    sys.exit(77)

from torch import Tensor, nn

from cases import BATCH, Case, default_cases, long_cases, settings
from peer_losses import IGNORED
from peer_nets import biases_before_batch_norm
from xtasc_peer import Options, make_net, run_steps

KINDS = ("prediction", "loss", "gradient", "zero gradient", "losses", "weight", "across ranks")
TOLERANCES = {
    "fp64": {
        "prediction": 1e-9,
        "loss": 1e-9,
        "gradient": 1e-9,
        "zero gradient": 1e-9,
        "losses": 1e-6,
        "weight": 1e-6,
        "across ranks": 1e-8,
    },
    "fp32": {"prediction": 1e-5, "loss": 1e-5},
    "bf16": {"loss": 2e-2},
}
# In fp32, where two values of a pool's window are equal but for rounding, these put one at another place, below a deep pool
# seen in much of an image: in any task's branch, of the peer's fp32 against its fp64 as of ours.
UNPOOLING = ("segnet", "stan", "mtan", "dense", "cross_stitch", "kd4mtl")


# By image, of "partial" gaps: the first lacks labels of one task, the second of two, the third of all.
LABELLED = {"has_seg": (1, 0, 0, 1), "has_depth": (1, 0, 0, 1), "has_normals": (0, 1, 0, 1)}


# ---- inputs ----------------------------------------------------------------------------------------------------------
def random_net(options: Options, seed: int = 1) -> nn.Module:
    """A net in float32 whose biases, batch norms and task weights are away from their initial 0 and 1."""
    torch.manual_seed(seed)
    net = make_net(options)
    with torch.no_grad():
        for name, value in net.state_dict().items():
            if name.startswith("cs_unit"):  # unlike each other: a swapped factor must be seen
                value.uniform_(0.3, 1.2)
                continue
            if value.dim() != 1:
                continue
            if name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif name.endswith("weight"):
                value.uniform_(0.8, 1.2)
            else:
                value.normal_(std=0.1)
    return net


def net_of(options: Options) -> nn.Module:
    """random_net(); with random teachers, if it has any."""
    net = random_net(options)
    if options.system == "kd4mtl":
        alone = [replace(options, system="stan", tasks=(task,)) for task in options.tasks]
        teachers = [random_net(one, seed) for seed, one in enumerate(alone, start=3)]
        net.set_teachers({key: teacher.state_dict() for key, teacher in zip(options.order, teachers)})
    return net


def teacher_files(options: Options, folder: Path) -> dict[str, Path]:
    return {key: folder / f"TEACHER_{key}.pt" for key in options.order} if options.system == "kd4mtl" else {}


def random_samples(num_classes: int, size: tuple[int, int], gaps: str = "some", seed: int = 2) -> dict[str, Tensor]:
    """image (N, 3, H, W), label (N, H, W) int64, depth (N, 1, H, W), normals (N, 3, H, W), each image with its own share
    of gaps; of "partial" gaps also has_seg, has_depth and has_normals (N) uint8.

    Valid depth has gaps in patches too, as sensors leave them, so that ssim finds whole windows.
    """
    torch.manual_seed(seed)
    height, width = size
    count = len(LABELLED["has_seg"]) if gaps == "partial" else BATCH
    image = torch.nn.functional.interpolate(torch.randn(count, 3, height // 4, width // 4), size, mode="bilinear")
    image = image + 0.3 * torch.randn(count, 3, height, width)
    label = torch.randint(0, num_classes, (count, height, width))
    depth = 0.1 + 3 * torch.rand(count, 1, height, width)
    for i in range(count):
        label[i][torch.rand(height, width) < 0.1 * (i + 1)] = IGNORED
        depth[i][torch.rand(1, height, width) < 0.02 * (i + 1)] = 0.0
        depth[i, :, height // 4 : height // 2, : (i + 1) * width // 4] = 0.0
    normals = torch.nn.functional.normalize(torch.randn(count, 3, height, width), dim=1)
    for i in range(count):
        normals[i, :, torch.rand(height, width) < 0.1 * (i + 1)] = 0.0
    normals[0] = 0.0  # an image without valid normals
    depth[1::2] = 0.0  # without valid depth
    label[2] = IGNORED  # without labels
    samples = {"image": image, "label": label, "depth": depth, "normals": normals}
    for (name, nothing), has in zip((("label", IGNORED), ("depth", 0.0), ("normals", 0.0)), LABELLED):
        if gaps in (f"no {name}", "no truth"):
            samples[name][:] = nothing
        if gaps == "partial":
            samples[has] = torch.tensor(LABELLED[has], dtype=torch.uint8)
            samples[name][samples[has] == 0] = nothing
    return samples


def save_weights(net: nn.Module, form: str, path: Path) -> None:
    """Saves the net's tensors as a plain dictionary of float32 tensors (`dict`); or as what other programs may write:
    `state_dict`: an OrderedDict with metadata and num_batches_tracked, float64, convolutions in channels-last order;
    `views`: all tensors as views of one storage."""
    state = net.state_dict()
    if form == "state_dict":
        for name, value in state.items():
            if value.is_floating_point():
                value = value.double()
            state[name] = value.contiguous(memory_format=torch.channels_last) if value.dim() == 4 else value
        assert isinstance(state, collections.OrderedDict)
        torch.save(state, path)
        return
    tensors = {k: v.clone() for k, v in state.items() if not k.endswith("num_batches_tracked")}
    if form == "views":
        flat = torch.cat([v.reshape(-1) for v in tensors.values()])
        pieces = flat.split([v.numel() for v in tensors.values()])
        tensors = {k: piece.view(v.shape) for (k, v), piece in zip(tensors.items(), pieces)}
    torch.save(tensors, path)


# ---- the two computations --------------------------------------------------------------------------------------------
def command_line(program: str, config: Path, case: Case, folder: Path, ranks: int) -> list[str]:
    command = [program, "step", "--config", str(config)]
    for setting in settings(case):
        command += ["--set", setting]
    for key, path in teacher_files(case.options, folder).items():
        command += ["--set", f"distillation.teacher_{key}={path}"]
    for name, file in (("weights", "W.pt"), ("samples", "S.pt"), ("output", "O.pt")):
        command += [f"--{name}", str(folder / file)]
    command += ["--steps", str(case.steps)]
    if ranks > 1:
        command = ["mpirun", "-np", str(ranks), "--oversubscribe", "--bind-to", "none", *command]
    return command


def run_program(command: list[str], ranks: int) -> subprocess.CompletedProcess[str]:
    environment = dict(os.environ)
    if os.geteuid() == 0:
        environment |= {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    if ranks > 1:
        environment["OMP_NUM_THREADS"] = "1"
    return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=600)


def peer_outputs(case: Case, net: nn.Module, samples: dict[str, Tensor]) -> dict[str, Tensor]:
    """What O.pt should hold: computed in float64 for fp64, in float32 for fp32 and bf16."""
    dtype = torch.float64 if case.precision == "fp64" else torch.float32
    samples = {k: v.to(dtype) if v.is_floating_point() else v for k, v in samples.items()}
    return run_steps(net.to(dtype), samples, case.steps)


# ---- comparison ------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Deviation:
    kind: str
    name: str
    value: float
    tolerance: float


def relative(found: Tensor, expected: Tensor, scale: float | None = None) -> float:
    """||found - expected|| / ||expected||, infinite when the shapes differ or found is not finite."""
    if found.shape != expected.shape or not torch.isfinite(found).all():
        return float("inf")
    scale = expected.double().norm().item() if scale is None else scale
    return (found.double() - expected.double()).norm().item() / max(scale, 1e-30)


def same(a: dict[str, Tensor], b: dict[str, Tensor], name: str) -> bool:
    return torch.equal(torch.as_tensor(a[name]), torch.as_tensor(b[name]))


def kind_of(name: str) -> str:
    prefix = name.split(".")[0]
    return {"loss": "loss", "grad": "gradient", "weight": "weight", "losses": "losses"}.get(prefix, "prediction")


def compare(
    case: Case, found: dict[str, Tensor], expected: dict[str, Tensor], cancelled: set[str], across_ranks: bool = False
) -> tuple[list[Deviation], list[str]]:
    """Deviations of all that is compared, and faults other than deviations (missing or surplus tensors, dtypes).

    across_ranks: both come from the program, at different numbers of ranks; only what follows all steps is compared.
    """
    faults = [f"O.pt lacks '{name}'" for name in expected if name not in found]
    faults += [f"O.pt has '{name}', which this system has not" for name in found if name not in expected]
    dtype = torch.float64 if case.precision == "fp64" else torch.float32
    tolerances = TOLERANCES[case.precision]
    deviations = []
    for name in expected.keys() & found.keys():
        got, want = torch.as_tensor(found[name]), torch.as_tensor(expected[name])
        if got.dtype != dtype:
            faults.append(f"'{name}' is {got.dtype}, not {dtype}")
        kind, scale = kind_of(name), None
        if across_ranks:
            if kind not in ("weight", "losses"):
                continue
            kind = "across ranks"
        parameter = name.partition(".")[2]
        if parameter in cancelled:
            if kind != "gradient":
                continue
            kind = "zero gradient"
            scale = expected[f"grad.{parameter.removesuffix('bias')}weight"].double().norm().item()
        if kind in tolerances:
            deviations.append(Deviation(kind, name, relative(got, want, scale), tolerances[kind]))
    if "losses" in found and "loss.total" in found:
        first = torch.as_tensor(found["losses"]).flatten()[0]
        if not torch.equal(first, found["loss.total"].flatten()[0]):
            faults.append(f"losses[0] is {first.item()!r}, loss.total is {found['loss.total'].item()!r}")
    return deviations, faults


def run_case(
    case: Case, program: str, config: Path, folder: Path, ranks: list[int]
) -> tuple[dict[str, float], list[str]]:
    """Worst deviation by kind, and all that broke."""
    net = net_of(case.options)
    samples = random_samples(case.options.num_classes, case.size, case.gaps)
    save_weights(net, case.weights_form, folder / "W.pt")
    for key, path in teacher_files(case.options, folder).items():
        save_weights(net.teachers[key], "dict", path)
    torch.save(samples, folder / "S.pt")
    cancelled = biases_before_batch_norm(net)
    expected = peer_outputs(case, net, samples)
    worst: dict[str, float] = {}
    broken: list[str] = []
    first: dict[str, Tensor] | None = None
    for num_ranks in [*ranks, 1] if case.twice else ranks:
        where = f"{case.name}, {num_ranks} rank{'s' if num_ranks > 1 else ''}"
        command = command_line(program, config, case, folder, num_ranks)
        (folder / "O.pt").unlink(missing_ok=True)
        result = run_program(command, num_ranks)
        if result.returncode != 0 or not (folder / "O.pt").exists():
            said = result.stderr.strip()[-2000:]
            broken.append(f"{where}: exit code {result.returncode}: {' '.join(command)}\n{said}")
            continue
        try:
            found = torch.load(folder / "O.pt")
        except Exception as error:  # a fault like any other; the numbers can be compared all the same
            reason = next((line for line in str(error).splitlines() if "error:" in line), str(error))
            broken.append(f"{where}: plain torch.load does not open O.pt: {reason.strip()[:120]}")
            found = torch.load(folder / "O.pt", weights_only=False)
        deviations, faults = compare(case, found, expected, cancelled)
        if case.precision == "fp32" and any(d.value > d.tolerance for d in deviations):
            exact = peer_outputs(replace(case, precision="fp64"), net_of(case.options), samples)
            own = {d.name: relative(expected[d.name], exact[d.name]) for d in deviations}
            if case.options.system in UNPOOLING:
                most = {kind: max(own[d.name] for d in deviations if d.kind == kind) for kind in {d.kind for d in deviations}}
                own = {d.name: most[d.kind] for d in deviations}
            deviations = [replace(d, tolerance=max(d.tolerance, 3 * own[d.name])) for d in deviations]
        if first is None:
            first = found
        elif case.twice and num_ranks == ranks[0]:
            others = [name for name in found if not same(found, first, name)]
            broken += [f"{where}: '{name}' has other bits the second time" for name in others]
        elif case.precision == "fp64":
            more, _ = compare(case, found, first, cancelled, across_ranks=True)
            deviations += more
        broken += [f"{where}: {fault}" for fault in faults]
        for d in sorted(deviations, key=lambda d: d.value / d.tolerance, reverse=True):
            worst[d.kind] = max(worst.get(d.kind, 0.0), d.value)
            if d.value > d.tolerance:
                broken.append(f"{where}: {d.kind} '{d.name}' deviates by {d.value:.2e}, allowed {d.tolerance:.0e}")
    return worst, broken


def check_weight_faults(program: str, config: Path, folder: Path) -> list[str]:
    """A weight missing from W.pt, or left over in it, must be an error that names it."""
    case = Case("faults", Options(encoder="resnet18", system="base_st_depth"), "fp32")
    net = random_net(case.options)
    torch.save(random_samples(case.options.num_classes, case.size), folder / "S.pt")
    complete = {k: v for k, v in net.state_dict().items() if not k.endswith("num_batches_tracked")}
    lost = "depth_decoder.block2.bn1.running_var"
    without = {k: v for k, v in complete.items() if k != lost}
    surplus = complete | {"depth_decoder.block6.conv1.weight": torch.zeros(1)}
    reshaped = complete | {"encoder.conv1.weight": torch.zeros(64, 3, 3, 3)}
    trials = {lost: without, "depth_decoder.block6.conv1.weight": surplus, "encoder.conv1.weight": reshaped}
    broken = []
    for name, tensors in trials.items():
        torch.save(tensors, folder / "W.pt")
        result = run_program(command_line(program, config, case, folder, 1), 1)
        if result.returncode not in (1, 2) or name not in result.stderr:
            broken.append(
                f"W.pt with a fault in '{name}': expected exit code 1 and its name on standard error, "
                f"got {result.returncode}: {result.stderr.strip()[-500:]}"
            )
    return broken


# ---- command line ----------------------------------------------------------------------------------------------------
def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True, help="xtasc-inspect")
    parser.add_argument("--config", type=Path, help="config file for --config (default: one that only names the run)")
    parser.add_argument("--ranks", default="1", help="numbers of MPI ranks to run each case with, e.g. 1,2,3")
    parser.add_argument("--cases", nargs="+", metavar="NAME", help="these cases only; a prefix takes all that start so")
    parser.add_argument("--long", action="store_true", help="the whole matrix instead of the covering set")
    parser.add_argument("--list", action="store_true", help="print the names of the cases and stop")
    parser.add_argument("--threads", type=int, default=0, help="threads of the peer (default: torch's choice)")
    arguments = parser.parse_args()

    cases = long_cases() if arguments.long else default_cases()
    if arguments.list:
        print("\n".join(case.name for case in cases))
        return 0
    if arguments.cases:
        for wanted in arguments.cases:
            if wanted != "faults" and not any(case.name.startswith(wanted) for case in cases):
                parser.error(f"no case '{wanted}'; known: faults {' '.join(case.name for case in cases)}")
        cases = [case for case in cases if case.name.startswith(tuple(arguments.cases))]
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    ranks = [int(n) for n in arguments.ranks.split(",")]

    broken: list[str] = []
    print(f"{'worst deviation':44}" + "".join(f"{kind:>15}" for kind in KINDS) + f"{'seconds':>9}")
    with tempfile.TemporaryDirectory(prefix="xtasc-peer-") as name:
        folder = Path(name)
        config = arguments.config or folder / "peer.toml"
        if arguments.config is None:
            config.write_text('[run]\nname = "peer"\n')
        for case in cases:
            start = time.monotonic()
            worst, faults = run_case(case, arguments.program, config, folder, ranks)
            broken += faults
            row = "".join(f"{worst[kind]:>15.1e}" if kind in worst else f"{'-':>15}" for kind in KINDS)
            print(f"{case.name:44}{row}{time.monotonic() - start:>9.1f}{'  BROKEN' if faults else ''}", flush=True)
        if "faults" in arguments.cases if arguments.cases else not arguments.long:
            faults = check_weight_faults(arguments.program, config, folder)
            broken += faults
            print(f"{'faults in W.pt':44}{'BROKEN' if faults else 'named, as they should be'}")
    for line in broken[:40]:
        print(line, file=sys.stderr)
    if len(broken) > 40:
        print(f"... and {len(broken) - 40} more", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
