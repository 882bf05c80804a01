"""Looks at what the built programs link.

    python tests/links.py --bin build/release/bin [--cuda]

The programs that pack data, plan sweeps and print tables load no part of LibTorch, CUDA or MPI; the others load exactly
one libtorch_cpu and at most one libnccl, libcudart, libgomp, libmpi and HDF5; with --cuda exactly one libtorch_cuda,
libnccl and libcudart. No program lacks a library.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

WITHOUT_TORCH = ("xtasc-preprocess", "xtasc-tabulate", "xtasc-sweep")
FORBIDDEN = re.compile(r"^lib(torch|c10|nccl|cudart|cudnn|cublas|mpi)")
HDF5 = "libhdf5(_serial|_openmpi)?"
AT_MOST_ONE = ("libtorch_cpu", "libtorch_cuda", "libnccl", "libcudart", "libgomp", "libmpi", HDF5)
NEEDED_WITH_CUDA = ("libtorch_cuda", "libnccl", "libcudart")


def libraries(program: Path) -> dict[str, str]:
    """Name -> path (or "not found") of all that the loader would map, from ldd."""
    output = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True).stdout
    return {m[1]: m[2] for m in re.finditer(r"^\s*(\S+) => (not found|\S+)", output, re.MULTILINE)}


def check_program(program: Path, cuda: bool) -> list[str]:
    found = libraries(program)
    faults = [f"{program.name}: {name} is not found" for name, path in found.items() if path == "not found"]
    if program.name in WITHOUT_TORCH:
        return faults + [f"{program.name}: loads {name}" for name in found if FORBIDDEN.match(name)]
    for stem in AT_MOST_ONE:
        paths = sorted({path for name, path in found.items() if re.match(rf"{stem}[-.]", name)})
        if len(paths) > 1:
            faults.append(f"{program.name}: loads {len(paths)} of {stem}: {', '.join(paths)}")
        if not paths and (stem == "libtorch_cpu" or (cuda and stem in NEEDED_WITH_CUDA)):
            faults.append(f"{program.name}: does not load {stem}")
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, required=True, help="folder with the programs")
    parser.add_argument("--cuda", action="store_true", help="the build has CUDA")
    arguments = parser.parse_args()
    programs = sorted(file for file in arguments.bin.glob("xtasc-*") if file.is_file())
    if not programs:
        print(f"no xtasc-* programs in {arguments.bin}")
        return 1
    faults = [fault for program in programs for fault in check_program(program, arguments.cuda)]
    print("\n".join(faults) if faults else f"links: {' '.join(program.name for program in programs)} are in order")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
