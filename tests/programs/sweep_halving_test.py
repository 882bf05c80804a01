"""xtasc-sweep on this machine with [stop]: rows wait for each other at a rung, the worse ones are halted there, and what
goes on, at once or later, ends with the bits of an unbroken run."""

from __future__ import annotations

import json
import pathlib
import re
import signal

import common
from common import Programs, metrics
from epochs import STAND_IN
from sweep_case import SweepCase

programs: Programs

class Rungs(SweepCase):
    """Rows lambda_1 = 0.1 ... 0.4 of one seed, by mIoU, with a script in the trainer's place."""

    def setUp(self) -> None:
        super().setUp()
        self.write(after_epochs="[2, 4]")
        script = self.folder / "stand_in"
        script.write_text(STAND_IN)
        script.chmod(0o755)
        self.trainer = ["--trainer", str(script)]
        for value, quality in {"0.1": "0.1", "0.2": "0.4", "0.3": "0.3", "0.4": "0.2"}.items():
            (self.folder / value).write_text(quality)

    def write(self, *, after_epochs: str, keep: str = "0.5", values: str = "0.1, 0.2, 0.3, 0.4") -> None:
        (self.folder / "sweep.toml").write_text(
            f'base = "base.toml"\nbaseline = "Base MT"\n[set]\nrun.output = "{self.folder}/runs"\ntrain.epochs = 6\n'
            f'[stop]\nafter_epochs = {after_epochs}\nkeep = {keep}\nby = "miou"\n[grid]\nloss.lambda_1 = [{values}]\n'
            '[[point]]\nname = "Base MT"\nmodel.system = "base_mt"\n')

    def epochs(self) -> list[int]:
        """Of each run in the sweep's order; as status has them."""
        return [int(epoch) for epoch in re.findall(r" (\d+)/6", self.sweep("status").stdout)]

    def decisions(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (self.folder / "runs/sweep/.sweep/rungs").iterdir()}

    def test_the_better_half_goes_on_from_each_rung(self) -> None:
        plan = self.sweep("plan").stdout
        self.assertIn("[stop] by miou: of 4 rows 2 go on after epoch 2, 1 after epoch 4; at most 20 of 30 epochs are "
                      "trained\n", plan)
        done = self.sweep("run", "--jobs", "2", *self.trainer)
        self.assertEqual(self.states(), ["halted", "done", "halted", "halted", "done"])
        self.assertEqual(self.epochs(), [2, 6, 4, 2, 6])
        status = self.sweep("status").stdout
        self.assertRegex(status, r"lambda_1 = 0\.1 .* 2/6 +after epoch 2: mIoU 40\.00 %, 4th of 4, 2 kept\n")
        self.assertRegex(status, r"lambda_1 = 0\.3 .* 4/6 +after epoch 4: mIoU 60\.00 %, 2nd of 2, 1 kept\n")
        self.assertIn("5 runs: 2 done, 3 halted\n", status)
        self.assertIn("lambda_1 = 0.2 goes on after epoch 4: mIoU 70.00 %, 1st of 2, 1 kept\n", done.stderr)
        self.assertRegex(done.stderr, r"\(lambda_1 = 0\.1, seed 1\) paused after .*, at epoch 2 of 6\n")
        self.assertIn("sweep: 2 of 5 done, 3 halted\n", done.stderr)
        again = self.sweep("run", *self.trainer)
        self.assertNotIn("started", again.stderr)
        self.assertIn("at most 20 of 30 epochs are trained\n", self.sweep("plan").stdout)

    def test_a_failed_row_is_halted_first_and_may_be_let_go_on(self) -> None:
        (self.folder / "0.2").write_text("fail")
        self.sweep("run", *self.trainer, code=1)
        self.assertEqual(self.states(), ["halted", "failed", "done", "halted", "done"])
        (self.folder / "0.2").write_text("0.4")
        self.assertIn("1 run of sweep may start again", self.sweep("retry", "--failed").stderr)
        self.assertRegex(self.sweep("status").stdout, r"lambda_1 = 0\.2 .* halted +1/6 +after epoch 2: no mIoU, 4th of 4")
        before = self.decisions()
        done = self.sweep("retry", "--halted", "--run", "--only", "lambda_1 = 0.2", *self.trainer)
        self.assertIn("1 run of sweep may go on to their end\n", done.stderr)
        self.assertEqual(self.states(), ["halted", "done", "done", "halted", "done"])
        self.assertEqual(self.decisions(), before)
        self.assertIn("retry needs --failed, --halted, or both", self.sweep("retry", code=2).stderr)

    def test_only_some_rows_wait_for_the_others(self) -> None:
        done = self.sweep("run", "--only", "lambda_1 = 0.2", *self.trainer, code=1)
        self.assertRegex(done.stderr, r"warning: \S+ \(lambda_1 = 0\.2, seed 1\) is at epoch 2, waiting for \S+, which is "
                         r"not selected and not done\n")
        self.assertEqual(self.states(), ["waiting", "paused", "waiting", "waiting", "waiting"])
        dry = self.sweep("submit", "--dry-run", "--only", "lambda_1 = 0.2", *self.trainer).stdout
        self.assertRegex(dry, r"\S+ is at epoch 2, waiting for \S+, which is not selected and not done\nnothing to")
        dry = self.sweep("submit", "--dry-run", *self.trainer).stdout
        for number, rung in ((4, ""), (4, ", to go on from epoch 2 where they are kept"),
                             (4, ", to go on from epoch 4 where they are kept")):
            self.assertIn(f"{number} runs would be submitted{rung}, element by element:", dry)
        self.sweep("run", *self.trainer)
        self.assertEqual(self.states(), ["halted", "done", "halted", "halted", "done"])

    def test_a_killed_driver_goes_on_where_it_was(self) -> None:
        (self.folder / "slow").touch()
        driver = self.start("--jobs", "2", *self.trainer)
        self.wait(lambda: len(self.epochs_of_files()) == 4 and min(self.epochs_of_files()) >= 1, 60)
        driver.send_signal(signal.SIGKILL)
        driver.wait()
        (self.folder / "slow").unlink()
        self.sweep("run", "--jobs", "2", *self.trainer)
        self.assertEqual(self.states(), ["halted", "done", "halted", "halted", "done"])
        self.assertEqual(self.epochs(), [2, 6, 4, 2, 6])

    def epochs_of_files(self) -> list[int]:
        return [len(log.read_text().splitlines()) for log in (self.folder / "runs/sweep").glob("xtasc*/metrics.jsonl")]

    def test_rows_that_come_later_are_judged_among_themselves(self) -> None:
        self.sweep("run", *self.trainer)
        before = self.decisions()
        self.write(after_epochs="[2, 4]", values="0.1, 0.2, 0.3, 0.4, 0.5, 0.6")
        (self.folder / "0.5").write_text("0.01")
        self.sweep("run", *self.trainer)
        self.assertEqual(self.states(), ["halted", "done", "halted", "halted", "done", "halted", "done"])
        self.assertEqual({name: text for name, text in self.decisions().items() if name in before}, before)

    def test_a_damaged_decision_and_a_wrong_section_are_one_line(self) -> None:
        self.sweep("run", *self.trainer)
        path = self.folder / "runs/sweep/.sweep/rungs/epoch_2_1.json"
        path.write_text(path.read_text()[:40])
        self.assertIn(f"xtasc-sweep: error: {path} is damaged: ", self.sweep("status", code=1).stderr)
        self.write(after_epochs="[2, 6]")
        self.assertIn('sweep.toml:6:1: [stop]: "lambda_1 = 0.1": trains 6 epochs, so nothing can be halted after epoch 6',
                      self.sweep("run", *self.trainer, code=2).stderr)


