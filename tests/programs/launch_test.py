"""launch/*.sh on machines with no GPU, one, two and eight, which a made-up nvidia-smi plays.

    python tests/programs/launch_test.py --bin build/release/bin
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
programs = pathlib.Path()

NVIDIA_SMI = """#!/bin/sh
case "$1" in
  -L) i=0; while [ $i -lt $FAKE_GPUS ]; do echo "GPU $i: Made-up (UUID: GPU-$i)"; i=$((i + 1)); done ;;
  --query-gpu=name) echo "Made-up 80GB" ;;
  --query-gpu=driver_version) echo 580.1 ;;
esac
"""
# Notes how it is called, then runs one rank.
MPIRUN = """#!/bin/sh
echo "$*" >>"$CALLS"
while [ "${1#*xtasc-}" = "$1" ]; do shift; done
exec "$@"
"""
SANITIZER = """#!/bin/sh
echo "sanitizer $*" >>"$CALLS"
"""
NCU = """#!/bin/sh
echo "ncu $*" >>"$CALLS"
for kernel in augment_kernel norm_sums_kernel epilogue_kernel epilogue_gradient_kernel upsample_gradient_kernel; do
  [ "$kernel" = "$UNSEEN" ] || echo "$kernel,1.0"
done
"""
PYTHON = """#!/bin/sh
exit ${NO_TORCH:-0}
"""
# Every program of ours; what it does not play it only notes. $BAD is part of the command that fails.
PROGRAM = r"""#!/bin/bash
echo "$(basename "$0") $*" >>"$CALLS"
[[ -z "${XTASC_PYTHON:-}" ]] || echo "python $XTASC_PYTHON" >>"$CALLS"
if [[ -n "${BAD:-}" && "$*" == *"$BAD"* ]]; then echo "made-up failure"; exit 3; fi
while (($#)); do
  case "$1" in
    --json) echo '{"cuda_graph": true}' >"$2" ;;
    run.output=*) output="${1#run.output=}/run" ;;
  esac
  shift
