"""xtasc-sweep on this machine: real runs, stopped, killed, resumed, failing, and shared by two drivers.

Where the training itself does not matter, a shell script stands in for xtasc-train: many runs in seconds.
"""

from __future__ import annotations

import fcntl
import json
import os
import pathlib
import re
import signal
import subprocess
import time
import unittest

import common
from common import Programs, metrics
from suite import IS_LONG, long_tier
from sweep_case import SweepCase

programs: Programs


class RealRuns(SweepCase):
    """With xtasc-train itself."""

    EPOCHS = "run.threads = 1\ntrain.epochs = 3\ntrain.batch_size = 8\ntrain.learning_rate = 1e-3\n"

    def check_as_unbroken(self, run: pathlib.Path) -> None:
        """The same config by xtasc-train alone gives the same bits."""
        config = self.folder / f"runs/sweep/.sweep/configs/{run.name}.toml"
        alone = self.folder / "alone"
        done = programs.run("xtasc-train", "--config", str(config), "--set", f"run.output={alone}", ranks=1)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(metrics(run), metrics(alone / run.name))
        weights = "checkpoint/last/weights.pt"
        self.assertEqual((run / weights).read_bytes(), (alone / run.name / weights).read_bytes())

    def test_two_systems_at_a_time(self) -> None:
        self.write_sweep(seeds=[1], rows=["base_mt", "xtasc"], settings=self.EPOCHS)
        self.assertEqual(self.states(), ["waiting"] * 2)
        done = self.sweep("run", "--jobs", "2")
        self.assertIn("sweep: 2 of 2 done", done.stderr)
        self.assertEqual(self.states(), ["done"] * 2)
        self.assertEqual([self.attempts(run) for run in self.runs()], [1, 1])
        self.check_as_unbroken(self.runs()[-1])
        # What is done is not run again, and a seed more runs only that seed.
        self.sweep("run")
        self.write_sweep(seeds=[1, 2], rows=["base_mt", "xtasc"], settings=self.EPOCHS)
        self.sweep("run", "--only", "base_mt", "--ranks", "2")
        self.assertEqual(sorted(self.states()), ["done"] * 3 + ["waiting"])
        self.assertEqual({self.attempts(run) for run in self.runs()}, {1})
        plan = self.sweep("plan").stdout
        self.assertEqual(plan.count(" measured\n"), 4, plan)
        self.assertRegex(plan, r"4 runs \(4 measured\): \S+ rank-hours, \S+ of them still to run")
        log = self.sweep("logs", self.runs()[0].name).stdout
        self.assertIn("epoch 3/3: train loss", log)

    @long_tier
    def test_interrupted_and_resumed(self) -> None:
        self.write_sweep(seeds=[1], rows=["base_mt", "xtasc"], settings=self.EPOCHS)
        driver = self.start("--jobs", "2")
        self.wait(lambda: any((self.folder / "runs/sweep").glob("*/metrics.jsonl")))
        driver.send_signal(signal.SIGINT)
        _, errors = driver.communicate(timeout=300)
        self.assertEqual(driver.returncode, 85, errors)
        self.assertIn("SIGINT: stopping", errors)
        self.assertIn("interrupted", self.states())
        for run in self.runs():
            if not (run / "DONE").exists():
                self.assertEqual(json.loads((run / "end.json").read_text())["code"], 85)
        self.sweep("run", "--jobs", "2")
        self.assertEqual(self.states(), ["done"] * 2)
        self.check_as_unbroken(self.runs()[-1])

    def test_a_killed_driver_takes_its_runs_along(self) -> None:
        self.write_sweep(seeds=[1], rows=["xtasc"], settings=self.EPOCHS)
        for epochs in (1, 2) if IS_LONG else (1,):
            driver = self.start()
            self.wait(lambda: self.epochs_logged() >= epochs or driver.poll() is not None)
            self.assertIsNone(driver.poll(), "the driver ended early")
            self.assertFalse(any((self.folder / "runs/sweep").glob("*/DONE")), "no kill came in time")
            driver.kill()
            driver.communicate(timeout=60)
        # The next driver waits until the orphan has stopped.
        self.sweep("run")
        self.assertEqual(self.states(), ["done"])
        log = (self.runs()[0] / "log.txt").read_text()
        self.assertIn("stopped by SIGUSR2", log, "an orphan was not told to stop")
        self.assertNotIn("is being trained by", log, "two trained the run at once")
        self.check_as_unbroken(self.runs()[0])

    def test_what_all_runs_lack_is_told_before_the_first_starts(self) -> None:
        for value, fault in (("no/such.h5", "data.pack: there is no file no/such.h5; xtasc-preprocess makes packs"),
                             (f"{self.folder}/base.toml", "data.pack: cannot read ")):
            self.write_sweep(seeds=[1, 2], rows=["base_mt", "xtasc"],
                             settings=self.EPOCHS + f'data.pack = "{value}"\n')
            done = self.sweep("run", code=1)
            self.assertIn(fault, done.stderr)
            self.assertIn("; nothing was run", done.stderr)
            self.assertEqual(done.stderr.count("data.pack"), 1, done.stderr)
            self.assertEqual(self.states(), ["waiting"] * 4)
        self.write_sweep(seeds=[1], rows=["base_mt"], settings=self.EPOCHS
                         + 'data.label_set = "label_7"\nmodel.encoder_weights = "no/such.pth"\n')
        done = self.sweep("run", code=2)
        self.assertIn("2 faults, nothing was run", done.stderr)
        self.assertIn('data.label_set = "label_7": the pack has label', done.stderr)
        self.assertIn("model.encoder_weights: there is no file no/such.pth", done.stderr)
        self.write_sweep(seeds=[1], rows=["base_mt"], settings=self.EPOCHS + 'model.tasks = ["depth", "normals"]\n')
        self.assertIn("the pack has no normals, which base_mt predicts", self.sweep("run", code=2).stderr)

    def test_the_trainer_fails(self) -> None:
        weights = self.folder / "weights.pth"
        weights.write_text("no weights")
        self.write_sweep(seeds=[1], rows=["base_mt"], settings=self.EPOCHS + f'model.encoder_weights = "{weights}"\n')
        done = self.sweep("run", code=1)
        self.assertIn("failed: xtasc-train: error: ", done.stderr)
        self.assertIn("weights.pth", done.stderr)
        self.assertIn("weights.pth", self.sweep("status").stdout)


