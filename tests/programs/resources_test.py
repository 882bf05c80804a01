"""Where a program's output and the system's resources go: what happens when one is lost or cannot be had."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import unittest

import common
from common import Programs
from life_case import Life, make_raw

programs: Programs
NOBODY = 65533


class Resources(Life):
    def test_output_that_is_lost_is_a_failure_of_every_program(self) -> None:
        for words in (["xtasc-preprocess", "info", str(programs.pack)], ["xtasc-inspect", "pack", str(programs.pack)],
                      ["xtasc-inspect", "model", "--config", str(programs.config)],
                      ["xtasc-train", "--config", str(programs.config), "--print-config"],
                      ["xtasc-preprocess", "--help"], ["xtasc-train", "--version"], ["xtasc-sweep", "--help"],
                      ["xtasc-tabulate", "--paper", "--only", "I"]):
            with self.subTest(words=words[:2]), open("/dev/full", "w") as full:
                done = subprocess.run(programs.command(*words), stdout=full, stderr=subprocess.PIPE, text=True,
                                      cwd=programs.scratch, check=False)
                self.one_line(done, 1, "cannot write to standard output")

    def test_a_reader_that_goes_away_ends_no_training(self) -> None:
        command = programs.command("xtasc-train", *programs.train_arguments("no_reader", "train.epochs=2"))
        reader = subprocess.Popen(["head", "-n", "1"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        self.addCleanup(reader.wait)
        done = subprocess.run(command, stdout=reader.stdin, stderr=reader.stdin, cwd=programs.scratch, check=False)
        reader.stdin.close()
        self.assertEqual(done.returncode, 0)
        self.assertTrue((programs.run_folder("no_reader") / "DONE").exists())

    def test_closed_streams_are_wanted_by_nobody(self) -> None:
        """And no file that is opened comes in their place, to get what is printed."""
        packs = [programs.scratch / f"{name}.h5" for name in ("open", "closed")]
        command = programs.command("xtasc-preprocess", "scenes", "--train", "2", "--val", "1", "--seed", "1", "--size",
                                   "32x32", "--output")
        for pack, closed in zip(packs, ("", "exec <&- >&- 2>&-; ")):
            done = subprocess.run(["bash", "-c", closed + 'exec "$@"', "-", *command, str(pack)], check=False)
            self.assertEqual(done.returncode, 0)
            self.assertEqual(programs.run("xtasc-preprocess", "verify", str(pack)).returncode, 0)
        self.assertEqual(packs[0].stat().st_size, packs[1].stat().st_size)
        for words in (["xtasc-inspect", "pack", str(programs.pack)], ["xtasc-sweep", "--help"],
                      ["xtasc-tabulate", "--paper", "--only", "I"], ["xtasc-train", *programs.train_arguments(
                          "closed_streams", "train.epochs=1", "train.max_steps=1")]):
            with self.subTest(words=words[:2]):
                done = subprocess.run(["bash", "-c", 'exec "$@" <&- >&- 2>&-', "-", *programs.command(*words)],
                                      cwd=programs.scratch, check=False)
                self.assertEqual(done.returncode, 0)
        run = programs.run_folder("closed_streams")
        self.assertEqual(len((run / "metrics.jsonl").read_text().splitlines()), 1)

    def test_too_little_memory_to_start(self) -> None:
        """MPI and the libraries of numbers would crash."""
        command = programs.command("xtasc-train", *programs.train_arguments("no_memory"))
        for megabytes in range(100, 4000, 50):
            done = subprocess.run(["prlimit", f"--data={megabytes << 20}", *command], capture_output=True, text=True,
                                  cwd=programs.scratch, check=False)
            if done.returncode != 127:  # the loader's, of a library that it has no room for
                break
        self.one_line(done, 3, "out of memory on the host: its libraries are loaded, and 256 MiB more")
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_a_limit_of_file_sizes_is_an_error_like_a_full_disk(self) -> None:
        arguments = programs.train_arguments("limited", "train.epochs=1")
        command = ["bash", "-c", 'ulimit -f 100; exec "$@"', "-", *programs.command("xtasc-train", *arguments)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=programs.scratch, check=False)
        self.one_line(done, 1, "File too large")

    def test_the_working_folder_is_gone(self) -> None:
        gone = programs.scratch / "gone"
        for program, *words in (("xtasc-train", *programs.train_arguments("gone_run")),
                                ("xtasc-evaluate", "--run", str(programs.scratch)),
                                ("xtasc-inspect", "model", "--config", str(programs.config))):
            with self.subTest(program=program):
                gone.mkdir()
                command = ["bash", "-c", 'rmdir "$PWD"; exec "$@"', "-", *programs.command(program, *words)]
                done = subprocess.run(command, capture_output=True, text=True, cwd=gone, check=False)
                self.one_line(done, 1, "the folder that this program was started in is not there any more")
                self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_the_run_folder_is_gone(self) -> None:
        process = self.train("removed", "train.epochs=200")
        self.wait_for_line(process, "epoch 1/200:")
        shutil.rmtree(programs.run_folder("removed"), ignore_errors=True)
        done = self.end(process)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertRegex(done.stderr, "error: the run folder .* is gone, or its files are: somebody removed or renamed")

    def test_a_full_folder_of_temporary_files(self) -> None:
        """One that cannot be made, as nobody's: root may write everywhere."""
        process = self.train("no_tmp", "train.epochs=1", TMPDIR="/proc/nothing")
        done = self.end(process, 300)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("TMPDIR is of no use; MPI has /tmp for its own files", done.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "only root can mount a small file system")
    def test_a_full_folder_of_temporary_files_under_mpirun(self) -> None:
        full = programs.scratch / "full"
        full.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(full)], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", str(full)], check=False)
        # mpirun makes its own folders, and leaves no room for the ranks' files.
        command = programs.command("xtasc-train", *programs.train_arguments("full_tmp"), ranks=2)
        script = 'dd if=/dev/zero of="$TMPDIR/fill" bs=1k count=64 2>/dev/null; exec "$@"'
        at = next(i for i, word in enumerate(command) if word.endswith("xtasc-train"))
        done = self.end(self.popen([*command[:at], "bash", "-c", script, "-", *command[at:]], TMPDIR=str(full)))
        self.one_line(done, 1, "MPI cannot start: ", str(full))

    def test_a_shell_of_srun(self) -> None:
        slurm = {"SLURM_JOB_ID": "77", "SLURM_JOBID": "77", "SLURM_NODELIST": "n", "SLURM_PROCID": "0",
                 "SLURM_LOCALID": "0", "SLURM_STEP_ID": "0", "SLURM_STEPID": "0", "SLURM_NTASKS": "4",
                 "SLURM_STEP_NUM_TASKS": "4"}
        done = self.end(self.train("by_hand", **slurm))
        self.one_line(done, 1, "srun has started this, and not so that it can be one of 4 ranks", "mpirun -np 1")
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)
        interactive = {"SLURM_STEP_ID": "4294967290", "SLURM_STEPID": "4294967290"}  # salloc's own
        pty = {"SLURM_PTY_PORT": "1"}
        done = self.end(self.train("by_hand", **slurm, **pty))  # one task of four, or the shell of the first
        self.one_line(done, 1, "one of 4 ranks", "mpirun -np 1")
        for more in (pty | {"SLURM_STEP_NUM_TASKS": "1"}, {"SLURM_STEP_NUM_TASKS": "1"}, interactive):
            with self.subTest(more=more):
                done = self.end(self.popen(programs.command("xtasc-inspect", "step", "--config", str(programs.config),
                                                            "--weights", "none.pt", "--samples", "none.pt", "--output",
                                                            "none.pt"), **(slurm | more)))
                self.one_line(done, 1, "none.pt")  # MPI has started

    def test_the_launcher_of_another_mpi(self) -> None:
        done = self.end(self.train("other_mpi", PMI_RANK="1", PMI_SIZE="2"))
        self.one_line(done, 1, "the launcher of another MPI started 2 ranks", "Open MPI, sees 1")

    @unittest.skipUnless(os.geteuid() == 0 and shutil.which("setpriv"), "only root can be a user of few processes")
    def test_fewer_threads_than_were_asked_for(self) -> None:
        place = programs.scratch / "threads"
        place.mkdir()
        place.chmod(0o777)
        programs.scratch.chmod(0o755)

        def with_processes(count: int, *command: str) -> subprocess.CompletedProcess[str]:
            limited = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "bash", "-c",
                       f'ulimit -u {count}; exec "$@"', "-", *command]
            return subprocess.run(limited, capture_output=True, text=True, cwd=place, check=False, timeout=120)

        root = make_raw(programs.scratch / "raw_threads", count=24)
        pack = ["xtasc-preprocess", "folder", "--root", str(root), "--workers", "16", "--output"]
        whole = programs.run(*pack, str(place / "whole.h5"))
        self.assertEqual(whole.returncode, 0, whole.stderr)
        for count in (2, 6):
            done = with_processes(count, *programs.command(*pack, str(place / f"{count}.h5")))
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertRegex(done.stderr, r"\d+ of 16 threads could be started")
            self.assertEqual(re.search("digest .*", done.stdout)[0], re.search("digest .*", whole.stdout)[0])
        train = programs.command("xtasc-train", "--config", str(programs.config),
                                 *common.sets([*common.SMALL, f"run.output={place}/run", "train.epochs=1"]))
        done = with_processes(6, *train, "--set", "run.threads=64")
        self.one_line(done, 1, "of 64 threads can be started", "run.threads")
        done = with_processes(1, *train)  # nobody to write checkpoints beside it
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(len(list(place.glob("run/*/DONE"))), 1)

    def test_too_few_files_that_may_be_open(self) -> None:
        """Open MPI would crash."""
        command = programs.command("xtasc-train", *programs.train_arguments("descriptors"))
        done = subprocess.run(["bash", "-c", 'ulimit -n 9; exec "$@"', "-", *command], capture_output=True, text=True,
                              cwd=programs.scratch, check=False)
        self.one_line(done, 1, "MPI cannot start: this process may open ", "Too many open files; ulimit -n")
        self.assertEqual(done.stderr.count("\n"), 1, done.stderr)

    def test_too_small_a_stack(self) -> None:
        command = programs.command("xtasc-train", *programs.train_arguments("stack"))
        done = subprocess.run(["bash", "-c", 'ulimit -s 200; exec "$@"', "-", *command], capture_output=True, text=True,
                              cwd=programs.scratch, check=False)
        self.assertEqual((done.returncode, done.stderr), (1, "xtasc-train: error: a stack of less than 512 KiB does not "
                                                             "suffice: raise ulimit -s\n"))

    def test_numbers_without_sense_are_refused(self) -> None:
        for assignment in ("run.stall_seconds=9223372036854775807", "run.threads=5000", "train.epochs=2000000000000"):
            with self.subTest(assignment=assignment):
                done = programs.run("xtasc-train", *programs.train_arguments("numbers", assignment))
                self.one_line(done, 2, assignment.split("=")[0], "and <= ")
        done = programs.run("xtasc-train", *programs.train_arguments("numbers", 'run.name="a\\u001bb"'))
        self.one_line(done, 2, "run.name must be a plain file name")


if __name__ == "__main__":
    common.main()
