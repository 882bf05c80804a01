"""What xtasc-train says and does where CUDA finds no GPU to use. CUDA's answers are made up."""

from __future__ import annotations

import os
import subprocess
import unittest

from common import Programs, main

programs: Programs
TOO_OLD = {"XTASC_FAKE_CUDA_CODE": "35", "XTASC_FAKE_CUDA_DRIVER": "12020"}
NO_DEVICE = {"XTASC_FAKE_CUDA_CODE": "100", "XTASC_FAKE_CUDA_DRIVER": "13000"}
HAS_A_GPU = os.path.exists("/dev/nvidia0")


def train(device: str, variables: dict[str, str], ranks: int = 0) -> subprocess.CompletedProcess[str]:
    """A run that would end at once on the CPU, for want of a pack."""
    environment = {name: value for name, value in os.environ.items()
                   if name != "CUDA_VISIBLE_DEVICES" and not name.startswith("SLURM_")}
    environment |= {"LD_PRELOAD": str(programs.preload), "ASAN_OPTIONS": "verify_asan_link_order=0"} | variables
    command = programs.command("xtasc-train", *programs.train_arguments("none", f"run.device={device}", "data.pack="),
                               ranks=ranks)
    return subprocess.run(command, env=environment, cwd=programs.scratch, capture_output=True, text=True, check=False,
                          timeout=120)


class Presence(unittest.TestCase):
    def assert_cpu(self, done: subprocess.CompletedProcess[str]) -> None:
        self.assertIn("data.pack is not set", done.stderr, "it did not come as far as the pack")

    def test_a_driver_that_is_too_old_is_an_error_where_a_gpu_was_given(self) -> None:
        for variables in ({"SLURM_JOB_GPUS": "0"}, {"CUDA_VISIBLE_DEVICES": "0"}):
            done = train("auto", TOO_OLD | variables)
            self.assertEqual(done.returncode, 2, done.stderr)
            for words in ("is too old: it knows CUDA up to 12.2", "580 or newer", "--set run.device=cpu"):
                self.assertIn(words, done.stderr)

    def test_all_ranks_end_alike(self) -> None:
        done = train("auto", TOO_OLD | {"SLURM_JOB_GPUS": "0"}, ranks=2)
        self.assertEqual(done.returncode, 2, done.stderr)
        self.assertEqual(done.stderr.count("error:"), 1, done.stderr)

    def test_cuda_gets_the_true_reason(self) -> None:
        done = train("cuda", TOO_OLD)
        self.assertEqual(done.returncode, 2)
        self.assertIn("is too old: it knows CUDA up to 12.2", done.stderr)
        self.assertNotIn("CUDA_VISIBLE_DEVICES", done.stderr)
        self.assertIn("CUDA sees no GPU", train("cuda", NO_DEVICE).stderr)
        self.assertIn("CUDA_VISIBLE_DEVICES hides", train("cuda", NO_DEVICE | {"CUDA_VISIBLE_DEVICES": ""}).stderr)

    def test_auto_takes_the_cpu_where_nobody_gave_a_gpu(self) -> None:
        done = train("auto", NO_DEVICE)
        self.assert_cpu(done)
        self.assertEqual(done.stderr.count("computing on the CPU: CUDA sees no GPU"), 1, done.stderr)
        self.assert_cpu(train("auto", TOO_OLD | {"CUDA_VISIBLE_DEVICES": ""}))

    @unittest.skipIf(HAS_A_GPU, "this machine has a GPU")
    def test_a_machine_without_a_driver_says_nothing(self) -> None:
        done = train("auto", {"XTASC_FAKE_CUDA_CODE": "35"})
        self.assert_cpu(done)
        self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)


if __name__ == "__main__":
    main()
