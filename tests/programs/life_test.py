"""A program's life beside its work: its start, how it is stopped, where its output and the system's resources go."""

from __future__ import annotations

import fcntl
import functools
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import termios
import time
import unittest

import common
from common import OneLine, Programs, metrics
from png import write_png

programs: Programs
NOBODY = 65533
RAW = """
name = "made"
size = [32, 64]
[image]
file = "rgb/{id}.png"
[label]
file = "label/{id}.png"
void = [255]
class_names = ["a", "b"]
[depth]
file = "depth/{id}.png"
bits = 8
kind = "metres"
divisor = 20.0
invalid = [0]
[split]
train = "train.txt"
val = "val.txt"
"""


class Life(OneLine):
    def popen(self, command: list[str], **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                   cwd=programs.scratch, env=os.environ | environment)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def train(self, output: str, *assignments: str, ranks: int = 0, **environment: str) -> subprocess.Popen[str]:
        return self.popen(programs.command("xtasc-train", *programs.train_arguments(output, *assignments), ranks=ranks),
                          **environment)

    def hanging_open(self, part: str) -> dict[str, str]:
        return {"LD_PRELOAD": str(programs.preload), "XTASC_HANG_OPEN": part}

    def end(self, process: subprocess.Popen[str], seconds: float = 60) -> subprocess.CompletedProcess[str]:
        output, errors = process.communicate(timeout=seconds)
        return subprocess.CompletedProcess(process.args, process.returncode, output, errors)

    def wait_for_line(self, process: subprocess.Popen[str], part: str) -> None:
        text = ""
        for line in process.stderr:
            text += line
            if part in line:
                return
        self.fail(text)

    def wait_for_ranks(self, output: str, count: int) -> list[int]:
        for _ in range(500):
            if len(ranks := programs.ranks_of(output)) == count:
                return ranks
            time.sleep(0.02)
        self.fail(f"there are no {count} ranks")


class Watched(Life):
    def test_a_rank_that_never_comes_is_told_before_mpi_has_started(self) -> None:
        process = self.train("stopped_at_start", "run.stall_seconds=4", ranks=2)
        ranks = self.wait_for_ranks("stopped_at_start", 2)
        os.kill(ranks[1], signal.SIGSTOP)
        begin = time.monotonic()
        done = self.end(process)
        self.assertLess(time.monotonic() - begin, 30)
        self.one_line(done, 85, "nothing got done for 4 s in ", "did not arrive", "run.stall_seconds = 4",
                      "the same command goes on")
        self.assertNotRegex(done.stderr, f"rank . .process {ranks[0]}[^)]*.,? did not arrive")
        self.assertEqual(programs.ranks_of("stopped_at_start"), [])

    def test_a_rank_that_stops_in_training_is_named_with_what_each_did(self) -> None:
        process = self.train("stopped_in_training", "run.stall_seconds=4", "train.epochs=200", ranks=2)
        self.wait_for_line(process, "epoch 1/200:")
        rank = programs.ranks_of("stopped_in_training")[0]
        os.kill(rank, signal.SIGSTOP)
        done = self.end(process)
        self.one_line(done, 85, "nothing got done for 4 s in ", f"(process {rank}, stopped) did not arrive")
        row = r"^  rank [01] \(process \d+(, stopped)?\): .* for [\d.]+ s; \w+ \d+ of the ranks, "
        self.assertEqual(len(re.findall(row, done.stderr, re.MULTILINE)), 2, done.stderr)

    def test_a_file_that_does_not_answer_ends_each_program_in_time(self) -> None:
        """And a rank that is alone blames no other."""
        environment = self.hanging_open("scenes.h5")
        done = self.end(self.train("alone", "run.stall_seconds=2", **environment))
        self.one_line(done, 85, "xtasc-train: error: nothing got done for 2 s in opening the pack",
                      "a file system or a device does not answer, or run.stall_seconds = 2 is too short")
        self.assertNotIn("another rank", done.stderr)
        done = self.end(self.popen(programs.command("xtasc-preprocess", "verify", str(programs.pack), "--stall-seconds",
                                                    "2"), **environment))
        self.one_line(done, 1, "nothing got done for 2 s in opening ", "--stall-seconds = 2")

    def test_a_raw_file_that_does_not_answer_is_named(self) -> None:
        root = programs.scratch / "raw"
        done = self.end(self.popen(programs.command(
            "xtasc-preprocess", "folder", "--root", str(make_raw(root)), "--output", str(programs.scratch / "raw.h5"),
            "--stall-seconds", "2"), **self.hanging_open("0001.png")))
        self.one_line(done, 1, "nothing got done for 2 s in the check of ", "0001", "--stall-seconds = 2")
        self.assertFalse((programs.scratch / "raw.h5").exists())


