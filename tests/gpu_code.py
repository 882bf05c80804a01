"""Looks with cuobjdump for the machine code of every CUDA kernel in xtasc-train, for every architecture.

    python tests/gpu_code.py --program build/release/bin/xtasc-train [--cuda] [--architectures 80 90 100]
    python tests/gpu_code.py --self-test

The architectures are CMake's CMAKE_CUDA_ARCHITECTURES: 90-virtual has no machine code, and what `native` and `all` mean
is not known here, so that each architecture of the program must then have every kernel.

Skipped (exit code 77) without CUDA, and where there is no cuobjdump (CUDA's toolkit and the torch wheel's Triton have
one).
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

# And how many versions each has.
KERNELS = {"augment_kernel": 1, "fused_losses_kernel": 2, "fused_gradients_kernel": 2,
           # Three types, packs of 16 bytes or single channels.
           "upsample_kernel": 6, "upsample_gradient_kernel": 6,
           # Three types, packs of four channels or single ones; three things to sum, and with ReLU or without.
           "norm_sums_kernel": 18, "norm_slices_kernel": 9, "norm_channels_kernel": 4, "norm_scale_shift_kernel": 12,
           "norm_gradient_kernel": 12, "epilogue_kernel": 18, "epilogue_gradient_kernel": 12}
SKIPPED = 77


def find_cuobjdump() -> str | None:
    packages = Path(sysconfig.get_paths()["purelib"])
    bundled = packages / "triton/backends/nvidia/bin/cuobjdump"
    return shutil.which("cuobjdump") or (str(bundled) if bundled.exists() else None)


def dumped(program: Path, option: str, cuda: bool) -> str | None:
    """What cuobjdump says of a program; None where it cannot, the reason then printed."""
    if not cuda:
        print("skipped: this build has no CUDA")
        return None
    cuobjdump = find_cuobjdump()
    if cuobjdump is None:
        print("skipped: no cuobjdump in PATH, nor in the torch wheel's Triton")
        return None
    return subprocess.run([cuobjdump, option, str(program)], capture_output=True, text=True, check=True).stdout


def kernels_by_architecture(listing: str) -> dict[str, list[str]]:
    """Architecture -> names of the kernels, one for each version."""
    found: dict[str, list[str]] = {}
    architecture = ""
    for line in listing.splitlines():
        if match := re.match(r"arch = (\w+)", line):
            architecture = match[1]
        elif match := re.search(r"STO_ENTRY\s+_Z\S*?\d((?:augment|upsample|fused|norm|epilogue)\w*?_kernel)(?=I|E)", line):
            found.setdefault(architecture, []).append(match[1])
    return found


def machine_architectures(configured: list[str], found: dict[str, list[str]]) -> list[str]:
    """The architectures that must have machine code; `configured` is as CMake has them."""
    named = [f"sm_{name.removesuffix('-real')}" for name in configured if re.fullmatch(r"\d+[a-z]?(-real)?", name)]
    is_by_name = all(name[0].isdigit() for name in configured)
    return named if is_by_name else sorted(found)


def faults_of(program: str, found: dict[str, list[str]], architectures: list[str]) -> list[str]:
    return [f"{program}: {kernel} has {found.get(architecture, []).count(kernel)} versions for {architecture}, "
            f"{count} are expected"
            for architecture in architectures for kernel, count in KERNELS.items()
            if found.get(architecture, []).count(kernel) != count]


def self_test() -> int:
    whole = [kernel for kernel, count in KERNELS.items() for _ in range(count)]
    for configured, found, expected in [
            (["80", "90", "100"], ["sm_80", "sm_90", "sm_100"], True), (["90"], ["sm_90"], True),
            (["80", "90"], ["sm_90"], False), (["90-real", "100-virtual"], ["sm_90"], True),
            (["90a"], ["sm_90a"], True), (["native"], ["sm_86"], True)]:
        listing = {architecture: whole for architecture in found}
        is_good = not faults_of("made up", listing, machine_architectures(configured, listing))
        assert is_good == expected, (configured, found)
    assert faults_of("made up", {"sm_86": whole[1:]}, machine_architectures(["native"], {"sm_86": []}))
    print("self-test passed")
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path)
    parser.add_argument("--cuda", action="store_true", help="the build has CUDA")
    parser.add_argument("--architectures", nargs="*", default=["80", "90", "100"], help="as CMake has them")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        return self_test()
    listing = dumped(arguments.program, "--dump-elf-symbols", arguments.cuda)
    if listing is None:
        return SKIPPED
    found = kernels_by_architecture(listing)
    architectures = machine_architectures(arguments.architectures, found)
    faults = faults_of(arguments.program.name, found, architectures)
    if not found and not all(name.endswith("-virtual") for name in arguments.architectures):
        faults.append(f"{arguments.program.name}: has no kernel of ours for any architecture")
    print("\n".join(faults) if faults else f"machine code for {', '.join(architectures)}: {', '.join(KERNELS)}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
