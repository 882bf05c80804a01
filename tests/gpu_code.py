"""Looks with cuobjdump for the machine code of every CUDA kernel in xtasc-train, for every architecture.

    python tests/gpu_code.py --program build/release/bin/xtasc-train [--cuda]

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

ARCHITECTURES = ("sm_80", "sm_90", "sm_100")
KERNELS = {"augment_kernel": 1, "fused_losses_kernel": 2, "fused_gradients_kernel": 2,
           # Three types, packs of 16 bytes or single channels.
           "upsample_kernel": 6, "upsample_gradient_kernel": 6,
           # Three types, packs of four channels or single ones; three things to sum, and with ReLU or without.
           "norm_sums_kernel": 18, "norm_slices_kernel": 1, "norm_scale_shift_kernel": 12,
           "norm_gradient_kernel": 12}  # and how many versions each has
SKIPPED = 77


def find_cuobjdump() -> str | None:
    packages = Path(sysconfig.get_paths()["purelib"])
    bundled = packages / "triton/backends/nvidia/bin/cuobjdump"
    return shutil.which("cuobjdump") or (str(bundled) if bundled.exists() else None)


def kernels_by_architecture(listing: str) -> dict[str, list[str]]:
    """Architecture -> names of the kernels, one for each version."""
    found: dict[str, list[str]] = {}
    architecture = ""
    for line in listing.splitlines():
        if match := re.match(r"arch = (\w+)", line):
            architecture = match[1]
        elif match := re.search(r"STO_ENTRY\s+_Z\S*?\d((?:augment|upsample|fused|norm)\w*?_kernel)(?=I|E)", line):
            found.setdefault(architecture, []).append(match[1])
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--cuda", action="store_true", help="the build has CUDA")
    arguments = parser.parse_args()
    if not arguments.cuda:
        print("skipped: this build has no CUDA")
        return SKIPPED
    cuobjdump = find_cuobjdump()
    if cuobjdump is None:
        print("skipped: no cuobjdump in PATH, nor in the torch wheel's Triton")
        return SKIPPED
    listing = subprocess.run([cuobjdump, "--dump-elf-symbols", str(arguments.program)], capture_output=True, text=True,
                             check=True).stdout
    found = kernels_by_architecture(listing)
    faults = [f"{arguments.program.name}: {kernel} has {found.get(architecture, []).count(kernel)} versions for "
              f"{architecture}, {count} are expected"
              for architecture in ARCHITECTURES for kernel, count in KERNELS.items()
              if found.get(architecture, []).count(kernel) != count]
    print("\n".join(faults) if faults else f"machine code for {', '.join(ARCHITECTURES)}: {', '.join(KERNELS)}")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
