"""A program in xtasc-train's place that leaves an epoch a line in metrics.jsonl, for what waits for epochs."""

from __future__ import annotations

# How good a run is stands in $STAND_IN/LAMBDA; "fail" ends it in its second epoch. $STAND_IN/slow: epochs take time.
STAND_IN = r"""#!/usr/bin/env python3
import json, os, pathlib, re, sys, time
config = pathlib.Path(sys.argv[2])
text = config.read_text()
value = lambda key: re.search(f'^{key} = "?([^"\n]*)', text, re.MULTILINE)[1]
run = pathlib.Path(value("output")) / config.stem
run.mkdir(exist_ok=True)
(run / "config.toml").write_text(text)
until = int(sys.argv[sys.argv.index("--until-epoch") + 1]) if "--until-epoch" in sys.argv else 10**9
epochs = int(value("epochs"))
told = pathlib.Path(os.environ["STAND_IN"]) / value("lambda_1")
quality = told.read_text().strip() if told.exists() else "0"
log = run / "metrics.jsonl"
first = len(log.read_text().splitlines()) if log.exists() else 0
for epoch in range(first + 1, min(until, epochs) + 1):
    if quality == "fail" and epoch == 2:
        sys.exit("xtasc-train: error: no space left")
    measures = {"miou": 0.3 + float(quality if quality != "fail" else 0)}
    record = {"epoch": epoch, "step": epoch, "learning_rate": 1e-4, "train_loss": {}, "val_loss": {"total": 1.0},
              "task_weight": {}, "paper": measures, "dataset": measures, "consistency": {}, "class_iou": [],
              "is_best": epoch == 1, "images_per_second": 1.0, "seconds": {"train": 1.0}}
    with log.open("a") as stream:
        stream.write(json.dumps(record) + "\n")
    if (pathlib.Path(os.environ["STAND_IN"]) / "slow").exists():
        time.sleep(0.5)
if min(until, epochs) == epochs:
    (run / "DONE").write_text("now")
"""