class ManyRuns(SweepCase):
    """With the stand-in."""

    def test_runs_are_named_by_what_their_pack_holds(self) -> None:
        pack = self.folder / "d.h5"

        def make(seed: int) -> None:
            done = programs.run("xtasc-preprocess", "scenes", "--train", "4", "--val", "2", "--seed", str(seed),
                                "--size", "32x32", "--output", str(pack), "--force")
            self.assertEqual(done.returncode, 0, done.stderr)

        make(1)
        self.write_sweep(seeds=[1, 2], rows=["xtasc"], settings=f'data.pack = "{pack}"\n')
        self.sweep("run", *self.stand_in())
        self.assertEqual(self.states(), ["done"] * 2)
        moved = self.folder / "moved.h5"
        pack.rename(moved)
        self.assertEqual(self.states(), ["done"] * 2, "the runs say what the pack was that is gone")
        moved.rename(pack)
        make(2)
        self.assertEqual(self.states(), ["waiting"] * 2)
        self.sweep("run", *self.stand_in())
        self.assertEqual(len(self.runs()), 4)
        # Elsewhere nobody knows what it was.
        pack.rename(moved)
        elsewhere = ["--set", f"run.output={self.folder}/elsewhere"]
        self.assertRegex(self.sweep("status", *elsewhere).stdout, r"xtasc_resnet18-\?[0-9a-f]{8} .* waiting")
        done = self.sweep("submit", "--dry-run", *elsewhere, *self.stand_in(), code=1)
        self.assertIn(f"data.pack {pack} is not on this machine", done.stderr)
        self.assertIn("or set data.pack_digest", done.stderr)

    def test_two_drivers_share_the_runs(self) -> None:
        seeds = list(range(1, 25))
        self.write_sweep(seeds=seeds, rows=["xtasc"])
        trainer = self.stand_in()
        (self.folder / "3").write_text("slow")
        drivers = [self.start("--jobs", "4", *trainer) for _ in range(2)]
        for driver in drivers:
            _, errors = driver.communicate(timeout=600)
            self.assertEqual(driver.returncode, 0, errors)
            self.assertIn("24 of 24 done", errors)
        self.assertEqual([self.attempts(run) for run in self.runs()], [1] * len(seeds))

    @long_tier
    def test_drivers_killed_again_and_again_lose_and_double_nothing(self) -> None:
        seeds = list(range(1, 17))
        self.write_sweep(seeds=seeds, rows=["xtasc"])
        trainer = self.stand_in()
        for seed in (2, 7, 11):
            (self.folder / str(seed)).write_text("slow")
        for pause in (0.3, 0.7, 1.1, 1.5):
            driver = self.start("--jobs", "3", *trainer)
            time.sleep(pause)
            driver.kill()
            driver.communicate(timeout=60)
        # A stand-in that was killed leaves its mark; xtasc-train would leave a checkpoint.
        self.wait(lambda: "running" not in self.states())
        for mark in (self.folder / "runs/sweep").glob("*/exclusive"):
            mark.rmdir()
        self.sweep("run", "--jobs", "3", *trainer)
        self.assertEqual(self.states(), ["done"] * len(seeds))

    @long_tier
    def test_a_hundred_runs_start_at_once(self) -> None:
        self.write_sweep(seeds=list(range(100)), rows=["xtasc"])
        done = self.sweep("run", "--jobs", "100", *self.stand_in())
        self.assertIn("100 of 100 done", done.stderr)
        self.assertEqual({self.attempts(run) for run in self.runs()}, {1})

    def test_failures_are_told_left_alone_and_retried(self) -> None:
        self.write_sweep(seeds=[1, 2, 3, 4], rows=["xtasc"])
        trainer = self.stand_in()
        (self.folder / "2").write_text("fail")
        (self.folder / "3").write_text("no_done")
        done = self.sweep("run", *trainer, code=1)
        self.assertIn("xtasc-train: error: no space left for seed 2", done.stderr)
        self.assertIn("2 of 4 done", done.stderr)
        self.assertEqual(self.states(), ["done", "failed", "incomplete", "done"])
        status = self.sweep("status").stdout
        self.assertIn("xtasc-train: error: no space left for seed 2", status)
        self.assertIn("ended with exit code 0, but wrote no DONE", status)
        self.assertIn("2 done, 1 failed, 1 incomplete", status)
        # Not started again by itself, but told again.
        again = self.sweep("run", *trainer, code=1)
        self.assertIn("failed before: xtasc-train: error: no space left for seed 2", again.stderr)
        hint = f"2 failed runs are left alone: `xtasc-sweep retry {self.folder}/sweep.toml --failed` lets them start"
        self.assertIn(hint, again.stderr)
        # Nor would they be submitted to a cluster.
        dry = self.sweep("submit", "--dry-run", *trainer)
        self.assertIn(hint, dry.stdout)
        self.assertIn("nothing to submit", dry.stdout)
        for seed in (2, 3):
            (self.folder / str(seed)).unlink()
        self.assertIn("2 runs of sweep may start again", self.sweep("retry", "--failed").stderr)
        self.assertEqual(self.states(), ["done", "interrupted", "interrupted", "done"])
        self.sweep("run", *trainer)
        self.assertEqual(sorted(self.attempts(run) for run in self.runs()), [1, 1, 2, 2])

    def test_what_nobody_asked_to_end_is_started_again_while_it_gets_further(self) -> None:
        self.write_sweep(seeds=[1, 2, 3], rows=["xtasc"])
        trainer = self.stand_in()
        (self.folder / "1").write_text("killed")
        (self.folder / "2").write_text("stalled")
        (self.folder / "further").touch()
        done = self.sweep("run", *trainer)
        self.assertIn("3 of 3 done", done.stderr)
        self.assertEqual(sorted(self.attempts(run) for run in self.runs()), [1, 6, 6])
        self.assertEqual(done.stderr.count("; it is started again\n"), 10, done.stderr)
        started = re.findall(r"seed (\d)\) started\n", done.stderr)
        self.assertEqual(started, sorted(started), "a run that is started again goes first")
        self.assertRegex(done.stderr, r"ended with exit code 137 after .*, at epoch 0 of \d+: ended by signal 9; it is")
        self.assertRegex(done.stderr, r"ended with exit code 85 after .*: xtasc: error: rank 0 on here: nothing got done "
                                      r"for 1 s in training step 3; it is started again")

    def test_what_gets_no_further_is_given_up_as_on_a_cluster(self) -> None:
        self.write_sweep(seeds=[1, 2], rows=["xtasc"])
        for seed, what in ((1, "killed"), (2, "stalled")):
            (self.folder / str(seed)).write_text(what)
        self.sweep("run", *self.stand_in(), code=1)
        self.assertEqual([self.attempts(run) for run in self.runs()], [3, 3])
        self.assertEqual(self.states(), ["failed"] * 2)
        status = self.sweep("status").stdout
        self.assertEqual(status.count("given up after 3 starts that got it no further"), 2, status)
        self.assertIn("no further: xtasc: error: rank 0 on here: nothing got done for 1 s", status)

    def test_a_run_that_was_asked_to_stop_is_not_started_again(self) -> None:
        self.write_sweep(seeds=[1], rows=["xtasc"])
        (self.folder / "1").write_text("stalled")
        trainer = self.stand_in()
        (self.folder / "stand_in").write_text((self.folder / "stand_in").read_text().replace(
            "    exit 85 ;;", '    touch "$run/STOP"; exit 85 ;;'))
        done = self.sweep("run", *trainer, code=1)
        self.assertIn(" stopped after ", done.stderr)
        self.assertEqual(self.states(), ["interrupted"])
        self.assertEqual([self.attempts(run) for run in self.runs()], [1])

    def test_a_reader_that_goes_away_ends_no_sweep(self) -> None:
        self.write_sweep(seeds=[1, 2], rows=["xtasc"])
        reader = subprocess.Popen(["true"], stdin=subprocess.PIPE)
        reader.wait()
        done = subprocess.run(self.command("run", *self.stand_in()), stdout=reader.stdin, stderr=reader.stdin,
                              cwd=programs.scratch, env=self.environment(), check=False)
        reader.stdin.close()
        self.assertEqual((done.returncode, self.states()), (0, ["done"] * 2))

    def test_a_stop_before_the_first_run_says_that_the_same_command_goes_on(self) -> None:
        self.write_sweep(seeds=[1, 2], rows=["xtasc"])
        lock = self.folder / "runs/sweep/.sweep/lock"
        lock.parent.mkdir(parents=True)
        with lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            driver = self.start(*self.stand_in())
            self.addCleanup(driver.kill)

            def answers_signals() -> bool:
                caught = re.search(r"SigCgt:\s*(\w+)", pathlib.Path(f"/proc/{driver.pid}/status").read_text())
                return bool(int(caught[1], 16) >> (signal.SIGTERM - 1) & 1)

            self.wait(answers_signals)
            driver.terminate()
        _, errors = driver.communicate(timeout=300)
        self.assertEqual(driver.returncode, 85, errors)
        self.assertIn("stopped by SIGTERM; the same command goes on\n", errors)
        self.assertIn("sweep: 0 of 2 done", errors)
        self.assertEqual(self.states(), ["waiting"] * 2)

    def test_the_working_folder_is_gone(self) -> None:
        """Of the programs without LibTorch; resources_test.py has the others."""
        self.write_sweep(seeds=[1], rows=["xtasc"])
        gone = self.folder / "gone"
        for program, *words in (self.command("status"), [str(programs.bin / "xtasc-tabulate"), "--paper"],
                                [str(programs.bin / "xtasc-preprocess"), "info", "p.h5"]):
            with self.subTest(program=program):
                gone.mkdir()
                done = subprocess.run(["bash", "-c", 'rmdir "$PWD"; exec "$@"', "-", program, *words],
                                      capture_output=True, text=True, cwd=gone, check=False)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertEqual(done.stderr, f"{pathlib.Path(program).name}: error: the folder that this program was "
                                              "started in is not there any more: change to one that is\n")

    def test_in_a_shell_of_a_slurm_job_runs_are_this_machines(self) -> None:
        """srun --pty bash, salloc, a notebook in a batch job: mpirun would keep to the job's one task."""
        self.write_sweep(seeds=[1], rows=["xtasc"])
        job = {"SLURM_JOB_ID": "77", "SLURM_JOBID": "77", "SLURM_NTASKS": "1", "SLURM_NPROCS": "1", "SLURM_NNODES": "1",
               "SLURM_JOB_NUM_NODES": "1", "SLURM_NODELIST": "elsewhere", "SLURM_JOB_NODELIST": "elsewhere",
               "SLURM_TASKS_PER_NODE": "1", "SLURM_JOB_CPUS_PER_NODE": "1", "SLURM_CPUS_ON_NODE": "1",
               "SLURM_PROCID": "0", "SLURM_LOCALID": "0", "SLURM_STEP_ID": "0", "SLURM_STEPID": "0",
               "SLURM_STEP_NUM_TASKS": "1", "SLURM_STEP_NODELIST": "elsewhere", "SLURM_MPI_TYPE": "none",
               "PMIX_RANK": "0", "PMIX_NAMESPACE": "slurm.pmix.77.0"}
        done = subprocess.run(self.command("run", *self.stand_in()), capture_output=True, text=True, timeout=600,
                              cwd=programs.scratch, env=self.environment() | job, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(self.states(), ["done"])

    def test_gpus_are_divided_among_runs_at_a_time(self) -> None:
        self.write_sweep(seeds=[1, 2, 3], rows=["xtasc"])
        trainer = self.stand_in()
        for seed in (1, 2, 3):
            (self.folder / str(seed)).write_text("slow")
        gpus = {"CUDA_VISIBLE_DEVICES": "3,GPU-7e1d,0,5"}

        def run(*arguments: str) -> list[str]:
            done = subprocess.run(self.command("run", *arguments, *trainer), capture_output=True, text=True,
                                  timeout=600, cwd=programs.scratch, env=self.environment() | gpus, check=False)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            return sorted(path.read_text().strip() for path in (self.folder / "runs/sweep").glob("*/gpus"))

        self.assertEqual(run("--jobs", "3"), ["0,5", "3", "GPU-7e1d"])
        # One more than there are: two of them share.
        self.write_sweep(seeds=[4, 5, 6, 7, 8], rows=["base_mt"])
        for path in (self.folder / "runs/sweep").glob("*/gpus"):
            path.unlink()
        for seed in range(4, 9):
            (self.folder / str(seed)).write_text("slow")
        self.assertEqual(run("--jobs", "5"), ["0", "3", "3", "5", "GPU-7e1d"])

    def test_ranks_are_as_many_as_the_gpus_up_to_the_wish(self) -> None:
        trainer = self.stand_in()
        for seed, (gpus, ranks) in enumerate((("", 1), ("3", 1), ("0,1", 2), ("0,1,2,3,4,5,6,7", 2)), start=1):
            self.write_sweep(seeds=[seed], rows=["xtasc"], head='ranks = "auto"\nmax_ranks = 2\n')
            # Two ranks of the stand-in would meet in its folder: mpirun's words are enough.
            subprocess.run(["taskset", "-c", str(min(os.sched_getaffinity(0))), *self.command("run", *trainer)],
                           capture_output=True, timeout=600, cwd=programs.scratch, check=False,
                           env=self.environment() | {"CUDA_VISIBLE_DEVICES": gpus})
            log = next(path for path in (self.folder / "runs/sweep").glob("*/log.txt")
                       if f"trains seed {seed}" in path.read_text()).read_text()
            self.assertIn(f"mpirun --quiet -np {ranks} --bind-to ", log)
            self.assertEqual("--bind-to none" in log, gpus != "")

    def test_what_a_sweep_beside_has_done_is_done(self) -> None:
        self.write_sweep(seeds=[1, 2], rows=["xtasc"])
        self.sweep("run", "--only", "xtasc", *self.stand_in())
        (self.folder / "sweep.toml").rename(self.folder / "other.toml")
        (self.folder / "runs/sweep").rename(self.folder / "runs/other")
        self.write_sweep(seeds=[1, 2, 3], rows=["xtasc"])
        status = self.sweep("status").stdout
        self.assertIn("3 runs: 2 done, 1 waiting", status)
        self.assertEqual(status.count("in other\n"), 2, status)
        self.assertEqual(self.sweep("plan").stdout.count("done in other"), 2)
        self.assertRegex(self.sweep("logs", self.runs_of("other")[0].name).stdout, "trains seed [12]")
        self.assertFalse((self.folder / "runs/sweep").exists(), "who only looks changes nothing")
        self.sweep("run", *self.stand_in())
        self.assertEqual(self.states(), ["done"] * 3)
        self.assertEqual(self.sweep("status").stdout.count("in other\n"), 2)

    def test_the_number_of_failures_is_limited(self) -> None:
        self.write_sweep(seeds=[1, 2, 3, 4, 5], rows=["xtasc"])
        for seed in range(1, 6):
            (self.folder / str(seed)).write_text("fail")
        done = self.sweep("run", "--max-failures", "2", *self.stand_in(), code=1)
        self.assertIn("2 failed, the limit of --max-failures", done.stderr)
        self.assertEqual(self.states(), ["failed", "failed", "waiting", "waiting", "waiting"])

    def test_runs_use_the_program_as_it_was(self) -> None:
        self.write_sweep(seeds=[1, 2], rows=["xtasc"])
        trainer = self.stand_in("old")
        (self.folder / "1").write_text("slow")
        driver = self.start(*trainer)
        self.wait(lambda: any((self.folder / "runs/sweep").glob("*/exclusive")))
        self.stand_in("new")
        _, errors = driver.communicate(timeout=300)
        self.assertEqual(driver.returncode, 0, errors)
        for run in self.runs():
            self.assertIn("old trains", (run / "log.txt").read_text())

    def test_a_wrong_file_runs_nothing(self) -> None:
        self.write_sweep(seeds=[1], rows=["xtasc", "xtask"], settings="train.epoch = 3")
        for subcommand in ("plan", "run", "status"):
            done = self.sweep(subcommand, code=2)
            self.assertIn("2 faults, nothing was run", done.stderr)
            self.assertIn('sweep.toml:5:7: unknown key "epoch" in [train]; did you mean "epochs"?', done.stderr)
        self.assertFalse((self.folder / "runs").exists())


if __name__ == "__main__":
    common.main()