done
[[ "$0" == *-train ]] || exit 0
echo "${SAYS:-}"
mkdir -p "$output/checkpoint/last"
if [[ "$output" == */stopped/* && ! -e "$output/metrics.jsonl" ]]; then
  trap 'exit 85' USR2
  echo 1 >"$output/metrics.jsonl"
  while :; do sleep 0.02; done
fi
echo "${BITS:-1}$([[ "$output" == */stopped/* ]] && echo "${OTHER_BITS:-}")" >"$output/checkpoint/last/weights.pt"
echo 1 >"$output/checkpoint/last/state.pt"
"""


class Launch(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="xtasc-launch-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)
        self.calls = self.folder / "calls"
        for name, text in (("nvidia-smi", NVIDIA_SMI), ("mpirun", MPIRUN), ("compute-sanitizer", SANITIZER),
                           ("ncu", NCU), ("python3", PYTHON)):
            self.write(f"fakes/{name}", text)
        # The scripts take the folder above their own for the project.
        self.project = self.folder / "project"
        shutil.copytree(SOURCE / "launch", self.project / "launch", ignore=shutil.ignore_patterns("*.cpp", "*.hpp"))
        for name in ("train", "inspect", "bench", "preprocess", "predict", "tabulate"):
            self.write(f"project/build/release/bin/xtasc-{name}", PROGRAM)
        self.write("project/launch/setup.sh", "#!/bin/sh\n")

    def write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)

    def bash(self, script: str, gpus: int, **environment: str) -> subprocess.CompletedProcess[str]:
        clean = {key: value for key, value in os.environ.items() if key != "CUDA_VISIBLE_DEVICES"}
        self.calls.write_text("")
        return subprocess.run(
            ["bash", "-c", f"cd {self.project} && {script}"], capture_output=True, text=True, check=False, timeout=300,
            env=clean | {"PATH": f"{self.folder / 'fakes'}:{os.environ['PATH']}", "FAKE_GPUS": str(gpus),
                         "CALLS": str(self.calls)} | environment)

    def called(self, word: str) -> list[str]:
        return [line for line in self.calls.read_text().splitlines() if word in line]


class Ranks(Launch):
    def common(self, script: str, gpus: int, **environment: str) -> str:
        done = self.bash(f"set -euo pipefail; source launch/common.sh; {script}", gpus, **environment)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done.stdout.strip()

    def test_gpus_are_counted(self) -> None:
        for gpus in (0, 1, 2, 8):
            self.assertEqual(self.common("num_gpus", gpus), str(gpus))
        for visible, expected in (("", 0), ("-1", 0), ("3", 1), ("GPU-1,GPU-2", 2), ("0,1,-1,2", 2)):
            self.assertEqual(self.common("num_gpus", 8, CUDA_VISIBLE_DEVICES=visible), str(expected), visible)

    def test_ranks_are_as_many_as_gpus_up_to_the_wish(self) -> None:
        for gpus, ranks in ((0, 2), (1, 1), (2, 2), (8, 2)):
            self.assertEqual(self.common("ranks_here 2", gpus), str(ranks))
        self.assertEqual(self.common("ranks_here 4", 3), "3")

    def test_ranks_on_gpus_are_not_bound_to_one_core(self) -> None:
        command = 'ranks_command 1; echo "${RANKS_COMMAND[@]}"'
        self.assertIn("--bind-to core", self.common(command, 0))
        for gpus in (1, 2, 8):
            self.assertIn("--bind-to none", self.common(command, gpus))
        self.assertIn("--bind-to core", self.common(command, 8, CUDA_VISIBLE_DEVICES=""))


class Demo(Launch):
    def test_it_runs_with_any_number_of_gpus(self) -> None:
        for gpus, ranks in ((0, 2), (1, 1), (2, 2), (8, 2)):
            with self.subTest(gpus=gpus):
                done = self.bash("launch/demo.sh", gpus)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertIn(f"training xtasc on {ranks} rank{'s' if ranks > 1 else ''}\n", done.stdout)
                self.assertEqual(len(self.called(f"-np {ranks} --bind-to {'none' if gpus else ''}")), 4)


class GpuCheck(Launch):
    def check(self, arguments: str, gpus: int, **environment: str) -> tuple[subprocess.CompletedProcess[str], dict]:
        shutil.rmtree(self.folder / "report", ignore_errors=True)
        done = self.bash(f"launch/gpu_check.sh --output {self.folder / 'report'} {arguments}", gpus, **environment)
        report = self.folder / "report/report.json"
        return done, json.loads(report.read_text()) if report.exists() else {}

    def test_every_step_on_one_gpu_and_on_eight(self) -> None:
        for gpus, ranks in ((1, [1, 2]), (8, [1, 2, 8])):
            with self.subTest(gpus=gpus):
                done, report = self.check("", gpus)
                self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
                self.assertEqual({step["outcome"] for step in report["steps"]}, {"passed"})
                self.assertEqual(len(report["steps"]), len(ranks) + 1 + 12 + 2 + 1 + 2)
                self.assertEqual((report["card"], report["driver"], report["gpus"]), ("Made-up 80GB", "580.1", gpus))
                selftests = [line for line in self.called("-np") if "selftest" in line]
                self.assertEqual([int(line.split()[1]) for line in selftests], ranks)
                self.assertEqual(["--share-gpu" in line for line in selftests], [number > gpus for number in ranks])
                self.assertEqual(len(self.called("sanitizer --tool memcheck")), 1)
                self.assertEqual(len(self.called("--peer-compiled")), 2)
                self.assertEqual(len(self.called("ncu --clock-control none")), 1)
                self.assertIn("passed   selftest_1", (self.folder / "report/report.txt").read_text())

    def test_a_step_that_fails_is_named_and_stops_no_other(self) -> None:
        done, report = self.check("", 1, BAD="--precision tf32 --set train.cuda_graph=false")
        self.assertEqual(done.returncode, 1)
        self.assertIn("2 of 20 steps failed: bench_cityscapes_tf32 bench_nyuv2_tf32", done.stderr.splitlines()[-1])
        outcomes = {step["name"]: step for step in report["steps"]}
        self.assertEqual(outcomes["bench_cityscapes_tf32"]["reason"], "made-up failure (exit code 3)")
        self.assertEqual(outcomes["resume_graph"]["outcome"], "passed")

    def test_other_bits_after_resuming_are_a_failure(self) -> None:
        done, report = self.check("--steps resume_graph", 1, OTHER_BITS="2")
        self.assertEqual(done.returncode, 1)
        self.assertIn("weights.pt differ", report["steps"][0]["reason"])

    def test_without_torch_there_is_no_peer(self) -> None:
        done, report = self.check("--steps peer_nyuv2", 1, NO_TORCH="1")
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual(report["steps"][0]["outcome"], "skipped")
        self.assertIn("python3 has no torch", report["steps"][0]["reason"])

    def test_the_projects_own_python_comes_first(self) -> None:
        self.write("project/.venv/bin/python", PYTHON)
        done, report = self.check("--steps peer_nyuv2", 1)
        self.assertEqual(report["steps"][0]["outcome"], "passed", done.stdout + done.stderr)
        self.assertIn(f"python {self.project / '.venv/bin/python'}", self.calls.read_text())

    def test_kernels_that_ncu_did_not_see_are_a_failure(self) -> None:
        done, report = self.check("--steps kernels", 1, UNSEEN="epilogue_kernel")
        self.assertEqual(done.returncode, 1)
        self.assertIn("ncu saw no epilogue_kernel", report["steps"][0]["reason"])

    def test_graphs_that_were_not_captured_are_a_failure(self) -> None:
        done, report = self.check("--steps resume", 1, SAYS="train.cuda_graph: no; steps stay plain")
        self.assertEqual(done.returncode, 1)
        self.assertEqual([step["outcome"] for step in report["steps"]], ["passed", "failed"])
        self.assertIn("were not captured", report["steps"][1]["reason"])

    def test_what_is_not_there_is_refused(self) -> None:
        self.assertIn("no GPU is to be seen here", self.check("", 0)[0].stderr)
        self.assertIn("names no step", self.check("--steps selftset", 1)[0].stderr)
        self.assertEqual(self.check("--fast", 1)[0].returncode, 2)

    def test_the_programs_themselves_on_the_processor(self) -> None:
        (self.folder / "fakes/mpirun").unlink()
        shutil.copytree(SOURCE / "configs", self.project / "configs")
        done, report = self.check(f"--device cpu --bin {programs} --steps resume_graph,bench_nyuv2_tf32_graph", 0)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertEqual([step["name"] for step in report["steps"]], ["bench_nyuv2_tf32_graph", "resume_graph"])
        self.assertIn("have the bits of the unbroken run", (self.folder / "report/resume_graph.txt").read_text())
        self.assertEqual(json.loads((self.folder / "report/bench_nyuv2_tf32_graph.json").read_text())["classes"], 13)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of the programs")
    options, rest = parser.parse_known_args()
    programs = options.bin.resolve()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
