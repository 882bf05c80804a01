"""File systems that lack something: locks, or the right to start programs; and pipes in place of files."""

from __future__ import annotations

import errno
import os
import subprocess
import unittest

import common
from common import OneLine, Programs
from sweep_case import SweepCase

programs: Programs


class WithoutLocks(OneLine, SweepCase):
    """flock fails, as on an NFS without lockd (ENOLCK) or a Lustre mounted without the option flock (ENOSYS)."""

    ERRORS = (errno.ENOLCK, errno.ENOSYS)

    def without_locks(self, error: int, *command: str) -> subprocess.CompletedProcess[str]:
        environment = self.environment() | {"LD_PRELOAD": str(programs.preload), "XTASC_LOCK_ERROR": str(error)}
        return subprocess.run(command, capture_output=True, text=True, timeout=600, cwd=programs.scratch,
                              env=environment, check=False)

    def test_packs_are_written_and_read(self) -> None:
        for error in self.ERRORS:
            pack = self.folder / f"{error}.h5"
            for arguments in (("scenes", "--train", "3", "--val", "2", "--seed", "1", "--size", "32x32", "--output",
                               str(pack)), ("verify", str(pack))):
                done = self.without_locks(error, *programs.command("xtasc-preprocess", *arguments))
                self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(path.name for path in self.folder.glob(".*.partial-*")), [])

    def test_a_run_is_trained_with_a_warning(self) -> None:
        done = self.without_locks(errno.ENOLCK, *programs.command("xtasc-train", *programs.train_arguments(
            "no_locks", "train.epochs=1", "train.max_steps=1")))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("No locks available (its file system keeps no locks; NFS wants lockd for them, Lustre the mount "
                      "option flock): that nobody else trains this run is not certain", done.stderr)

    def test_a_sweep_is_refused_and_can_be_looked_at(self) -> None:
        self.write_sweep(seeds=[1], rows=["xtasc"])
        for error in self.ERRORS:
            for command in (self.command("run", *self.stand_in()), self.command("submit", *self.stand_in())):
                done = self.without_locks(error, *command)
                self.one_line(done, 1, f"cannot lock {self.folder}/runs/sweep/.sweep/lock: {os.strerror(error)} (its file "
                              "system keeps no locks;", "choose a folder on another file system")
        self.sweep("run", *self.stand_in())  # and with locks
        for verb in ("status", "plan"):
            done = self.without_locks(errno.ENOLCK, *self.command(verb))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("done", done.stdout)


class Noexec(OneLine, SweepCase):
    """The results lie where the system starts no programs: the sweep's frozen program does too."""

    def test_it_is_told_before_the_first_run(self) -> None:
        self.write_sweep(seeds=[1], rows=["xtasc"])
        runs = self.folder / "runs"
        runs.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "noexec,size=16m", "none", str(runs)],
                                 capture_output=True, text=True, check=False)
        if mounted.returncode != 0:
            self.skipTest(f"cannot mount a file system: {mounted.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", str(runs)], check=True)
        done = self.sweep("run", *self.stand_in(), code=1)
        self.one_line(done, 1, "/xtasc-train: its file system is mounted noexec, so that no program starts from there; "
                      "give run.output a folder on another one")
        self.assertNotIn("started", done.stderr)
        self.assertEqual(self.states(), ["waiting"])
        # The nodes of a cluster may have it mounted otherwise: that is only said.
        programs_of_slurm = self.folder / "bin"
        programs_of_slurm.mkdir()
        for name, answer in (("squeue", '{"jobs": []}'),
                             ("sbatch", "17"), ("scontrol", "Configuration\nMaxArraySize = 10")):
            (programs_of_slurm / name).write_text(f"#!/bin/sh\ncat <<'X'\n{answer}\nX\n")
            (programs_of_slurm / name).chmod(0o755)
        site = self.folder / "site.toml"
        site.write_text("[job]\ngpus_per_node = 0\nranks_per_node = 1\n")
        done = subprocess.run(self.command("submit", "--site", str(site), *self.stand_in()), capture_output=True,
                              text=True, timeout=600, check=False, cwd=programs.scratch,
                              env=self.environment() | {"PATH": f"{programs_of_slurm}:{os.environ['PATH']}"})
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("submitted 1 run as job 17\n", done.stdout)
        self.assertIn("is mounted noexec", done.stderr)
        self.assertIn("submitted all the same, the nodes must be able to", done.stderr)


class Descriptors(OneLine, SweepCase):
    """mpirun hangs without files that it can open."""

    def test_they_are_counted_before_the_first_run(self) -> None:
        self.write_sweep(seeds=[1], rows=["xtasc"])
        done = subprocess.run(["bash", "-c", 'ulimit -n 40; exec "$@"', "-", *self.command("run", *self.stand_in())],
                              capture_output=True, text=True, timeout=600, check=False, cwd=programs.scratch,
                              env=self.environment())
        self.one_line(done, 1, "runs cannot be started: this process may open ", "64 are needed (Too many open files")
        self.assertEqual(self.states(), ["waiting"])


class Pipes(SweepCase):
    def test_named_pipes_in_a_run_folder_block_nobody(self) -> None:
        self.write_sweep(seeds=[1], rows=["xtasc"])
        (self.folder / "1").write_text("fail")
        trainer = self.stand_in()
        self.sweep("run", *trainer, code=1)
        run = self.runs()[0]
        (run / "log.txt").unlink()
        (run / "checkpoint/last").mkdir(parents=True)
        for name in ("log.txt", "lock", "checkpoint/last/step"):
            os.mkfifo(run / name)
        self.assertEqual(self.states(), ["failed"])
        self.assertIn("it is a named pipe, a file is expected", self.sweep("logs", run.name, code=1).stderr)
        self.sweep("retry", "--failed")
        self.assertIn("it is a named pipe, a file is expected", self.sweep("run", *trainer, code=1).stderr)
        (run / "log.txt").unlink()
        (self.folder / "1").unlink()
        self.sweep("run", *trainer)
        self.assertEqual(self.states(), ["done"])


if __name__ == "__main__":
    common.main()
