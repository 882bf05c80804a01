"""A thin bundle (launch/bundle.sh --thin) on a machine that has nothing but a C library, libstdc++, bash, coreutils and
the torch wheel: a chroot with those, the wheel mounted read-only, and an empty environment.

    python tests/programs/thin_bundle_test.py --bin build/release/bin [--long]

By default: programs start; pack, train on two ranks, predict, tabulate; NOTICE has the licences of all that is in it;
another torch, or none, is refused. With --long
the self-test on two ranks too, and a bundle that is too large. Skipped (exit code 77) where chroot and mounts are not to
be had, or of a build other than build/release.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unittest

from common import SMALL, SOURCE, sets

SKIPPED = 77
PROGRAMS = ["xtasc-preprocess", "xtasc-train", "xtasc-evaluate", "xtasc-predict", "xtasc-export", "xtasc-inspect",
            "xtasc-tabulate", "xtasc-bench", "xtasc-sweep"]
COREUTILS = ["basename", "cat", "dirname", "env", "ls", "mkdir", "rm", "touch", "uname"]
# Of the C library: what programs load, and what it opens by itself.
LIBC = ["libc.so.6", "libm.so.6", "libdl.so.2", "librt.so.1", "libpthread.so.0", "libutil.so.1", "libresolv.so.2",
        "libnss_files.so.2"]
COMPILER = ["libstdc++.so.6", "libgcc_s.so.1"]

build: pathlib.Path  # of which the bundle is made
long_tests = False
machine: Machine


def loaded_by(program: str) -> list[str]:
    """Paths of the loader and the libraries that a program maps."""
    output = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(/\S+) \(0x", output)


def bundle(build: pathlib.Path, output: pathlib.Path, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(SOURCE / "launch/bundle.sh"), "--thin", "--fast", "--preset", build.name, "--output",
                           str(output), *options], capture_output=True, text=True, timeout=600, check=False)


class Machine:
    """The chroot. `run` calls bash in it, in mounts of its own, which end with it."""

    def __init__(self, root: pathlib.Path, wheel: pathlib.Path) -> None:
        self.root = root
        self.wheel = wheel
        for folder in ("bin", "usr/bin", "proc", "sys", "dev/shm", "tmp", "home", "wheel/torch", "wheel/nvidia"):
            (root / folder).mkdir(parents=True)
        programs = [shutil.which(name) for name in ["bash", *COREUTILS]]
        for program in programs:
            shutil.copy(program, root / "bin")
        (root / "bin/sh").symlink_to("bash")
        (root / "usr/bin/env").symlink_to("/bin/env")
        beside = pathlib.Path(next(path for path in loaded_by(shutil.which("bash")) if "libc.so" in path)).parent
        files = {path for program in programs for path in loaded_by(program)}
        files |= {str(beside / name) for name in LIBC + COMPILER if (beside / name).exists()}
        for file in files:
            place = root / file.lstrip("/")
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, place)

    def run(self, script: str, torch: str | None = "/wheel/torch", timeout: int = 600) -> subprocess.CompletedProcess[str]:
        mounts = [f"mount --bind -o ro {shlex.quote(str(self.wheel / name))} {shlex.quote(str(self.root / 'wheel' / name))}"
                  for name in ("torch", "nvidia") if (self.wheel / name).exists()]
        mounts += [f"mount --rbind /{name} {shlex.quote(str(self.root / name))}" for name in ("proc", "sys", "dev")]
        torch_word = [f"XTASC_TORCH={torch}"] if torch else []
        inside = ["chroot", str(self.root), "/bin/env", "-i", "PATH=/bin", "HOME=/home", "OMP_NUM_THREADS=1",
                  "CUDA_VISIBLE_DEVICES=", *torch_word, "/bin/bash", "-c", "cd /home; " + script]
        outside = " && ".join([*mounts, "exec " + shlex.join(inside)])
        return subprocess.run(["unshare", "--mount", "--propagation", "private", "bash", "-c", outside],
                              capture_output=True, text=True, timeout=timeout, check=False)


class ThinBundle(unittest.TestCase):
    def good(self, script: str, timeout: int = 600) -> str:
        done = machine.run("source /home/thin/env.sh || exit 3; " + script, timeout=timeout)
        self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr[-3000:])
        return done.stdout + done.stderr

    def test_every_program_starts_from_libraries_of_its_own(self) -> None:
        text = self.good("for p in /home/thin/bin/xtasc-*; do $p --version || exit 1; done; mpirun --version")
        for program in PROGRAMS:
            self.assertRegex(text, rf"(?m)^{program} \d")
        self.assertIn("Open MPI", text)
        for program in PROGRAMS:
            dynamic = subprocess.run(["readelf", "-d", str(machine.root / "home/thin/bin" / program)],
                                     capture_output=True, text=True, check=True).stdout
            self.assertEqual(re.findall(r"R(?:UN)?PATH\).*\[(.*)\]", dynamic), ["$ORIGIN/../lib"], program)

    def test_it_holds_no_part_of_the_wheel(self) -> None:
        names = [path.name for path in (machine.root / "home/thin").rglob("*.so*")]
        self.assertEqual([name for name in names if re.match(r"lib(torch|c10|cudart|cudnn|cublas|nccl|stdc\+\+|gomp)", name)],
                         [])
        self.assertFalse([name for name in names if re.search("ucx|ofi|openib|psm", name)])

    def test_its_notice_names_every_file_that_is_not_ours(self) -> None:
        folder = machine.root / "home/thin"
        notice = (folder / "NOTICE").read_text(errors="replace")
        named = {name for line in re.findall(r"(?m)^Files:(?:.*\n)+?\n", notice) for name in line.split()[1:]}
        files = {path.name for path in [*folder.glob("lib/*"), *folder.glob("mpi/bin/*"), *folder.glob("mpi/**/*.so")]}
        self.assertGreater(len(files), 60)
        self.assertEqual(files - named, set())
        for part in ("\nlibopenmpi3 ", "\nlibpng16-16 ", "\nlibtomlplusplus-dev ", "Glenn Randers-Pehrson",
                     "Copyright (c) 2004-2010 The Trustees of Indiana University", "Mark Gillard"):
            self.assertIn(part, notice)

    def test_a_library_that_no_package_knows_is_refused(self) -> None:
        with tempfile.TemporaryDirectory(prefix="xtasc-notice-") as scratch:
            stranger = pathlib.Path(scratch) / "libstranger.so.1"
            stranger.write_bytes(b"not of any package")
            text = pathlib.Path(scratch) / "others.txt"
            script = (f"source '{SOURCE}/launch/common.sh'; source '{SOURCE}/launch/bundle_notice.sh'; "
                      f"BUILD='{build}' TORCH='{machine.wheel}/torch/lib' NOTICE_OF_OTHERS=\"$1\"; "
                      f"write_notice '{scratch}/NOTICE' '{stranger}'")
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", script, "-", ""], capture_output=True, text=True,
                                  check=False)
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertRegex(done.stderr, r"^xtasc: error: no package here knows where libstranger\.so\.1 is from: name it,")
            self.assertFalse((pathlib.Path(scratch) / "NOTICE").exists())
            text.write_text("libstranger.so.1: ours, of this very test\n")
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", script, "-", str(text)], capture_output=True, text=True,
                                  check=False)
            self.assertEqual(done.returncode, 0, done.stderr)
            self.assertIn("ours, of this very test", (pathlib.Path(scratch) / "NOTICE").read_text())

    def test_the_python_package_and_the_peer_find_each_other(self) -> None:
        if importlib.util.find_spec("torch") is None:
            self.skipTest("no torch")
        shared = machine.root / "home/thin/share/xtasc"
        done = subprocess.run([sys.executable, "-B", "-c", "import xtasc_peer, xtasc; print(xtasc.__file__)"], text=True,
                              capture_output=True, cwd=shared / "launch/bench/peer", check=False)
        self.assertEqual(done.stdout.strip(), str(shared / "results/python/xtasc/__init__.py"), done.stderr)
        for name in ("pyproject.toml", "xtasc/py.typed"):
            self.assertTrue((shared / "results/python" / name).is_file(), name)

    def test_pack_train_predict_tabulate(self) -> None:
        common = sets([*SMALL, "data.pack=scenes.h5", "run.output=runs", "train.epochs=1", "train.batch_size=8",
                       "run.device=cpu"])
        text = self.good(
            "set -e\n"
            "xtasc-preprocess scenes --train 16 --val 4 --seed 3 --size 32x64 --output scenes.h5\n"
            "mpirun -np 2 --oversubscribe --bind-to none xtasc-train --config thin/share/xtasc/configs/scenes.toml "
            + shlex.join(common) + "\n"
            "xtasc-predict --run runs/* --pack scenes.h5 --samples 0,1 --output predicted\n"
            "xtasc-tabulate runs --output table\n")
        self.assertIn("XTasC-Net", text)
        self.assertNotRegex(text, "Sorry|PMIx was")  # Open MPI and PMIx have their plugins and texts
        self.assertGreater((machine.root / "home/predicted/panel.png").stat().st_size, 1000)
        self.assertTrue(list((machine.root / "home").glob("runs/**/DONE")))

    def test_another_torch_or_none_is_refused_with_one_line(self) -> None:
        other = machine.root / "home/other"
        (other / "lib").mkdir(parents=True)
        for torch, says in ((None, "python3 has no torch: set XTASC_TORCH to the folder of torch 2."),
                            ("/home", "there is no torch in '/home'"),
                            ("/home/other", "'/home/other' is torch 2.10.0+cu128: these programs need torch 2.")):
            if torch == "/home/other":
                (other / "lib/libtorch_cpu.so").touch()
                (other / "version.py").write_text("from typing import Optional\n__version__ = '2.10.0+cu128'\ndebug = False\n")
            done = machine.run("source /home/thin/env.sh", torch=torch)
            self.assertEqual((done.returncode, done.stdout), (1, ""), done.stderr)
            self.assertEqual(len(done.stderr.splitlines()), 1, done.stderr)
            self.assertTrue(done.stderr.startswith("xtasc: error: " + says), done.stderr)

    def test_selftest_on_two_ranks(self) -> None:
        if not long_tests:
            self.skipTest("takes minutes: --long")
        text = self.good("mpirun -np 2 --oversubscribe --bind-to none xtasc-inspect selftest --device cpu", timeout=3000)
        print(text)
        self.assertRegex(text, r"\b0 failed")

    def test_one_that_is_too_large_is_refused(self) -> None:
        if not long_tests:
            self.skipTest("makes a second bundle: --long")
        with tempfile.TemporaryDirectory(prefix="xtasc-thin-") as scratch:
            noise = pathlib.Path(scratch) / "noise.h5"
            noise.write_bytes(os.urandom(64 << 20))
            done = bundle(build, pathlib.Path(scratch) / "large.tar.xz", "--pack", str(noise))
            self.assertEqual(done.returncode, 1, done.stderr)
            self.assertRegex(done.stderr, r"^xtasc: error: the bundle takes \d+ MiB, and 64 are allowed")
            self.assertEqual(os.listdir(scratch), ["noise.h5"])


def why_not() -> str:
    """Why there can be no chroot here; empty where there can."""
    if build != SOURCE / "build" / "release":
        return f"made of build/release, not of {build}"
    if os.geteuid() != 0:
        return "chroot wants root"
    if missing := [name for name in ("unshare", "chroot", "xz", "ompi_info", "readelf") if shutil.which(name) is None]:
        return "there is no " + ", ".join(missing)
    tried = subprocess.run(["unshare", "--mount", "--propagation", "private", "mount", "--bind", "/tmp", "/tmp"],
                           capture_output=True, text=True, check=False)
    return f"mounts are not allowed: {tried.stderr.strip()}" if tried.returncode != 0 else ""


def main() -> int:
    global build, long_tests, machine
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of the programs")
    parser.add_argument("--long", action="store_true", help="the self-test and a bundle that is too large as well")
    options, rest = parser.parse_known_args()
    build, long_tests = options.bin.resolve().parent, options.long
    if reason := why_not():
        print(f"skipped: {reason}")
        return SKIPPED
    torch = re.search(r"^LibTorch_ROOT:PATH=(.*)$", (build / "CMakeCache.txt").read_text(), re.MULTILINE)[1]
    with tempfile.TemporaryDirectory(prefix="xtasc-thin-") as scratch:
        archive = pathlib.Path(scratch) / "thin.tar.xz"
        done = bundle(build, archive)
        if done.returncode != 0:
            print(done.stdout + done.stderr)
            return 1
        print(f"{archive.name}: {archive.stat().st_size / (1 << 20):.1f} MiB, compressed quickly")
        machine = Machine(pathlib.Path(scratch) / "root", pathlib.Path(torch).parent)
        with tarfile.open(archive) as packed:
            packed.extractall(machine.root / "home")
        return 0 if unittest.main(argv=[sys.argv[0], *rest], verbosity=2, exit=False).result.wasSuccessful() else 1


if __name__ == "__main__":
    sys.exit(main())
