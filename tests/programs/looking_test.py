"""What a run shows of itself while it goes on: event files that TensorBoard reads, traces of torch's profiler, and what
it asked of the machine."""

from __future__ import annotations

import json
import os
import pathlib
import re
import shutil
import struct
import subprocess
import time
import unittest
import urllib.request

import common
from common import OneLine, Programs, metrics
from suite import long_tier

programs: Programs
LENGTH = ["train.epochs=3", "train.batch_size=4", "train.learning_rate=1e-3", "run.tensorboard=true",
          "run.tensorboard_panels=2"]
STEPS = 12  # of an epoch
HEADERS = {"miou": "seg/mIoU", "pix_acc": "seg/PixAcc", "abs_err": "depth/AbsErr", "rel_err": "depth/RelErr"}


def float32(number: float) -> float:
    return struct.unpack("f", struct.pack("f", number))[0]


def expected(record: dict, class_names: list[str]) -> dict[str, float]:
    """An epoch's line of metrics.jsonl by the tags that docs/training.md names."""
    found = {"train/step": record["step"], "train/learning_rate": record["learning_rate"],
             "train/images_per_second": record["images_per_second"]}
    for place, losses in (("train", record["train_loss"]), ("val", record["val_loss"])):
        found |= {f"{place}/loss" + ("" if term == "total" else f"/{term}"): loss for term, loss in losses.items()}
    for place, protocol in (("val", "paper"), ("val_dataset", "dataset")):
        found |= {f"{place}/{HEADERS.get(key, f'depth/{key}')}": value for key, value in record[protocol].items()}
    found |= {f"val_dataset/iou/{i}_{class_names[i]}": value for i, value in enumerate(record["class_iou"])
              if value is not None}
    for place, values in (("consistency", record["consistency"]), ("weight", record["task_weight"]),
                          ("seconds", record["seconds"])):
        found |= {f"{place}/{key}": value for key, value in values.items()}
    return found | {f"machine/{group}/{key}": value for group, values in record["machine"].items()
                    for key, value in values.items()}


def read_events(run: pathlib.Path):
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # noqa: PLC0415
    except ImportError as error:
        raise unittest.SkipTest(f"no tensorboard: {error}") from error
    found = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0, "images": 0, "tensors": 0})
    found.Reload()
    return found


def scalars(events) -> dict[str, list[tuple[int, float]]]:
    """What does not depend on the clock, by tag."""
    return {tag: [(one.step, one.value) for one in events.Scalars(tag)] for tag in events.Tags()["scalars"]
            if not re.match("seconds/|machine/|train/images_per_second", tag)}


