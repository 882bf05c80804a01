"""Looks at what the built programs link.

    python tests/links.py --bin build/release/bin [--cuda --nccl-library FILE]
    python tests/links.py --nccl --bin build/release/bin --double build/release/tests [--cuda]

No program loads OpenCV's imgcodecs. The programs that pack data, plan sweeps and print tables load no part of LibTorch,
CUDA or MPI; the others load exactly one libtorch_cpu and at most one libnccl, libcudart, libgomp, libmpi and HDF5; with
--cuda exactly one libtorch_cuda, libnccl and libcudart, and libnccl is the one that CMake chose, which is the wheel's.
No program lacks a library.

With --nccl: xtasc-train needs libnccl, libcudart and libtorch_cuda by name and takes NCCL's and CUDA's functions from
them; no program has a function of theirs of its own, nor a trace of the tests' double of them. Proves itself on the
binary that does have the double. A build without CUDA is skipped (exit code 77).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path

WITHOUT_TORCH = ("xtasc-preprocess", "xtasc-tabulate", "xtasc-sweep")
FORBIDDEN = re.compile(r"^lib(torch|c10|nccl|cudart|cudnn|cublas|mpi)")
TOO_MANY = "libopencv_imgcodecs"  # loads a hundred libraries more
HDF5 = "libhdf5(_serial|_openmpi)?"
AT_MOST_ONE = ("libtorch_cpu", "libtorch_cuda", "libnccl", "libcudart", "libgomp", "libmpi", HDF5)
NEEDED_WITH_CUDA = ("libtorch_cuda", "libnccl", "libcudart")
USED_BY_TRAINING = ("ncclCommInitRankConfig", "ncclAllReduce", "ncclBroadcast", "ncclCommGetAsyncError",
                    "ncclCommFinalize", "ncclCommDestroy", "ncclCommAbort", "cudaEventRecord", "cudaStreamWaitEvent")
SKIPPED = 77


def libraries(program: Path) -> dict[str, str]:
    """Name -> path (or "not found") of all that the loader would map, from ldd."""
    output = subprocess.run(["ldd", str(program)], capture_output=True, text=True, check=True).stdout
    return {m[1]: m[2] for m in re.finditer(r"^\s*(\S+) => (not found|\S+)", output, re.MULTILINE)}


def check_program(program: Path, cuda: bool, nccl: Path | None) -> list[str]:
    found = libraries(program)
    faults = [f"{program.name}: {name} is not found" for name, path in found.items() if path == "not found"]
    faults += [f"{program.name}: loads {name}" for name in found if name.startswith(TOO_MANY)]
    if program.name in WITHOUT_TORCH:
        return faults + [f"{program.name}: loads {name}" for name in found if FORBIDDEN.match(name)]
    for stem in AT_MOST_ONE:
        paths = sorted({path for name, path in found.items() if re.match(rf"{stem}[-.]", name)})
        if len(paths) > 1:
            faults.append(f"{program.name}: loads {len(paths)} of {stem}: {', '.join(paths)}")
        if not paths and (stem == "libtorch_cpu" or (cuda and stem in NEEDED_WITH_CUDA)):
            faults.append(f"{program.name}: does not load {stem}")
    for name, path in found.items():
        if nccl is not None and name.startswith("libnccl.") and not Path(path).samefile(nccl):
            faults.append(f"{program.name}: loads {path}, but is to load {nccl}")
    return faults


def needed(program: Path) -> list[str]:
    """The libraries that the program itself names."""
    output = subprocess.run(["readelf", "-dW", str(program)], capture_output=True, text=True, check=True).stdout
    return re.findall(r"\(NEEDED\)\s+Shared library: \[([^]]+)\]", output)


def symbols(program: Path) -> tuple[set[str], set[str]]:
    """(defined, undefined) names, without versions."""
    output = subprocess.run(["readelf", "-sW", str(program)], capture_output=True, text=True, check=True).stdout
    defined, undefined = set(), set()
    for line in output.splitlines():
        words = line.split()
        if len(words) >= 8 and words[0].rstrip(":").isdigit():
            (undefined if words[6] == "UND" else defined).add(words[7].split("@")[0])
    return defined, undefined


def traces_of_double(program: Path) -> list[str]:
    defined = symbols(program)[0]
    return sorted(name for name in defined if re.match(r"p?nccl[A-Z]|cuda[A-Z]", name) or "nccl_double" in name)


def check_nccl(programs: list[Path], double: Path) -> list[str]:
    faults = [f"{program.name}: has {', '.join(found[:3])} of its own"
              for program in programs if (found := traces_of_double(program))]
    if not traces_of_double(double / "test_nccl"):
        faults.append("test_nccl: the double is not seen where it is: this test sees nothing")
    training = next(program for program in programs if program.name == "xtasc-train")
    for stem in NEEDED_WITH_CUDA:
        if not any(re.match(rf"{stem}\.so", name) for name in needed(training)):
            faults.append(f"{training.name}: does not need {stem}")
    undefined = symbols(training)[1]
    return faults + [f"{training.name}: does not take {name} from a library"
                     for name in USED_BY_TRAINING if name not in undefined]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, required=True, help="folder with the programs")
    parser.add_argument("--cuda", action="store_true", help="the build has CUDA")
    parser.add_argument("--nccl-library", type=Path, help="the libnccl that programs must load")
    parser.add_argument("--nccl", action="store_true", help="look at NCCL only")
    parser.add_argument("--double", type=Path, help="folder of test_nccl, which has the double")
    arguments = parser.parse_args()
    if arguments.nccl and not arguments.cuda:
        print("skipped: this build has no CUDA, so no program uses NCCL")
        return SKIPPED
    programs = sorted(file for file in arguments.bin.glob("xtasc-*") if file.is_file())
    if not programs:
        print(f"no xtasc-* programs in {arguments.bin}")
        return 1
    if arguments.nccl:
        faults = check_nccl(programs, arguments.double)
    else:
        faults = [fault for program in programs
                  for fault in check_program(program, arguments.cuda, arguments.nccl_library)]
    print("\n".join(faults) if faults else f"links: {' '.join(program.name for program in programs)} are in order")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
