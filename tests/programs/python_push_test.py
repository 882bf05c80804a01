"""`python -m xtasc push`: what W&B, MLflow and TensorBoard read of a real run, each through its own package."""

from __future__ import annotations

import importlib.util
import json
import os
import pathlib
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Iterable

import common
from common import SOURCE, OneLine, Programs

programs: Programs
run: pathlib.Path
QUICK = ["model.system=base_mt", "weighting.method=pcgrad", "train.epochs=2", "train.batch_size=24"]


def setUpModule() -> None:
    global run
    os.environ["PYTHONPATH"] = str(SOURCE / "results/python")
    sys.path.append(os.environ["PYTHONPATH"])
    done = programs.run("xtasc-train", *programs.train_arguments("runs", *QUICK))
    assert done.returncode == 0, done.stderr
    run = programs.run_folder("runs")


def xtasc(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-B", "-m", "xtasc", *words], capture_output=True, text=True, check=False,
                          timeout=300, cwd=programs.scratch, env={**os.environ, **environment})


def lines() -> list[dict]:
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def values(items: Iterable) -> dict:
    """Of a record's items, by flat name."""
    return {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in items}


class Push(OneLine):
    def push(self, target: str, package: str) -> pathlib.Path:
        """Twice: the second takes the place of the first."""
        try:
            importlib.import_module(package)
        except ImportError as error:
            self.skipTest(str(error))
        other = programs.scratch / f"to {target}" / "proof" / "wandb" / f"offline-run-20260101_000000-a-{run.name}"
        if target == "wandb":
            other.mkdir(parents=True)  # a run whose id ends like this one's
        for _ in range(2):
            done = xtasc("push", "--to", target, "runs", "--project", "proof", "--to-folder", f"to {target}")
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn(f"to {target}", done.stdout)
        if target == "wandb":
            other.rmdir()
        return programs.scratch / f"to {target}"

    def test_tensorboard_reads_it(self) -> None:
        folder = self.push("tensorboard", "torch.utils.tensorboard")
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.util.tensor_util import make_ndarray

        def float32(value: float) -> float:
            return struct.unpack("f", struct.pack("f", value))[0]

        self.assertEqual([path.name for path in (folder / "proof").iterdir()], [run.name])
        events = EventAccumulator(str(folder / "proof" / run.name), size_guidance={"scalars": 0}).Reload()
        for group, name in (("paper", "miou"), ("train_loss", "seg")):
            self.assertEqual([(event.step, event.value) for event in events.Scalars(f"{group}/{name}")],
                             [(line["step"], float32(line[group][name])) for line in lines()])
        self.assertEqual(events.Scalars("last/dataset.pix_acc")[0].value, float32(lines()[-1]["dataset"]["pix_acc"]))
        self.assertIn("base_mt", make_ndarray(events.Tensors("config.toml/text_summary")[0].tensor_proto).item().decode())

    def test_mlflow_reads_it(self) -> None:
        folder = self.push("mlflow", "mlflow")
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"
        from mlflow import MlflowClient

        client = MlflowClient(tracking_uri=folder.as_uri())
        found = client.search_runs([client.get_experiment_by_name("proof").experiment_id])
        self.assertEqual([one.info.run_name for one in found], [run.name])
        self.assertEqual(found[0].info.status, "FINISHED")
        history = client.get_metric_history(found[0].info.run_id, "paper.miou")
        self.assertEqual(sorted((metric.step, metric.value) for metric in history),
                         [(line["step"], line["paper"]["miou"]) for line in lines()])
        self.assertEqual(found[0].data.metrics["gradients.cosine.seg_depth"], lines()[-1]["gradients"]["cosine"]["seg,depth"])
        self.assertEqual(found[0].data.metrics["last.dataset.pix_acc"], lines()[-1]["dataset"]["pix_acc"])
        self.assertEqual(found[0].data.params["model.encoder"], "resnet18")
        self.assertEqual(found[0].data.params["train.learning_rate"], "0.0001")
        self.assertEqual(found[0].data.tags["system"], "base_mt")
        (folder / "proof").mkdir()  # of a push for wandb into the same folder
        done = xtasc("push", "--to", "mlflow", "runs", "--to-folder", str(folder))
        self.one_line(done, 2, f"{folder} holds proof, and MLflow takes whatever lies beside its runs for its own")
        (folder / "proof").rmdir()

    def test_wandb_reads_it(self) -> None:
        folder = self.push("wandb", "wandb")
        from xtasc.wandb_file import records

        done = xtasc("push", "--to", "wandb", "runs", "--project", "other", "--to-folder", "to wandb")
        self.assertEqual(done.returncode, 0, done.stderr)
        for project in ("proof", "other"):  # a project takes no other's runs away
            files = list(folder.glob(f"{project}/wandb/offline-run-*/*.wandb"))
            self.assertEqual(len(files), 1, project)
        config: dict = {}
        history, summary, tags, name = [], {}, [], ""
        for record in records(files[0]):
            if record.WhichOneof("record_type") == "run":
                name, tags = record.run.display_name, list(record.run.tags)
                config |= values(record.run.config.update)
            elif record.WhichOneof("record_type") == "history":
                history.append(values(record.history.item))
            elif record.WhichOneof("record_type") == "summary":
                summary |= values(record.summary.update)
        self.assertEqual(name, run.name)
        self.assertIn("resnet18", tags)
        self.assertEqual(config["train.learning_rate"], 0.0001)
        self.assertEqual([(line["_step"], line["paper.miou"]) for line in history],
                         [(line["step"], line["paper"]["miou"]) for line in lines()])
        self.assertEqual(summary["last.dataset.pix_acc"], lines()[-1]["dataset"]["pix_acc"])

    def test_a_table_and_faults_are_lines(self) -> None:
        done = xtasc("runs", "runs", "--checkpoint", "last", "--protocol", "dataset")
        head, row = (line.split() for line in done.stdout.splitlines())
        self.assertEqual(row[:3], [run.name, "done", "2"])
        self.assertEqual(row[head.index("miou")], f"{lines()[-1]['dataset']['miou']:.4f}")
        self.one_line(xtasc("runs", "nowhere"), 2, "xtasc: error: no folder nowhere: give a run folder")
        self.one_line(xtasc("push", "--to", "wanb", "runs"), 2, "invalid choice: 'wanb'", "wandb")
        hidden = programs.scratch / "hidden"
        hidden.mkdir()
        (hidden / "wandb.py").write_text("raise ImportError('not here')")
        path = f"{hidden}:{os.environ['PYTHONPATH']}"
        self.one_line(xtasc("push", "--to", "wandb", "runs", PYTHONPATH=path), 2, "needs its package: pip install wandb")
        (programs.scratch / "file").write_text("")
        if importlib.util.find_spec("tensorboard") is None or importlib.util.find_spec("torch") is None:
            self.skipTest("no tensorboard")
        self.one_line(xtasc("push", "--to", "tensorboard", "runs", "--to-folder", "file"), 1, "cannot write", "file")
        # Nothing but what was pushed is replaced, and nothing is written beside the folder.
        before = sorted(path for path in (programs.scratch / "runs").rglob("*"))
        self.one_line(xtasc("push", "--to", "tensorboard", "runs", "--to-folder", ".", "--project", "runs"), 2,
                      "holds more than event files")
        for project in ("../beside", "/tmp/beside", "..", "", "a#b", "q'q", "a:b", 101 * "a"):
            self.one_line(xtasc("push", "--to", "tensorboard", "runs", "--to-folder", "to", "--project", project), 2,
                          "--project", "no plain name")
        self.assertEqual(sorted(path for path in (programs.scratch / "runs").rglob("*")), before)

    def test_names_that_training_takes(self) -> None:
        """A quote and what W&B takes in no id."""
        folder = programs.scratch / "named" / "it's #1: a"
        shutil.copytree(run, folder)
        for target in ("wandb", "mlflow", "tensorboard"):
            if importlib.util.find_spec(target) is None or importlib.util.find_spec("torch") is None:
                continue
            for _ in range(2):
                done = xtasc("push", "--to", target, "named", "--to-folder", f"named {target}")
                self.assertEqual(done.returncode, 0, done.stderr)
        if (wandb := programs.scratch / "named wandb").exists():
            self.assertEqual(len(list(wandb.glob("xtasc/wandb/offline-run-*-it_s _1_ a"))), 1)

    def test_a_damaged_run_hides_no_other(self) -> None:
        damaged = programs.scratch / "damaged"
        shutil.copytree(run, damaged)
        (damaged / "provenance.json").write_text("[1]")
        done = xtasc("runs", "runs", "damaged")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(run.name, done.stdout)
        self.assertIn("left out: damaged/provenance.json: it is no JSON object", done.stderr)
        self.one_line(xtasc("runs", "damaged"), 1, "no run in damaged can be read")

    def test_no_file_is_waited_for_and_no_time_is_a_number(self) -> None:
        for name in ("metrics.jsonl", "provenance.json"):
            odd = programs.scratch / f"odd {name}"
            shutil.copytree(run, odd)
            (odd / name).unlink()
            os.mkfifo(odd / name)
            done = xtasc("runs", odd.name)
            self.one_line(done, 1, "can be read")
            self.assertIn(f"cannot read {odd.name}/{name}: it is no file", done.stderr)
        (odd / name).unlink()
        (odd / name).write_text(json.dumps({**json.loads((run / name).read_text()), "started": 5}))
        if importlib.util.find_spec("mlflow"):
            self.one_line(xtasc("push", "--to", "mlflow", odd.name), 1, f"{odd.name}/{name}: started is no time")

    def test_a_signal_ends_it_with_a_line(self) -> None:
        os.mkfifo(programs.scratch / "never")
        waits = "import runpy, sys, xtasc.folders as f; f._read = lambda *_: open('never'); " \
                "sys.argv = ['xtasc', 'runs', 'runs']; print('ready', flush=True); runpy.run_module('xtasc', run_name='__main__')"
        for number in (signal.SIGINT, signal.SIGTERM):
            process = subprocess.Popen([sys.executable, "-B", "-c", waits], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                       text=True, cwd=programs.scratch)
            assert process.stdout is not None
            process.stdout.readline()
            time.sleep(1)
            process.send_signal(number)
            _, said = process.communicate(timeout=60)
            self.assertEqual((process.returncode, said), (128 + number, f"xtasc: stopped by {number.name}\n"))

    def test_a_closed_output_is_not_wanted(self) -> None:
        done = subprocess.run(["sh", "-c", f"exec {sys.executable} -B -m xtasc runs runs >&-"], stderr=subprocess.PIPE, text=True,
                              check=False, cwd=programs.scratch)
        self.assertEqual((done.returncode, done.stderr), (0, ""))

    def test_output_that_is_lost(self) -> None:
        for words in (["runs", "runs"], ["--help"], ["push", "--help"], ["--version"]):
            with self.subTest(words=words), open("/dev/full", "w") as full:
                done = subprocess.run([sys.executable, "-B", "-m", "xtasc", *words], stdout=full, stderr=subprocess.PIPE,
                                      text=True, check=False, cwd=programs.scratch)
                self.assertEqual(done.stderr, "xtasc: error: cannot write standard output: No space left on device\n")
                self.assertEqual(done.returncode, 1)

    def test_a_full_disk_leaves_no_half_run(self) -> None:
        for target, size in (("wandb", "12k"), ("mlflow", "64k"), ("tensorboard", "8k")):
            if importlib.util.find_spec(target) is None or importlib.util.find_spec("torch") is None:
                continue
            with self.subTest(target=target):
                disk = programs.scratch / f"disk {target}"
                disk.mkdir()
                if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], capture_output=True,
                                  check=False).returncode != 0:
                    self.skipTest("no small file system can be mounted here")
                try:
                    done = xtasc("push", "--to", target, "runs", "--to-folder", str(disk))
                    left = [path for path in disk.rglob("*") if run.name in path.name or path.name == "params"
                            or (path.name == "meta.yaml" and path.stat().st_size == 0)]
                finally:
                    subprocess.run(["umount", disk], check=True)
                self.assertEqual(done.returncode, 1, done.stderr)
                self.assertRegex(done.stderr, r"(?m)^xtasc: error: cannot write .*$")
                self.assertNotIn("Traceback", done.stderr)
                self.assertEqual(left, [])


if __name__ == "__main__":
    common.main()
