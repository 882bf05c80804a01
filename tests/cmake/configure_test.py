"""What configuring finds and refuses, on made-up folders: NCCL, CUDA toolkits, LibTorch.

    python tests/cmake/configure_test.py --cmake cmake
"""

from __future__ import annotations

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

SOURCE = pathlib.Path(__file__).resolve().parents[2]
cmake = "cmake"


def write(path: pathlib.Path, text: str = "") -> pathlib.Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def header(minor: int) -> str:
    return f"#define NCCL_MAJOR 2\n#define NCCL_MINOR {minor}\n#define NCCL_PATCH 1\n"


class Scratch(unittest.TestCase):
    def setUp(self) -> None:
        scratch = tempfile.TemporaryDirectory(prefix="xtasc-cmake-")
        self.addCleanup(scratch.cleanup)
        self.folder = pathlib.Path(scratch.name)

    def call(self, *arguments: str, environment: dict[str, str] | None = None) -> tuple[int, dict[str, str], str]:
        """Exit code, what `-- NAME VALUE` lines say, and the errors as one line, which CMake wraps."""
        clean = {key: value for key, value in os.environ.items() if key != "NCCL_ROOT"}
        done = subprocess.run([cmake, *arguments], capture_output=True, text=True, timeout=60, check=False,
                              env=clean | (environment or {}))
        lines = [line[3:] for line in done.stdout.splitlines() if line.startswith("-- ")]
        said = dict(line.split(" ", 1) for line in lines if " " in line)
        return done.returncode, said, " ".join(done.stderr.split())


class Nccl(Scratch):
    def setUp(self) -> None:
        super().setUp()
        self.torch = self.folder / "site-packages/torch"
        self.torch.mkdir(parents=True)
        self.wheel = self.folder / "site-packages/nvidia/nccl"
        self.system = self.folder / "toolkit"
        write(self.wheel / "include/nccl.h", header(28))
        write(self.wheel / "lib/libnccl.so.2")  # the wheel has no libnccl.so
        write(self.system / "include/nccl.h", header(19))
        write(self.system / "lib/libnccl.so")

    def find(self, *arguments: str, environment: dict[str, str] | None = None) -> dict[str, str]:
        code, said, errors = self.call(
            "-S", str(SOURCE / "tests/cmake/find_nccl"), "-B", str(self.folder / "build"),
            f"-DXTASC_CMAKE={SOURCE / 'cmake'}", f"-DLibTorch_ROOT={self.torch}",
            # The system's, by every way that CMake knows.
            f"-DCUDAToolkit_LIBRARY_ROOT={self.system}", f"-DCUDAToolkit_LIBRARY_DIR={self.system / 'lib'}",
            f"-DCMAKE_PREFIX_PATH={self.system}", *arguments, environment=environment)
        self.assertEqual(code, 0, errors)
        return said

    def check(self, said: dict[str, str], folder: pathlib.Path, version: str) -> None:
        self.assertEqual(pathlib.Path(said["library"]).resolve().parent, folder / "lib")
        self.assertEqual(pathlib.Path(said["header"]).resolve(), folder / "include")
        self.assertEqual(said["version"], version)

    def test_the_wheels_goes_before_the_systems(self) -> None:
        self.check(self.find(), self.wheel, "2.28.1")

    def test_a_library_that_an_earlier_version_chose_is_forgotten(self) -> None:
        self.check(self.find(f"-DNCCL_LIBRARY:FILEPATH={self.system / 'lib/libnccl.so'}"), self.wheel, "2.28.1")

    def test_nccl_root_goes_before_both(self) -> None:
        own = self.folder / "own"
        write(own / "include/nccl.h", header(30))
        write(own / "lib/libnccl.so")
        self.check(self.find(f"-DNCCL_ROOT={own}"), own, "2.30.1")
        self.check(self.find("-UNCCL_ROOT", environment={"NCCL_ROOT": str(own)}), own, "2.30.1")
        self.check(self.find(), self.wheel, "2.28.1")

    def test_without_a_wheel_it_is_the_systems(self) -> None:
        self.check(self.find(f"-DLibTorch_ROOT={self.folder / 'none/torch'}"), self.system, "2.19.1")


