"""What the Python tests share: the two tiers, and a result that tells each test's time."""

from __future__ import annotations

import os
import sys
import time
import unittest

# What is slow and shows again a claim that a quicker test holds already, or waits for a fault to strike.
IS_LONG = os.environ.get("XTASC_TESTS") == "long"
long_tier = unittest.skipUnless(IS_LONG, "long tier: launch/test.sh --long")


class TimedResult(unittest.TextTestResult):
    def startTest(self, test: unittest.TestCase) -> None:
        self._begin = time.monotonic()
        super().startTest(test)

    def addSuccess(self, test: unittest.TestCase) -> None:
        unittest.TestResult.addSuccess(self, test)
        self.stream.writeln(f"ok, {time.monotonic() - self._begin:.1f} s")


def run_tests(arguments: list[str], exits: bool = True) -> unittest.TestProgram:
    """The calling script's tests, a line each. `arguments` are those of unittest."""
    runner = unittest.TextTestRunner(verbosity=2, resultclass=TimedResult)
    return unittest.main(argv=[sys.argv[0], *arguments], testRunner=runner, exit=exits)
