"""Counts with cuobjdump the machine instructions of the upsample's kernels in xtasc-train, for every architecture in it.

    python tests/gpu_instructions.py --program build/release/bin/xtasc-train [--cuda]
    python tests/gpu_instructions.py --self-test

A thread of the packed kernels makes as many outputs as 16 bytes hold: 8 in bfloat16. Counted is every instruction that
the kernel has, its exits, loop and bounds included, and only the NOPs behind its end left out; so no thread executes
more for its outputs. Only where it has more packs of channels than a block has threads, a thread goes round its loop
again, for as many outputs more.

Skipped (exit code 77) without CUDA and without cuobjdump, as gpu_code.py.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

from gpu_code import SKIPPED, dumped

PACKED = {"12Bfloat16Bits": 8, "f": 4, "d": 2}  # type as in mangled names -> outputs of a thread


@dataclass(frozen=True)
class Kernel:
    loads: int
    most_an_output: int  # instructions, in bfloat16


KERNELS = {"upsample_kernel": Kernel(loads=4, most_an_output=30),
           "upsample_gradient_kernel": Kernel(loads=16, most_an_output=80)}


@dataclass
class Code:
    """Of one kernel for one architecture."""
    architecture: str
    kernel: str
    type: str
    instructions: list[str] = field(default_factory=list)

    @property
    def name(self) -> str:
        return f"{self.architecture} {self.kernel}<{self.type}, {PACKED[self.type]}>"

    @property
    def per_output(self) -> float:
        return len(self.instructions) / PACKED[self.type]


def packed_kernels(listing: str) -> list[Code]:
    """From what `cuobjdump --dump-sass` writes."""
    found: list[Code] = []
    architecture, inside = "", False
    for line in listing.splitlines():
        if match := re.match(r"arch = (\w+)", line):
            architecture = match[1]
        elif "Function :" in line:
            match = re.search(r"\d(upsample\w*?_kernel)I(?:NS\d*_)?(\w+?)E?Li(\d+)E", line)
            inside = match is not None and int(match[3]) == PACKED.get(match[2], 0)
            if match and inside:
                found.append(Code(architecture, match[1], match[2]))
        elif inside and (match := re.match(r"\s+/\*[0-9a-f]{4,}\*/\s+(?:@!?\w+\s+)?([A-Z][\w.]*)", line)):
            if match[1] != "NOP":
                found[-1].instructions.append(match[1])
    return found


def faults_of(code: Code) -> list[str]:
    wanted = KERNELS[code.kernel]
    faults = []
    for access, count in (("LDG.", wanted.loads), ("STG.", 1)):
        all_of_them = [one for one in code.instructions if one.startswith(access)]
        if len(all_of_them) != count or not all(".128" in one for one in all_of_them):
            faults.append(f"{code.name}: {' '.join(all_of_them)}, {count} of 128 bits are expected")
    # A subroutine's return, the reciprocal that a division begins with, registers spilled to local memory. A CALL alone
    # may be a jump.
    for forbidden in ("RET", "MUFU.RCP", "LDL", "STL"):
        if any(one.startswith(forbidden) for one in code.instructions):
            faults.append(f"{code.name}: has {forbidden}")
    if "Bfloat16" in code.type and code.per_output > wanted.most_an_output:
        faults.append(f"{code.name}: {code.per_output:.1f} instructions an output, {wanted.most_an_output} at the most")
    return faults


def check(listing: str) -> list[str]:
    found = packed_kernels(listing)
    versions = [(code.architecture, code.kernel, code.type) for code in found]
    architectures = sorted(set(re.findall(r"^arch = (\w+)", listing, re.MULTILINE)))
    faults = [f"{architecture} {kernel}: {versions.count((architecture, kernel, of))} versions packed for {of}"
              for architecture in architectures for kernel in KERNELS for of in PACKED
              if versions.count((architecture, kernel, of)) != 1]
    for code in found:
        faults += faults_of(code)
    return faults if architectures else ["no machine code"]


def made_up(kernel: str, mangled: str, instructions: list[str]) -> str:
    lines = [f"\t\tFunction : _ZN5xtasc7kernels12_GLOBAL__N_{len(kernel)}{kernel}I{mangled}EEvNS0_12UpsampleWorkIT_EE"]
    lines += [f"        /*{16 * i:04x}*/    @P0 {one} R2, R4 ;    /* 0x000 */" for i, one in enumerate(instructions)]
    return "\n".join(lines) + "\n"


def self_test() -> int:
    def listing(extra: list[str], load: str = "LDG.E.128") -> str:
        text = "arch = sm_90\n"
        for kernel, wanted in KERNELS.items():
            for of in PACKED:
                code = [load] * wanted.loads + ["STG.E.128", "EXIT", "BRA", "NOP", "NOP"]
                mangled = f"{'NS0_' + of + 'E' if of[0].isdigit() else of}Li"
                text += made_up(kernel, f"{mangled}{PACKED[of]}", code + extra)
                text += made_up(kernel, f"{mangled}1", ["LDG.E.U16"])
        return text

    assert check(listing([])) == []
    assert len(packed_kernels(listing([]))[0].instructions) == 7
    for fault in (listing(["RET.REL.NODEC"]), listing(["MUFU.RCP"]), listing(["STL.64"]), listing(["STG.E.128"]),
                  listing([], "LDG.E.64"), listing(["FFMA"] * 640), listing([]).replace("Li8E", "Li4E"), ""):
        assert check(fault), fault[:200]
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path)
    parser.add_argument("--cuda", action="store_true", help="the build has CUDA")
    parser.add_argument("--self-test", action="store_true")
    arguments = parser.parse_args()
    if arguments.self_test:
        return self_test()
    if arguments.program is None:
        parser.error("--program is missing")
    listing = dumped(arguments.program, "--dump-sass", arguments.cuda)
    if listing is None:
        return SKIPPED
    for code in packed_kernels(listing):
        print(f"{code.name}: {len(code.instructions)} instructions, {code.per_output:.1f} an output")
    faults = check(listing)
    print("\n".join(faults))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