class Stopped(Life):
    def test_while_it_starts(self) -> None:
        """Where a file does not answer: within a second, with one line, and the code that says: try again."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2, signal.SIGHUP):
            with self.subTest(signal=number.name):
                process = self.train("starting", **self.hanging_open("scenes.h5"))
                time.sleep(3)
                process.send_signal(number)
                begin = time.monotonic()
                done = self.end(process)
                self.assertLess(time.monotonic() - begin, 3)
                self.assertEqual(done.returncode, 85, done.stderr)
                self.assertEqual(done.stderr, f"xtasc-train: stopped by {number.name} in opening the pack; the same "
                                 "command goes on\n")

    def test_a_program_that_only_reads(self) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            process = self.popen(programs.command("xtasc-inspect", "pack", str(programs.pack)),
                                 **self.hanging_open("scenes.h5"))
            time.sleep(2)
            process.send_signal(number)
            done = self.end(process, 10)
            self.assertEqual(done.returncode, 128 + number, done.stderr)
            self.assertEqual(done.stderr, f"xtasc-inspect: stopped by {number.name} in its start\n")

    def test_while_it_starts_on_ranks(self) -> None:
        process = self.train("starting_ranks", ranks=2, **self.hanging_open("scenes.h5"))
        self.wait_for_ranks("starting_ranks", 2)
        time.sleep(3)
        process.send_signal(signal.SIGUSR2)  # mpirun passes it on
        done = self.end(process)
        self.assertEqual(done.returncode, 85, done.stderr)
        self.assertEqual(done.stderr.count("stopped by "), 1, done.stderr)
        self.assertEqual(programs.ranks_of("starting_ranks"), [])

    def test_the_packer(self) -> None:
        root = make_raw(programs.scratch / "raw_stopped")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            with self.subTest(signal=number.name):
                process = self.popen(programs.command("xtasc-preprocess", "folder", "--root", str(root), "--output",
                                                      str(programs.scratch / "stopped.h5")),
                                     **self.hanging_open("0001.png"))
                time.sleep(1)
                process.send_signal(number)
                done = self.end(process, 10)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertIn(f"stopped by {number.name}", done.stderr)
                self.assertFalse((programs.scratch / "stopped.h5").exists())

    def test_when_the_terminal_closes(self) -> None:
        process = self.train("hung_up", "train.epochs=200")
        self.wait_for_line(process, "epoch 1/200:")
        process.send_signal(signal.SIGHUP)
        done = self.end(process)
        self.assertEqual(done.returncode, 85, done.stderr)
        self.assertIn("SIGHUP: stopping with a checkpoint", done.stderr)
        self.assertIn("stopped by SIGHUP after ", done.stderr)
        self.assertTrue((programs.run_folder("hung_up") / "checkpoint/last/checkpoint.json").exists())

    def in_terminal(self, output: str, *assignments: str, before) -> int:
        """Trains in a terminal of its own, which closes after the first epoch; the exit code."""
        terminal, end = os.openpty()

        def begin() -> None:
            os.setsid()
            fcntl.ioctl(end, termios.TIOCSCTTY, 0)
            before()

        process = subprocess.Popen(programs.command("xtasc-train", *programs.train_arguments(output, *assignments)),
                                   stdin=end, stdout=end, stderr=end, cwd=programs.scratch, preexec_fn=begin,
                                   env=os.environ | {"TERM": "xterm"})
        self.addCleanup(process.kill)
        os.close(end)
        shown = b""
        while b"epoch 1/" not in shown or b": train loss" not in shown:
            shown += os.read(terminal, 4096)
        self.assertIn(b"\r", shown, "no live line: the test does not test")
        os.close(terminal)
        return process.wait(timeout=120)

    def test_in_a_terminal_that_closes(self) -> None:
        self.assertEqual(self.in_terminal("closed", "train.epochs=200", before=lambda: None), 85)
        checkpoint = json.loads((programs.run_folder("closed") / "checkpoint/last/checkpoint.json").read_text())
        self.assertGreater(checkpoint["progress"]["step"], 0)
        # As under nohup: the training outlives it.
        ignored = functools.partial(signal.signal, signal.SIGHUP, signal.SIG_IGN)
        self.assertEqual(self.in_terminal("outlived", "train.epochs=3", before=ignored), 0)
        self.assertTrue((programs.run_folder("outlived") / "DONE").exists())

    def test_ctrl_c_of_mpirun_begins_to_stop_at_once(self) -> None:
        """mpirun makes SIGCONT, SIGTERM after a while and SIGKILL after another of it; it ends with 1 itself."""
        process = self.train("ctrl_c", "train.epochs=200", ranks=2, OMPI_MCA_odls_base_sigkill_timeout="6")
        self.wait_for_line(process, "epoch 1/200:")
        process.send_signal(signal.SIGINT)
        done = self.end(process)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("stopped by mpirun, which was asked to end", done.stderr)  # not by the SIGTERM that comes later
        again = self.train("ctrl_c", "train.epochs=200", ranks=2)
        self.wait_for_line(again, "resuming after epoch ")
        again.send_signal(signal.SIGUSR2)
        self.assertEqual(self.end(again).returncode, 85)

    def test_ranks_that_were_only_halted_go_on(self) -> None:
        process = self.train("halted", "train.epochs=200", ranks=2)
        self.wait_for_line(process, "epoch 1/200:")
        process.send_signal(signal.SIGTSTP)
        time.sleep(2)
        process.send_signal(signal.SIGCONT)
        self.wait_for_line(process, "epoch 3/200:")
        process.send_signal(signal.SIGUSR2)
        self.assertEqual(self.end(process).returncode, 85)

    def test_in_an_evaluation_which_then_comes_again_to_the_same_numbers(self) -> None:
        big = programs.scratch / "many_val.h5"
        done = programs.run("xtasc-preprocess", "scenes", "--train", "12", "--val", "600", "--seed", "3",
                            "--size", "32x64", "--output", str(big))
        self.assertEqual(done.returncode, 0, done.stderr)
        settings = [f"data.pack={big}", "train.epochs=3", "train.max_steps=1", "train.batch_size=4",
                    "evaluate.batch_size=1"]
        whole = self.end(self.train("whole", *settings, ranks=2), 300)
        self.assertEqual(whole.returncode, 0, whole.stderr)
        for stop in ("STOP", "USR2"):
            with self.subTest(stop=stop):
                self.assertEqual(self.stopped_in_evaluation(stop, settings), ["checkpoint written"])
                run, unbroken = programs.run_folder(f"evaluation_{stop}"), programs.run_folder("whole")
                self.assertFalse((run / "metrics.jsonl").exists() and (run / "metrics.jsonl").read_text())
                done = self.end(self.train(f"evaluation_{stop}", *settings, ranks=2), 300)
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertTrue((run / "DONE").exists())
                self.assertEqual(metrics(run), metrics(unbroken))
                self.assertEqual((run / "checkpoint/last/weights.pt").read_bytes(),
                                 (unbroken / "checkpoint/last/weights.pt").read_bytes())

    def stopped_in_evaluation(self, stop: str, settings: list[str]) -> list[str]:
        """Of a run of one step: started and stopped until a stop falls behind that step."""
        output = f"evaluation_{stop}"
        for pause in (0.5, 1, 2, 4, 8):
            shutil.rmtree(programs.scratch / output, ignore_errors=True)
            process = self.train(output, *settings, ranks=2)
            self.wait_for_line(process, "rank 1 -> ")
            time.sleep(pause)
            if stop == "STOP":
                next((programs.scratch / output).iterdir()).joinpath("STOP").touch()
            else:
                process.send_signal(signal.SIGUSR2)
            done = self.end(process)
            self.assertEqual(done.returncode, 85, done.stderr)
            if "after 0 steps" not in done.stderr:
                return re.findall(r"stopped by (?:the file STOP|SIGUSR2) after 1 steps, (checkpoint written)",
                                  done.stderr)
        self.fail("no stop fell into an evaluation")

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

    def test_numbers_without_sense_are_refused(self) -> None:
        for assignment in ("run.stall_seconds=9223372036854775807", "run.threads=5000", "train.epochs=2000000000000"):
            with self.subTest(assignment=assignment):
                done = programs.run("xtasc-train", *programs.train_arguments("numbers", assignment))
                self.one_line(done, 2, assignment.split("=")[0], "and <= ")
        done = programs.run("xtasc-train", *programs.train_arguments("numbers", 'run.name="a\\u001bb"'))
        self.one_line(done, 2, "run.name must be a plain file name")


def make_raw(root: pathlib.Path, count: int = 4) -> pathlib.Path:
    """A folder of pictures as `xtasc-preprocess folder` takes it: `count` for each split."""
    for split in ("train", "val"):
        ids = [f"{split}{i:04}" for i in range(count)]
        root.mkdir(exist_ok=True)
        (root / f"{split}.txt").write_text("\n".join(ids) + "\n")
        for i, name in enumerate(ids):
            write_png(root / f"rgb/{name}.png", 32, 64, 3, lambda y, x, i=i, s=split: (4 * x, 8 * y, 9 * i + len(s)))
            write_png(root / f"label/{name}.png", 32, 64, 1, lambda _y, x: (x // 32,))
            write_png(root / f"depth/{name}.png", 32, 64, 1, lambda y, _x: (40 + y,))
    (root / "dataset.toml").write_text(RAW)
    return root


if __name__ == "__main__":
    common.main()
