"""What clusters do to runs, on a real Slurm of two virtual nodes: no run is lost, none runs twice, and whatever
happened to it, a run ends with the bits of one that nothing happened to."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
import unittest

import cluster as shared
from cluster import Cluster, Sweep, check_same, has_arrived, release, signal_all, wait_for, weights
from suite import long_tier

cluster: Cluster
EPOCHS = 4


def sweep(name: str, **options: object) -> Sweep:
    return Sweep(cluster, name, **({"epochs": EPOCHS} | options))


def scancel(*words: str) -> None:
    subprocess.run(["scancel", *words], check=True)


class Slurm(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        unbroken = sweep("unbroken")
        unbroken.submit()
        unbroken.wait_until_done()
        cls.unbroken = unbroken.the_run()

    def check_equal(self, finished: Sweep) -> None:
        run = finished.the_run()
        check_same(self, run, self.unbroken)
        shutil.rmtree(run / "checkpoint")  # the scratch folder lies in memory

    # ---- what should happen

    def test_each_run_of_a_sweep_is_trained_once(self) -> None:
        plain = sweep("plain", seeds=3, epochs=1, max_at_once=2)
        dry = plain.run("submit", "--dry-run")
        self.assertEqual(dry.returncode, 0, dry.stderr)
        self.assertIn("3 runs would be submitted", dry.stdout)
        self.assertIn("#SBATCH --array=0-2%2\n", dry.stdout)
        self.assertFalse(plain.folder.exists(), "a dry run leaves nothing behind")
        plain.submit()
        self.assertEqual(plain.submit(), "", "what is queued is not submitted again")
        plain.wait_until_done()
        again = plain.run("submit")
        self.assertEqual(again.stdout.count(" is done\n"), 3)
        self.assertIn("3 runs: 3 done\n", plain.run("status").stdout)
        self.assertIn("nothing to submit", again.stdout)
        self.assertEqual(len(plain.arrays()), 1)
        for run in plain.ids():
            self.assertEqual(json.loads((plain.folder / run / "attempt.json").read_text())["attempt"], 1)
        collected = plain.run("collect", "--format", "csv")
        self.assertEqual(collected.returncode, 0, collected.stderr)
        self.assertIn(",XTasC-Net,3,", collected.stdout)

    @long_tier
    def test_two_nodes_and_both_launchers_give_the_same_weights(self) -> None:
        for launcher in ("srun", "mpirun"):
            wide = sweep(f"wide_{launcher}", nodes=2, ranks_per_node=1, launcher=launcher)
            wide.submit()
            wide.wait_until_done()
            self.check_equal(wide)
            log = (wide.the_run() / "log.txt").read_text()
            self.assertIn("rank 0 -> n1 -> cpu", log)
            self.assertIn("rank 1 -> n2 -> cpu", log)

    @long_tier
    def test_an_array_is_split_where_slurm_takes_no_longer_one(self) -> None:
        dry = sweep("long", seeds=1100).run("submit", "--dry-run")
        self.assertEqual(dry.returncode, 0, dry.stderr)
        self.assertIn("1001 runs would be submitted", dry.stdout)
        self.assertIn("99 runs would be submitted", dry.stdout)

    @long_tier
    def test_a_hundred_runs_at_once_share_cores_and_none_clashes(self) -> None:
        many = sweep("many", seeds=100, ranks_per_node=1, runs_per_gpu=10,
                     trainer=cluster.stand_in("light", 'mkdir "$run/once" && sleep 2 && touch "$run/DONE"'))
        job = many.submit()
        many.wait_until_done()
        wait_for("the end of the jobs", lambda: not many.is_active())
        self.assertEqual(many.states(), {"COMPLETED"})
        self.assertEqual(many.arrays(), {int(job)})
        self.assertEqual(len(list(many.folder.glob("*/once"))), 100)

    # ---- what goes wrong

    def test_a_killed_rank(self) -> None:
        killed = sweep("killed")
        killed.submit()
        ranks = killed.hold()
        signal_all(ranks[-1:], signal.SIGKILL)
        release(ranks)
        killed.wait_until_done()
        self.assertEqual(killed.attempt(), 2)
        self.check_equal(killed)

    @long_tier
    def test_a_rank_that_hangs_is_ended_by_the_watchdog(self) -> None:
        hanging = sweep("hanging", stall_seconds=12, max_fruitless_starts=9)  # a busy machine may start it again
        hanging.submit()
        release(hanging.hold()[:-1])  # the last one stays as it is
        hanging.wait_until_done()
        self.assertGreaterEqual(hanging.attempt(), 2)
        self.assertIn("nothing got done for 12 s in ", (hanging.the_run() / "log.txt").read_text())
        self.check_equal(hanging)

    @long_tier
    def test_the_warning_before_the_time_limit(self) -> None:
        for launcher, to_shell in (("srun", []), ("mpirun", ["--batch"])):
            warned = sweep(f"warned_{launcher}", launcher=launcher)
            warned.submit()
            ranks = warned.hold()
            scancel("--signal=USR2", *to_shell, f"{warned.job}_0")
            wait_for("the warning", lambda: all(has_arrived(rank, signal.SIGUSR2) for rank in ranks))
            release(ranks)
            warned.wait_until_done()
            log = (warned.the_run() / "log.txt").read_text()
            self.assertIn("stopped by SIGUSR2", log)
            self.assertEqual(warned.attempt(), 2)
            self.check_equal(warned)

    @long_tier
    def test_preemption_with_a_grace_time_loses_nothing(self) -> None:
        preempted = sweep("preempted")
        preempted.submit()
        ranks = preempted.hold()
        subprocess.run(["sbatch", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null",
                        "--wrap=sleep 2"], check=True, stdout=subprocess.DEVNULL)
        wait_for("the preemption", lambda: all(has_arrived(rank, signal.SIGTERM) for rank in ranks))
        release(ranks)
        preempted.wait_until_done()
        self.assertIn("stopped by SIGTERM", (preempted.the_run() / "log.txt").read_text())
        self.assertEqual(preempted.attempt(), 2)
        self.check_equal(preempted)

    @long_tier
    def test_a_cancelled_job_stays_dead_until_it_is_submitted_again(self) -> None:
        cancelled = sweep("cancelled")
        cancelled.submit()
        cancelled.hold()
        scancel(cancelled.job)
        wait_for("the end of the job", lambda: not cancelled.is_active())
        time.sleep(8)  # a requeue would show after 6 s
        self.assertEqual(cancelled.states(), {"CANCELLED"})
        self.assertFalse(cancelled.all_done())
        self.assertEqual(cancelled.attempt(), 1)
        self.assertIn("1 run: 1 interrupted\n", cancelled.run("status").stdout)
        cancelled.submit()
        wait_for("the second start", lambda: cancelled.attempt() == 2)
        done = cancelled.run("cancel")
        self.assertIn("cancelled 1 run\n", done.stdout, done.stderr)
        wait_for("the end of the job", lambda: not cancelled.is_active())
        cancelled.submit()
        cancelled.wait_until_done()
        self.check_equal(cancelled)

    @long_tier
    def test_a_file_named_stop_stops_a_run_for_good(self) -> None:
        stopped = sweep("stopped")
        stopped.submit()
        ranks = stopped.hold()
        (stopped.the_run() / "STOP").touch()
        release(ranks)
        wait_for("the end of the job", lambda: not stopped.is_active())
        self.assertIn("stopped by the file STOP", (stopped.the_run() / "log.txt").read_text())
        self.assertIn("stopped on request", stopped.script_log())
        self.assertEqual(stopped.attempt(), 1)
        stopped.submit()
        stopped.wait_until_done()
        self.check_equal(stopped)

    @long_tier
    def test_a_dead_node(self) -> None:
        orphan = sweep("orphan")
        orphan.submit()
        orphan.hold()
        node = json.loads((orphan.the_run() / "attempt.json").read_text())["host"]
        cluster.command("kill", node)
        try:
            orphan.wait_until_done()
        finally:
            cluster.command("boot", node)
        self.assertNotEqual(json.loads((orphan.the_run() / "attempt.json").read_text())["host"], node)
        self.check_equal(orphan)

    @long_tier
    def test_a_run_that_gets_no_further_is_given_up(self) -> None:
        loop = sweep("loop", ranks_per_node=1, max_fruitless_starts=2,
                     trainer=cluster.stand_in("stopper", 'echo start >>"$run/starts"; exit 85'))
        loop.submit()
        wait_for("the end of the job", lambda: not loop.is_active())
        self.assertIn("given up after 2 starts", loop.script_log())
        self.assertEqual((loop.the_run() / "starts").read_text(), "start\n" * 2)
        self.assertEqual(loop.states(), {"FAILED"})
        status = loop.run("status").stdout
        self.assertIn("given up after 2 starts that got it no further", status)
        self.assertIn("1 run: 1 failed\n", status)

    @long_tier
    def test_a_run_that_fails_is_not_started_again(self) -> None:
        # Out of memory, which is a code of its own: another start would end likewise.
        failing = sweep("failing", ranks_per_node=1, trainer=cluster.stand_in("failer", "exit 3"))
        failing.submit()
        wait_for("the end of the job", lambda: not failing.is_active())
        self.assertIn("failed with exit code 3", failing.script_log())
        self.assertIn("1 run: 1 failed\n", failing.run("status").stdout)
        self.assertEqual(json.loads((failing.the_run() / "end.json").read_text())["code"], 3)
        self.assertEqual(failing.states(), {"FAILED"})
        # Nor by the next `submit` or `run`, until somebody says so.
        trainer = cluster.stand_in("failer", 'touch "$run/DONE"')
        hint = f"1 failed run is left alone: `xtasc-sweep retry {failing.file} --failed` lets it start again"
        again = failing.run("submit")
        self.assertIn(hint, again.stdout, again.stderr)
        self.assertIn("nothing to submit", again.stdout)
        here = failing.run("run", "--trainer", trainer)
        self.assertEqual(here.returncode, 1)
        self.assertIn(hint, here.stderr)
        retried = failing.run("retry", "--failed", "--submit", "--trainer", trainer, "--site", str(failing.site))
        self.assertEqual(retried.returncode, 0, retried.stderr)
        self.assertIn("submitted 1 run as job", retried.stdout)
        failing.wait_until_done()
        self.assertEqual(len(failing.arrays()), 2)
        wait_for("the end of the job", lambda: not failing.is_active())
        self.assertIn("1 run: 1 done\n", failing.run("status").stdout)

    # ---- what happens to the driver

    @long_tier
    def test_two_drivers_at_once(self) -> None:
        pair = sweep("pair", seeds=4, ranks_per_node=1,
                     trainer=cluster.stand_in("once", 'mkdir "$run/once" && touch "$run/DONE"'))
        drivers = [subprocess.Popen(pair.command("submit"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                                    cwd=cluster.scratch) for _ in range(2)]
        texts = [driver.communicate(timeout=shared.PATIENCE)[0] for driver in drivers]
        self.assertEqual([driver.returncode for driver in drivers], [0, 0], texts)
        self.assertEqual(sum("submitted 4 runs" in text for text in texts), 1, texts)
        pair.wait_until_done()
        self.assertEqual(len(pair.arrays()), 1)

    @long_tier
    def test_a_driver_killed_before_the_answer_came(self) -> None:
        lost = sweep("lost", ranks_per_node=1,
                     trainer=cluster.stand_in("slow", 'mkdir "$run/once" && sleep 5 && touch "$run/DONE"'))
        slow_answer = cluster.scratch / "slow_answer"
        slow_answer.mkdir()
        (slow_answer / "sbatch").write_text('#!/bin/bash\nanswer="$(/usr/bin/sbatch "$@")"\n'
                                            f'touch {slow_answer}/accepted\nsleep 2\necho "$answer"\n')
        (slow_answer / "sbatch").chmod(0o755)
        driver = subprocess.Popen(lost.command("submit"), cwd=cluster.scratch, stdout=subprocess.DEVNULL,
                                  env=os.environ | {"PATH": f"{slow_answer}:{os.environ['PATH']}"})
        wait_for("sbatch", (slow_answer / "accepted").exists)
        driver.kill()
        driver.wait()
        self.assertEqual(len(lost.arrays()), 1)
        second = lost.run("submit")
        self.assertEqual(second.returncode, 0, second.stderr)
        self.assertIn("whose answer was lost, is job", second.stderr)
        self.assertIn("nothing to submit", second.stdout)
        lost.wait_until_done()
        self.assertEqual(len(lost.arrays()), 1)

    @long_tier
    def test_the_controller_goes_away_and_comes_back(self) -> None:
        patient = sweep("patient")
        patient.submit()
        ranks = patient.hold()
        cluster.command("controller", "stop")
        try:
            driver = subprocess.Popen(patient.command("submit"), cwd=cluster.scratch, stdout=subprocess.PIPE,
                                      stderr=subprocess.PIPE, text=True)
            signal_all(ranks, signal.SIGUSR2)  # the run stops while nobody can put it back into the queue
            release(ranks)
            self.assertIn("what follows is what the run folders say", patient.run("status").stderr)
            self.assertIsNone(driver.poll(), "the driver did not wait")
        finally:
            cluster.command("controller", "start")
        output, errors = driver.communicate(timeout=shared.PATIENCE)
        self.assertEqual(driver.returncode, 0, errors)
        self.assertIn("asking again in", errors)
        self.assertIn("nothing to submit", output)
        patient.wait_until_done()
        self.assertEqual(patient.attempt(), 2)
        self.assertEqual(len(patient.arrays()), 1)
        self.check_equal(patient)


if __name__ == "__main__":
    shared.main()
