"""What the tests of xtasc-sweep share: a folder with a sweep for each, and a shell script that stands in for xtasc-train.
"""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import time
import unittest

import common
from common import programs_of_script as programs

# xtasc-train --config FILE. What a run does is in the files $STAND_IN/SEED and $STAND_IN/NAME: fail, no_done, slow,
# killed, stalled (these two with a step more in the checkpoint, where the file further is there); nothing: it succeeds. A student wants its teachers to be there.
STAND_IN = r"""#!/bin/sh
config="$2"
seed="$(sed -n 's/^seed = //p' "$config")"
run="$(sed -n 's/^output = "\(.*\)"/\1/p' "$config")/$(basename "$config" .toml)"
name="$(sed -n 's/^name = "\(.*\)"/\1/p' "$config")"
for teacher in $(sed -n 's/^teacher_[a-z]* = "\(..*\)"/\1/p' "$config"); do
  [ -e "$teacher/DONE" ] || exit 8
done
echo "VERSION trains seed $seed"
mkdir -p "$run" && cp "$config" "$run/config.toml"
mkdir "$run/exclusive" || exit 9
echo "$CUDA_VISIBLE_DEVICES" >"$run/gpus"
case "$(cat "$STAND_IN/$seed" "$STAND_IN/$name" 2>/dev/null)" in
  fail) rmdir "$run/exclusive"; echo "xtasc-train: error: no space left for seed $seed" >&2; exit 1 ;;
  no_done) rmdir "$run/exclusive"; exit 0 ;;
  slow) sleep 2 ;;
  killed | stalled)
    mkdir -p "$run/checkpoint/last"
    if [ -e "$STAND_IN/further" ]; then
      echo $(($(cat "$run/checkpoint/last/step" 2>/dev/null || echo 0) + 1)) >"$run/checkpoint/last/step"
      [ "$(cat "$run/checkpoint/last/step")" -ge 5 ] && rm -f "$STAND_IN/$seed"
    fi
    rmdir "$run/exclusive"
    if grep -qs killed "$STAND_IN/$seed"; then kill -KILL $$; fi
    echo "xtasc: error: rank 0 on here: nothing got done for 1 s in training step 3" >&2
    exit 85 ;;
esac
echo now >"$run/DONE"
rmdir "$run/exclusive"
"""


class SweepCase(unittest.TestCase):
    """A folder of its own for each test: sweep.toml, its base config, its runs."""

    def setUp(self) -> None:
        self.folder = programs().scratch / self.id().rsplit(".", 1)[-1]
        self.folder.mkdir()
        text = programs().config.read_text()
        for assignment in common.SMALL:
            key, _, value = assignment.partition("=")
            section, name = key.split(".")
            header = "" if f"[{section}]" in text else f"[{section}]\n"
            text += f"{header}{name} = {value if value[0] in '[0123456789' else json.dumps(value)}\n"
        (self.folder / "base.toml").write_text(text)

    def write_sweep(self, *, seeds: list[int], rows: list[str], settings: str = "", head: str = "") -> None:
        points = "".join(f'[[point]]\nname = "{row}"\nmodel.system = "{row}"\n' for row in rows)
        (self.folder / "sweep.toml").write_text(
            f'base = "base.toml"\nseeds = {seeds}\n{head}[set]\nrun.output = "{self.folder}/runs"\n'
            f"{settings}\n{points}")

    def command(self, subcommand: str, *arguments: str) -> list[str]:
        return [str(programs().bin / "xtasc-sweep"), subcommand, str(self.folder / "sweep.toml"), *arguments]

    def sweep(self, subcommand: str, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(self.command(subcommand, *arguments), capture_output=True, text=True, timeout=900,
                              cwd=programs().scratch, env=self.environment(), check=False)
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        return done

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(self.command("run", *arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                text=True, cwd=programs().scratch, env=self.environment())

    def environment(self) -> dict[str, str]:
        return {**os.environ, "STAND_IN": str(self.folder)}

    def stand_in(self, version: str = "one") -> list[str]:
        script = self.folder / "stand_in"
        script.write_text(STAND_IN.replace("VERSION", version))
        script.chmod(0o755)
        return ["--trainer", str(script)]

    def runs(self) -> list[pathlib.Path]:
        return self.runs_of("sweep")

    def runs_of(self, sweep: str) -> list[pathlib.Path]:
        return sorted(path for path in (self.folder / "runs" / sweep).iterdir() if path.name != ".sweep")

    def attempts(self, run: pathlib.Path) -> int:
        return sum(line.startswith("---- ") for line in (run / "log.txt").read_text().splitlines())

    def epochs_logged(self) -> int:
        return sum(len(log.read_text().splitlines()) for log in (self.folder / "runs/sweep").glob("*/metrics.jsonl"))

    def states(self) -> list[str]:
        lines = self.sweep("status").stdout.splitlines()
        column = lines[0].index("state")
        return [line[column:].split()[0] for line in lines[1:lines.index("")]]

    def wait(self, condition, seconds: float = 600) -> None:
        end = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), end, "waited in vain")
            time.sleep(0.05)