class TensorBoard(OneLine):
    @classmethod
    def setUpClass(cls) -> None:
        done = programs.run("xtasc-train", *programs.train_arguments("unbroken", *LENGTH))
        assert done.returncode == 0, done.stderr
        cls.run_folder = programs.run_folder("unbroken")
        cls.said = done.stderr

    def test_reads_every_number_of_metrics(self) -> None:
        events = read_events(self.run_folder)
        names = [tag.split("/")[2].split("_")[1] for tag in events.Tags()["scalars"] if tag.startswith("val_dataset/iou/")]
        self.assertEqual(names, ["floor", "wall", "ceiling", "box", "sphere", "cylinder", "table"][:len(names)])
        wanted: dict[str, list[tuple[int, float]]] = {}
        for line in (self.run_folder / "metrics.jsonl").read_text().splitlines():
            record = json.loads(line)
            for tag, value in expected(record, names).items():
                wanted.setdefault(tag, []).append((record["epoch"], float32(value)))
        found = {tag: [(one.step, one.value) for one in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
        live = {tag: values for tag, values in found.items() if tag.startswith("live/")}
        self.assertEqual({tag: values for tag, values in found.items() if tag not in live}, wanted)
        self.assertEqual(set(live), {"live/loss", *(f"live/loss/{term}" for term in
                                                    ("seg", "depth", "seg_to_depth", "depth_to_seg"))})
        self.assertEqual([step for step, _ in live["live/loss"]], [1, 11, 13, 23, 25, 35])
        self.assertTrue(all(0 < value < 100 for _, value in live["live/loss"]), live["live/loss"])

    def test_shows_pictures_and_the_config(self) -> None:
        events = read_events(self.run_folder)
        pictures = events.Images("panel")
        self.assertEqual([picture.step for picture in pictures], [2])
        png = pictures[0].encoded_image_string
        self.assertEqual(png[:8], b"\x89PNG\r\n\x1a\n")
        self.assertEqual(struct.unpack(">II", png[16:24]), (pictures[0].width, pictures[0].height))
        text = {tag: events.Tensors(tag)[0].tensor_proto.string_val[0].decode() for tag in ("config", "provenance")}
        self.assertEqual(text["config"], f"```toml\n{(self.run_folder / 'config.toml').read_text()}\n```\n")
        self.assertIn('"pack_digest"', text["provenance"])

    def test_sees_a_broken_run_as_an_unbroken_one(self) -> None:
        arguments = programs.train_arguments("broken", *LENGTH)
        code, said = programs.stopped_after_an_epoch(*arguments)
        self.assertEqual(code, 85, said)
        run = programs.run_folder("broken")
        first = sorted((run / "tensorboard").iterdir())[-1]
        with first.open("ab") as file:  # as a kill leaves it that comes in the middle of a record
            file.write(first.read_bytes()[:30])
        process = subprocess.Popen(programs.command("xtasc-train", *arguments), stderr=subprocess.PIPE, text=True,
                                   cwd=programs.scratch)
        for line in process.stderr:
            if "epoch 2/" in line and ": train loss" in line:
                process.kill()
        process.wait()
        done = programs.run("xtasc-train", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("resuming after epoch", done.stderr)
        self.assertEqual(metrics(run), metrics(self.run_folder))
        events, unbroken = read_events(run), read_events(self.run_folder)
        self.assertEqual(scalars(events), scalars(unbroken))
        self.assertEqual([picture.encoded_image_string for picture in events.Images("panel")],
                         [picture.encoded_image_string for picture in unbroken.Images("panel")])
        self.assertEqual(run.name, self.run_folder.name, "looking at a run renames it")

    def test_a_file_in_its_place_costs_the_events_alone(self) -> None:
        arguments = programs.train_arguments("blocked", *LENGTH)
        code, said = programs.stopped_after_an_epoch(*arguments)
        self.assertEqual(code, 85, said)
        run = programs.run_folder("blocked")
        shutil.rmtree(run / "tensorboard")
        (run / "tensorboard").write_text("mine\n")
        done = programs.run("xtasc-train", *arguments)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stderr, "warning: run.tensorboard: .*this start writes no event files")
        self.assertEqual((run / "tensorboard").read_text(), "mine\n")
        self.assertEqual(metrics(run), metrics(self.run_folder))

    @long_tier
    def test_shows_them_in_a_browser(self) -> None:
        try:
            from selenium import webdriver  # noqa: PLC0415
        except ImportError as error:
            raise unittest.SkipTest(f"no selenium: {error}") from error
        port = 16006 + os.getpid() % 1000
        server = subprocess.Popen(["tensorboard", "--logdir", str(self.run_folder.parent), "--port", str(port)],
                                  env={**os.environ, "PATH": f"{common.SOURCE}/.venv/bin:{os.environ['PATH']}"},
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(server.terminate)
        tags = f"http://localhost:{port}/data/plugin/scalars/tags"
        found: dict = {}
        for _ in range(60):
            try:
                found = json.load(urllib.request.urlopen(tags))
            except OSError:
                pass
            if any("val/loss" in run for run in found.values()):
                break
            time.sleep(1)
        self.assertTrue(any("val/seg/mIoU" in run for run in found.values()), found)
        options = webdriver.ChromeOptions()
        for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,1000"):
            options.add_argument(argument)
        browser = webdriver.Chrome(options=options, service=webdriver.ChromeService("/usr/bin/chromedriver"))
        self.addCleanup(browser.quit)
        browser.get(f"http://localhost:{port}/#timeseries")
        for _ in range(60):
            shown = browser.execute_script("return document.body.innerText")
            if "consistency" in shown:
                break
            time.sleep(1)
        self.assertIn("consistency", shown)


class Machine(OneLine):
    def test_use_stands_in_metrics_and_log(self) -> None:
        """On two ranks, of which one waits for the other now and then."""
        done = programs.run("xtasc-train", *programs.train_arguments("ranks", *LENGTH[:3], "train.max_steps=5"), ranks=2)
        self.assertEqual(done.returncode, 0, done.stderr)
        record = json.loads((programs.run_folder("ranks") / "metrics.jsonl").read_text())
        seconds, flops, memory = (record["machine"][group] for group in ("seconds", "flops", "memory"))
        phases = {key: value for key, value in seconds.items() if key not in ("sums", "waiting")}
        self.assertEqual(set(phases), {"data", "encoder", "decoders", "transfer_nets", "losses", "backward", "all_reduce",
                                       "optimizer"})
        self.assertTrue(all(value > 0 for value in phases.values()), phases)
        self.assertGreater(sum(phases.values()), 0.7 * record["seconds"]["train"])
        self.assertLess(sum(phases.values()), record["seconds"]["train"])
        self.assertGreater(seconds["sums"], 0)
        self.assertGreaterEqual(seconds["waiting"], 0)
        self.assertLess(seconds["sums"] + seconds["waiting"], record["seconds"]["train"])
        self.assertEqual(flops["of_peak"], flops["per_second"] / flops["peak_per_second"])
        self.assertTrue(0 < flops["of_peak"] < 1.5, flops)  # rewrites may do with less than is counted
        self.assertTrue(64 << 20 < memory["host_bytes"] < 64 << 30, memory)
        self.assertRegex(done.stderr, r"epoch 1/3: [0-9.]+ GFLOP/s, \d+ % of peak, \d+ MiB, .*backward \d+ %.*; sums over "
                                      r"ranks [0-9.]+ s, waiting for peers [0-9.]+ s")

    def test_peak_is_as_it_is_given(self) -> None:
        arguments = programs.train_arguments("peak", "train.epochs=1", "train.max_steps=1", "run.peak_tflops=2.5")
        self.assertEqual(programs.run("xtasc-train", *arguments).returncode, 0)
        record = json.loads((programs.run_folder("peak") / "metrics.jsonl").read_text())
        self.assertEqual(record["machine"]["flops"]["peak_per_second"], 2.5e12)


class Profile(OneLine):
    def test_traces_the_steps_asked_for(self) -> None:
        arguments = programs.train_arguments("profile", *LENGTH[:3], "train.max_steps=6", "run.profile=[3,4]")
        done = programs.run("xtasc-train", *arguments, ranks=2)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotIn("ERROR", done.stderr)
        folder = programs.run_folder("profile") / "profile"
        self.assertEqual(sorted(file.name for file in folder.iterdir()),
                         ["steps_3_to_4.rank_0.json", "steps_3_to_4.rank_1.json"])
        for file in folder.iterdir():
            trace = [event for event in json.loads(file.read_text())["traceEvents"] if event.get("ph") == "X"]
            steps = {event["name"]: event for event in trace if event["name"].startswith("step ")}
            self.assertEqual(sorted(steps), ["step 3", "step 4"])
            for step in steps.values():
                inside = [event["name"] for event in trace if event.get("cat") == "user_annotation"
                          and step["ts"] <= event["ts"] < step["ts"] + step["dur"] and event is not step]
                self.assertEqual(inside, ["data", "forward: encoder", "forward: decoders", "forward: transfer nets",
                                          "losses", "backward", "all-reduce", "optimizer"])
            self.assertTrue(any(event["name"].startswith("aten::") for event in trace))

    def test_refuses_steps_that_are_none(self) -> None:
        for steps, words in (("[4,3]", "ends before it begins"), ("[0,3]", "a list of 2 integers >= 1, or []"),
                             ("[-1,3]", "a list of 2 integers >= 1"), ("[3]", "a list of 2 integers >= 1"),
                             ("[30,40]", "goes beyond the run's 36 steps")):
            arguments = programs.train_arguments("refused", *LENGTH, f"run.profile={steps}")
            self.one_line(programs.run("xtasc-train", *arguments), 2, "run.profile", words)
        self.assertFalse((programs.scratch / "refused").exists())


if __name__ == "__main__":
    common.main()
