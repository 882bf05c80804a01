"""How ranks end when one of them meets with a fault in the middle of NCCL's work, on the double of NCCL.

    python tests/nccl/faults_test.py --program build/release/tests/nccl_faults

Three ranks under mpirun; the last one stops, dies, throws or stays away. Whatever happens, all ranks end in time, with
a code that is not 0, and the message names the rank, the operation and the rank that is behind.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

RANKS = 3
SECONDS = 40.0  # on a busy machine; unhurried it is below 6
ENVIRONMENT = "NCCL_SOCKET_IFNAME is not set"


@dataclass(frozen=True)
class Case:
    fault: str
    timeout: float  # of one operation, in seconds
    says: tuple[str, ...]


CASES = (
    Case("absent", 2.0, ("in start-up #1: ncclCommInitRankConfig: not done within 2 s", "rank 0 of 3", ENVIRONMENT,
                         "behind the others: rank 2", "rank 2 (", "no operation yet")),
    Case("stop", 2.0, ("in sum #5 of 4096 bytes: not done within 2 s", "behind the others: rank 2",
                       "sum #4 of 4096 bytes", "sum #5 of 4096 bytes", ENVIRONMENT)),
    Case("async", 30.0, ("NCCL, rank 2 of 3", "in sum #4 of 4096 bytes: an earlier operation: remote process exited",)),
    Case("async-elsewhere", 30.0, ("NCCL, rank 2 of 3", "in sum #4 of 4096 bytes: remote process exited", ENVIRONMENT)),
    Case("throw", 30.0, ("the disk is full",)),
    Case("leave", 2.0, ("not done within 2 s",)),
    Case("kill", 30.0, ("signal 9",)),
)


def check(program: Path, case: Case) -> list[str]:
    command = ["mpirun", "-np", str(RANKS), "--oversubscribe", "--bind-to", "none", "--mca", "mpi_yield_when_idle", "1",
               str(program), "--fault", case.fault, "--timeout", str(case.timeout)]
    start = time.monotonic()
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired as expired:
        return [f"{case.fault}: still running after {SECONDS} s\n{(expired.stderr or b'').decode()}"]
    seconds = time.monotonic() - start
    text = done.stdout + done.stderr
    faults = [f"{case.fault}: does not say '{words}'" for words in case.says if words not in text]
    if done.returncode == 0:
        faults.append(f"{case.fault}: ends with code 0")
    if faults:
        faults.append(f"{case.fault}: what it said:\n{text}")
    print(f"{case.fault}: code {done.returncode} after {seconds:.1f} s")
    return faults


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, required=True, help="nccl_faults, as built")
    arguments = parser.parse_args()
    with ThreadPoolExecutor(max_workers=4) as pool:  # they mostly wait
        faults = [fault for found in pool.map(lambda case: check(arguments.program, case), CASES) for fault in found]
    print("\n".join(faults) if faults else f"faults: all {len(CASES)} end as they should")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
