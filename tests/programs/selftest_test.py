"""xtasc-inspect selftest as a user of a new cluster runs it, on sound machines and on one with a fault."""

from __future__ import annotations

import json
import os
import pathlib
import signal
import subprocess
import time
import unittest

import common
from common import Programs
from suite import IS_LONG, long_tier

programs: Programs
ONLY_A_GPU_SHOWS = {"each rank has a GPU of its own", "the device's backend agrees with MPI",
                    "all equal one: 4 steps in fp64 on the GPU, losses and weights",
                    "all ranks' steps as CUDA graphs against plain ones, fp32",
                    "all ranks' steps as CUDA graphs against plain ones, bf16",
                    "the host does not wait for the device, fp32", "the host does not wait for the device, bf16",
                    "one that fails leaves no trace"}
ONLY_PEERS_SHOW = {"all-reduce of 1 MiB", "all-reduce of 16 MiB", "all-reduce of 128 MiB"}


def self_test(ranks: int, *arguments: str) -> tuple[subprocess.CompletedProcess[str], dict]:
    path = programs.scratch / f"selftest_{ranks}.json"
    path.unlink(missing_ok=True)
    done = programs.run("xtasc-inspect", "selftest", "--device", "cpu", "--json", str(path), *arguments, ranks=ranks)
    return done, json.loads(path.read_text()) if path.exists() else {}


class SoundMachine(unittest.TestCase):
    def test_every_check_passes_on_any_ranks(self) -> None:
        scratch = programs.scratch / "checkpoints"
        scratch.mkdir()
        for ranks in (1, 2, 3) if IS_LONG else (2,):
            with self.subTest(ranks=ranks):
                done, report = self_test(ranks, "--scratch", str(scratch))
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertEqual(report["failed"], 0)
                self.assertEqual(len(report["ranks"]), ranks)
                for check in report["checks"]:
                    with self.subTest(check=check["name"]):
                        self.assertIn(f"{check['group']}: {check['name']}", done.stdout)
                        is_skipped = check["name"] in ONLY_A_GPU_SHOWS | (ONLY_PEERS_SHOW if ranks == 1 else set())
                        self.assertEqual(check["outcome"], "SKIP" if is_skipped else "PASS", check)
                self.assertIn(f"{report['passed']} passed", done.stdout.splitlines()[-1])
                self.assertEqual(list(scratch.iterdir()), [], "a folder was left behind")


class Fault(unittest.TestCase):
    @long_tier
    def test_a_folder_that_cannot_be_written(self) -> None:
        done, report = self_test(2, "--scratch", "/proc/none")
        self.assertEqual(done.returncode, 1, done.stderr)
        failed = [check for check in report["checks"] if check["outcome"] == "FAIL"]
        self.assertEqual({check["group"] for check in failed}, {"checkpoint"})
        self.assertEqual(len(failed), report["failed"])
        for check in failed:
            self.assertEqual(check["failed_ranks"], [0])
            self.assertIn("/proc/none", check["reason"])
        self.assertGreater(report["passed"], 10, "the other checks still run")
        self.assertEqual(done.stdout.count("FAIL"), len(failed))

    def test_a_rank_that_hangs_ends_all(self) -> None:
        command = programs.command("xtasc-inspect", "selftest", "--device", "cpu", "--timeout", "4", ranks=2)
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
            try:
                stopped = self.first_rank_of(process.pid)
                os.kill(stopped, signal.SIGSTOP)
                _, errors = process.communicate(timeout=60)
            finally:
                process.kill()
        self.assertEqual(process.returncode, 1, errors)
        self.assertIn("did not end within 4 s", errors)

    @staticmethod
    def first_rank_of(launcher: int) -> int:
        """A rank that mpirun has started, once its check is under way."""
        for _ in range(600):
            children = pathlib.Path(f"/proc/{launcher}/task/{launcher}/children").read_text().split()
            ranks = [int(pid) for pid in children if b"selftest" in pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()]
            if len(ranks) == 2:
                time.sleep(2.0)
                return ranks[1]
            time.sleep(0.05)
        raise AssertionError("mpirun started no ranks")


class WrongCommand(unittest.TestCase):
    def test_refused(self) -> None:
        for words in (["--device", "tpu"], ["--timeout", "0"]):
            done = programs.run("xtasc-inspect", "selftest", *words)
            self.assertEqual((done.returncode, done.stdout), (2, ""))
            self.assertIn(words[0], done.stderr)

    def test_help_says_what_no_gpu_has_run(self) -> None:
        done = programs.run("xtasc-inspect", "selftest", "--help")
        self.assertEqual(done.returncode, 0)
        self.assertIn("have not been run on one yet", " ".join(done.stdout.split()))


if __name__ == "__main__":
    common.main()
