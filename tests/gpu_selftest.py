"""xtasc-inspect selftest on this machine's GPUs: one rank alone, then a rank for each GPU.

    python tests/gpu_selftest.py --program build/release/bin/xtasc-inspect [--cuda]

Every other test runs on the CPU, also where there are GPUs. Skipped (exit code 77) without CUDA or a GPU.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

SKIPPED = 77


def num_gpus() -> int:
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return len([gpu for gpu in given.split(",") if gpu.strip()])
    return len([path for path in Path("/dev").glob("nvidia[0-9]*") if path.name.removeprefix("nvidia").isdigit()])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--cuda", action="store_true", help="this build has CUDA")
    options = parser.parse_args()
    if not options.cuda:
        print("skipped: this build has no CUDA")
        return SKIPPED
    gpus = num_gpus()
    if gpus == 0:
        print("skipped: this machine has no GPU; nothing here has been run on one yet")
        return SKIPPED
    for ranks in sorted({1, gpus}):
        command = ["mpirun", "-np", str(ranks), "--oversubscribe", "--bind-to", "none", options.program, "selftest",
                   "--device", "cuda"]
        print(" ".join(command), flush=True)
        if code := subprocess.run(command, check=False).returncode:
            return code
    return 0


if __name__ == "__main__":
    sys.exit(main())
