"""What the tests of a program's life share: programs that are waited for, or hang, and pictures to pack."""

from __future__ import annotations

import os
import pathlib
import subprocess
import time

import common
from common import OneLine, programs_of_script as programs
from png import write_png


class Life(OneLine):
    def popen(self, command: list[str], **environment: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                   cwd=programs().scratch, env=os.environ | environment)
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def train(self, output: str, *assignments: str, ranks: int = 0, **environment: str) -> subprocess.Popen[str]:
        return self.popen(programs().command("xtasc-train", *programs().train_arguments(output, *assignments), ranks=ranks),
                          **environment)

    def finished_run(self) -> pathlib.Path:
        """The same one for all who ask."""
        if not (programs().scratch / "finished").exists():
            done = self.end(self.train("finished", "train.epochs=1"))
            self.assertEqual(done.returncode, 0, done.stderr)
        return programs().run_folder("finished")

    def hanging_open(self, part: str) -> dict[str, str]:
        return {"LD_PRELOAD": str(programs().preload), "XTASC_HANG_OPEN": part}

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
            if len(ranks := programs().ranks_of(output)) == count:
                return ranks
            time.sleep(0.02)
        self.fail(f"there are no {count} ranks")


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
    (root / "dataset.toml").write_text(common.MADE_SET)
    return root
