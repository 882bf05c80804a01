"""A program's life beside its work: its start, how it is watched over and stopped."""

from __future__ import annotations

import fcntl
import functools
import json
import os
import re
import shutil
import signal
import subprocess
import termios
import time

import common
from common import Programs, metrics
from life_case import Life, make_raw

programs: Programs


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
        done = self.end(self.popen(programs.command("xtasc-tabulate", str(self.finished_run()), "--stall-seconds", "2"),
                                   **self.hanging_open("metrics.jsonl")))
        self.one_line(done, 1, "nothing got done for 2 s in reading the run ", "--stall-seconds = 2")
        for more in ([], ["--html", "page.html"]):
            done = self.end(self.popen(programs.command("xtasc-tabulate", str(self.finished_run()), "--stall-seconds",
                                                        "2", *more), **environment))
            self.one_line(done, 1, f"nothing got done for 2 s in reading the pack {programs.pack}")
        done = self.end(self.popen(programs.command("xtasc-tabulate", str(self.finished_run()), "--stall-seconds", "2",
                                                    "--output", "silent"), **self.hanging_open("silent.md")))
        self.one_line(done, 1, "nothing got done for 2 s in writing silent.*")
        # The limit of the command line holds before there is a config.
        done = self.end(self.train("alone", "run.stall_seconds=2", **self.hanging_open(programs.config.name)))
        self.one_line(done, 85, "nothing got done for 2 s in reading the config", "run.stall_seconds = 2")

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

    def test_programs_that_only_read_runs(self) -> None:
        sweep = programs.scratch / "read.toml"
        sweep.write_text(f'base = "{programs.config}"\n[grid]\nrun.seed = [1]\n')
        for program, words, part in (("xtasc-tabulate", [str(self.finished_run())], "metrics.jsonl"),
                                     ("xtasc-sweep", ["status", str(sweep)], "read.toml")):
            process = self.popen(programs.command(program, *words), **self.hanging_open(part))
            time.sleep(2)
            process.send_signal(signal.SIGTERM)
            done = self.end(process, 10)
            self.assertEqual(done.returncode, 128 + signal.SIGTERM, done.stderr)
            self.assertRegex(done.stderr, f"^{program}: stopped by SIGTERM in (its start|reading the run .*)\n$")

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

    def test_a_watch_of_a_sweep_whose_files_do_not_answer(self) -> None:
        (programs.scratch / "silent.toml").touch()
        watch = self.popen(programs.command("xtasc-sweep", "status", "--watch", "silent.toml"),
                           **self.hanging_open("silent.toml"))
        time.sleep(1)
        watch.terminate()
        done = self.end(watch, 30)
        self.assertEqual(done.returncode, 128 + signal.SIGTERM)
        self.assertIn("xtasc-sweep: stopped by SIGTERM", done.stderr)

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
        early, late, pause = 0.0, None, 0.5
        for _ in range(12):
            shutil.rmtree(programs.scratch / output, ignore_errors=True)
            process = self.train(output, *settings, ranks=2)
            self.wait_for_line(process, "rank 1 -> ")
            time.sleep(pause)
            if stop == "STOP":
                next((programs.scratch / output).iterdir()).joinpath("STOP").touch()
            else:
                process.send_signal(signal.SIGUSR2)
            done = self.end(process)
            self.assertIn(done.returncode, (0, 85), done.stderr)  # 0: it was over
            told = re.search(r"stopped by (?:the file STOP|SIGUSR2) after (\d+) steps", done.stderr)
            steps = 3 if done.returncode == 0 else int(told[1]) if told else 0  # none: in its start
            if steps == 1:
                return re.findall(r"after 1 steps, (checkpoint written)", done.stderr)
            early, late = (pause, late) if steps == 0 else (early, pause)
            pause = 2 * pause if late is None else (early + late) / 2
        self.fail("no stop fell into an evaluation")


if __name__ == "__main__":
    common.main()