class Trained(SweepCase):
    def test_kept_and_released_runs_have_the_bits_of_unbroken_ones(self) -> None:
        (self.folder / "sweep.toml").write_text(
            f'base = "base.toml"\n[set]\nrun.output = "{self.folder}/runs"\ntrain.epochs = 2\ntrain.batch_size = 8\n'
            'model.system = "base_mt"\n[random]\nseed = 3\ncount = 2\n'
            'train.learning_rate = { log_uniform = [1e-5, 1e-2] }\n[stop]\nafter_epochs = [1]\n'
            '[[point]]\nname = "Base ST-Net"\nmodel.system = "base_st_seg"\n'
            '[[point]]\nname = "Base ST-Net"\nmodel.system = "base_st_depth"\n')
        plan = self.sweep("plan").stdout
        self.assertIn("[random] 2 draws by seed 3: train.learning_rate log_uniform in 1e-05 .. 0.01\n", plan)
        self.assertIn("of 2 rows 1 goes on after epoch 1; at most 7 of 8 epochs are trained\n", plan)
        self.sweep("run")
        self.assertEqual(sorted(self.states()[:2]), ["done", "halted"])
        self.assertEqual(self.states()[2:], ["done", "done"])
        decided = json.loads((self.folder / "runs/sweep/.sweep/rungs/epoch_1_1.json").read_text())
        self.assertEqual([row["is_kept"] for row in decided["rows"]], [True, False])
        self.assertEqual([round(row["value"], 9) for row in decided["rows"]], self.delta_m(decided))
        table = self.sweep("collect").stdout
        self.assertIn("1 of 3 rows is not in it: halted by delta_m, after epoch 1.", " ".join(table.split()))
        self.sweep("retry", "--halted", "--run")
        self.assertEqual(self.states(), ["done"] * 4)
        for row in decided["rows"]:
            run = self.folder / "runs/sweep" / row["runs"][0]
            config = self.folder / "runs/sweep/.sweep/configs" / f"{run.name}.toml"
            done = programs.run("xtasc-train", "--config", str(config), "--set", f"run.output={self.folder}/unbroken")
            self.assertEqual(done.returncode, 0, done.stderr)
            unbroken = self.folder / "unbroken" / run.name
            self.assertEqual((run / "checkpoint/last/weights.pt").read_bytes(),
                             (unbroken / "checkpoint/last/weights.pt").read_bytes())
            self.assertEqual(metrics(run), metrics(unbroken))

    def delta_m(self, decided: dict) -> list[float]:
        """A second computation, of the first epochs."""
        def first_epoch(run: pathlib.Path) -> dict:
            return json.loads((run / "metrics.jsonl").read_text().splitlines()[0])["paper"]

        single = {}
        for run in self.runs():
            if run.name.startswith("base_st"):
                single |= first_epoch(run)
        higher = {"miou": 1, "pix_acc": 1, "abs_err": -1, "rel_err": -1}
        values = []
        for row in decided["rows"]:
            of_run = first_epoch(self.folder / "runs/sweep" / row["runs"][0])
            values.append(round(100 / 4 * sum(sign * (of_run[key] - single[key]) / single[key]
                                              for key, sign in higher.items()), 9))
        return values


if __name__ == "__main__":
    common.main()
