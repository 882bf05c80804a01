"""Tests that a page names, as FILE::NAME: tests/programs/sweep_test.py::test_x or tests/core/core_test.cpp::Suite.Name. A
script without named tests of its own (tests/nccl/faults_test.py) is named alone."""

from __future__ import annotations

import re
from pathlib import Path

NAMED = re.compile(r"(tests/[\w/]+\.(?:py|cpp))::([\w.]+)")


def is_there(root: Path, file: str, name: str) -> bool:
    try:
        text = (root / file).read_text()
    except OSError:
        return False
    if file.endswith(".py"):
        return re.search(rf"^ *def {re.escape(name)}\(", text, re.MULTILINE) is not None
    suite, _, test = name.partition(".")
    return re.search(rf"^TEST(?:_F|_P)?\({re.escape(suite)},\s*{re.escape(test)}\)", text, re.MULTILINE) is not None


def faults(root: Path, page: str, text: str) -> list[tuple[int, str]]:
    """The line of each fault, and what it is. In docs/faults.md a row, | number | fault | behaviour | tests |, names a
    test or says "no test"."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        found += [(number, f"there is no test {file}::{name}") for file, name in NAMED.findall(line)
                  if not is_there(root, file, name.rstrip("."))]
        row = re.match(r"\| *(\d+) *\|", line)
        if page == "docs/faults.md" and row and not re.search(r"tests/[\w/]+\.(?:py|cpp)|no test", line.split("|")[-2]):
            found.append((number, f"row {row[1]} names no test, and does not say that there is none"))
    return found