class Toolkit(Scratch):
    def nvcc(self, version: str, architectures: str) -> pathlib.Path:
        file = write(self.folder / f"cuda-{version}/bin/nvcc",
                     '#!/bin/sh\ncase "$1" in\n'
                     f'  --version) echo "Cuda compilation tools, release {version}, V{version}.99" ;;\n'
                     f"  --list-gpu-arch) {architectures} ;;\nesac\n")
        file.chmod(0o755)
        return file

    def torch(self, version_py: str) -> pathlib.Path:
        return write(self.folder / "torch/version.py", version_py).parent

    def check(self, nvcc: pathlib.Path, torch: pathlib.Path) -> tuple[int, dict[str, str], str]:
        return self.call(f"-DXTASC_CMAKE={SOURCE / 'cmake'}", f"-DNVCC={nvcc}", f"-DTORCH={torch}", "-P",
                         str(SOURCE / "tests/cmake/toolkit.cmake"))

    def test_another_major_version_than_torchs_is_refused(self) -> None:
        torch = self.torch("__version__ = '2.11.0+cu130'\ncuda: Optional[str] = '13.0'\nhip: Optional[str] = None\n")
        nvcc = self.nvcc("12.4", "printf 'compute_80\\ncompute_90\\n'")
        code, said, errors = self.check(nvcc, torch)
        self.assertNotEqual(code, 0)
        self.assertEqual(said["torch"], "13.0")
        self.assertIn(f"{nvcc} is of CUDA 12.4, but this LibTorch ({torch}) is built with CUDA 13.0", errors)
        self.assertIn("take a toolkit of CUDA 13", errors)
        code, _, errors = self.check(self.nvcc("13.1", "echo compute_80"), torch)
        self.assertEqual(code, 0, errors)

    def test_torchs_version_is_read_from_its_library_where_there_is_no_wheel(self) -> None:
        torch = self.folder / "libtorch"
        runtime = self.folder / "libcudart.so.12"
        library = torch / "lib/libtorch_cuda.so"
        library.parent.mkdir(parents=True)
        try:
            subprocess.run(["cc", "-shared", "-o", runtime, "-Wl,-soname,libcudart.so.12"], check=True)
            subprocess.run(["cc", "-shared", "-o", library, "-Wl,--no-as-needed", runtime], check=True)
        except (OSError, subprocess.CalledProcessError):
            self.skipTest("no C compiler")
        self.assertEqual(self.check(self.nvcc("12.9", "echo compute_80"), torch)[0], 0)
        code, said, errors = self.check(self.nvcc("13.0", "echo compute_80"), torch)
        self.assertNotEqual(code, 0)
        self.assertEqual(said["torch"], "12")
        self.assertIn("is of CUDA 13.0, but this LibTorch", errors)

    def test_a_libtorch_that_does_not_say_is_taken(self) -> None:
        self.assertEqual(self.check(self.nvcc("12.4", "echo compute_80"), self.folder)[0], 0)

    def test_architectures_that_nvcc_does_not_know_are_left_out(self) -> None:
        def architectures(text: str) -> str:
            return self.check(self.nvcc("12.4", text), self.folder)[1]["architectures"]

        self.assertEqual(architectures("printf 'compute_75\\ncompute_80\\ncompute_90\\n'"), "80;90")
        self.assertEqual(architectures("printf 'compute_80\\ncompute_90\\ncompute_100\\n'"), "80;90;100")
        self.assertEqual(architectures("exit 1"), "80;90;100")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--cmake", default="cmake")
    options, rest = parser.parse_known_args()
    cmake = options.cmake
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
