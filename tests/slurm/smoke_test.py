"""sweeps/smoke.toml as a user starts it, once on this machine and once through Slurm: both give the same table."""

from __future__ import annotations

import pathlib
import shutil
import subprocess
import tempfile
import unittest

import cluster as shared
from cluster import Cluster, ProjectSweep, wait_for

cluster: Cluster
NUM_RUNS = 8
PATIENCE = 1500.0  # a machine that does other things as well; idle, two cores take 75 s


class Smoke(unittest.TestCase):
    def setUp(self) -> None:
        # On the disk: checkpoints of eight runs are more than memory may hold.
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="smoke-", dir=cluster.folder))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.folder.chmod(0o755)
        self.pack = self.folder / "scenes.h5"
        # As the sweep file says that its pack is made.
        line = next(line for line in (shared.SOURCE / "sweeps/smoke.toml").read_text().splitlines()
                    if "xtasc-preprocess scenes" in line)
        words = line.split("#", 1)[1].split("(")[0].split()
        self.assertEqual(words[-2:], ["--output", "data/scenes.h5"])
        subprocess.run([str(cluster.bin / words[0]), *words[1:-1], str(self.pack)], check=True, capture_output=True)

    def smoke(self, name: str) -> ProjectSweep:
        directory = self.folder / name
        (directory / "data").mkdir(parents=True)
        (directory / "data/scenes.h5").symlink_to(self.pack)
        return ProjectSweep(cluster, "smoke", directory, ranks_per_node=1, max_at_once=2)

    def table(self, sweep: ProjectSweep) -> str:
        self.assertIn(f"{NUM_RUNS} runs: {NUM_RUNS} done\n", sweep.run("status").stdout)
        collected = sweep.run("collect", "--format", "csv", "--protocol", "both")
        self.assertEqual(collected.returncode, 0, collected.stderr)
        for run in sweep.ids():
            shutil.rmtree(sweep.folder / run / "checkpoint")
        return collected.stdout

    def test_run_and_submit_give_the_same_table(self) -> None:
        submitted = self.smoke("submitted")
        submitted.submit()
        wait_for("the runs", lambda: submitted.all_done() or not submitted.is_active(), PATIENCE)
        wait_for("the end of the jobs", lambda: not submitted.is_active())
        self.assertEqual(submitted.states(), {"COMPLETED"}, submitted.script_log())
        here = self.smoke("here")
        done = here.run("run", "--jobs", "2", seconds=PATIENCE)
        self.assertEqual(done.returncode, 0, done.stderr)
        table = self.table(submitted)
        for row in ("Base ST-Net", "Base MT-Net", "XTasC-Net"):
            self.assertIn(f"smoke,{row},2,", table)
        self.assertEqual(self.table(here), table)


if __name__ == "__main__":
    shared.main()
