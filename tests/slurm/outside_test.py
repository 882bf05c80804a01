"""What others do to jobs, on a real Slurm of two virtual nodes: requeue them, or cut a node off and bring it back."""

from __future__ import annotations

import json
import signal
import subprocess
import time
import unittest

import cluster as shared
from cluster import Cluster, Sweep, check_same, has_arrived, release, signal_all, wait_for

cluster: Cluster
EPOCHS = 4


def restarts(sweep: Sweep) -> dict[int, int]:
    """How often Slurm put each element of the sweep's array back."""
    return {job["array_task_id"] or 0: job["restart_cnt"] for job in cluster.jobs()
            if job["comment"] in {f"xtasc:{token}" for token in sweep.tokens()}}


class Outside(unittest.TestCase):
    @classmethod
    def setUpClass(cls) -> None:
        unbroken = Sweep(cluster, "unbroken", epochs=EPOCHS)
        unbroken.submit()
        unbroken.wait_until_done()
        cls.unbroken = unbroken.the_run()

    def check_equal(self, finished: Sweep) -> None:
        run = finished.the_run()
        check_same(self, run, self.unbroken)

    def test_a_requeue_from_outside_is_one_restart(self) -> None:
        outside = Sweep(cluster, "outside", epochs=EPOCHS)
        outside.submit()
        ranks = outside.hold()
        subprocess.run(["scontrol", "requeue", f"{outside.job}_0"], check=True)
        wait_for("Slurm's word", lambda: all(has_arrived(rank, signal.SIGTERM) for rank in ranks))
        release(ranks)
        outside.wait_until_done()
        wait_for("the end of the job", lambda: not outside.is_active())
        self.assertEqual(outside.attempt(), 2)
        self.assertEqual(restarts(outside), {0: 1})
        self.assertIn("not requeued: the job is", outside.script_log())
        self.check_equal(outside)

    def test_a_requeue_of_one_element_leaves_the_others_alone(self) -> None:
        body = 'echo start >>"$run/starts"; while [ ! -e "$run/go" ]; do sleep 0.1; done; touch "$run/DONE"'
        elements = Sweep(cluster, "elements", seeds=3, ranks_per_node=1, trainer=cluster.stand_in("waiter", body))
        elements.submit()
        runs = [elements.folder / run for run in elements.ids()]

        def starts() -> list[int]:
            return sorted(len((run / "starts").read_text().split()) if (run / "starts").exists() else 0 for run in runs)

        wait_for("all starts", lambda: starts() == [1, 1, 1])
        subprocess.run(["scontrol", "requeue", f"{elements.job}_1"], check=True)
        wait_for("the second start of one", lambda: sum(starts()) > 3)
        time.sleep(8)  # another restart would show after 6 s
        self.assertEqual(starts(), [1, 1, 2])
        for run in runs:
            (run / "go").touch()
        elements.wait_until_done()
        wait_for("the end of the jobs", lambda: not elements.is_active())
        self.assertEqual(restarts(elements), {0: 0, 1: 1, 2: 0})
        self.assertEqual(elements.states(), {"COMPLETED"})

    def test_a_node_that_comes_back_does_not_end_the_new_start(self) -> None:
        cut = Sweep(cluster, "cut", epochs=EPOCHS)

        def ranks() -> list[int]:
            return cluster.processes("/cut/")

        cut.submit()
        old = cut.hold()
        node = json.loads((cut.the_run() / "attempt.json").read_text())["host"]
        cluster.command("cut", node)
        try:
            wait_for("a start on another node", lambda: cut.attempt() == 2, pause=0.02)
            new = [rank for rank in ranks() if rank not in old]
            signal_all(new, signal.SIGSTOP)
            self.assertEqual(len(new), shared.RANKS)
        finally:
            cluster.command("heal", node)
        release(old)
        wait_for("the end of the ghosts", lambda: not set(ranks()) & set(old))
        time.sleep(15)  # what the old srun had to say, it has said
        self.assertEqual(ranks(), new, "the new start's ranks were ended")
        release(new)
        cut.wait_until_done()
        self.assertEqual(cut.attempt(), 2)
        self.check_equal(cut)


if __name__ == "__main__":
    shared.main()
