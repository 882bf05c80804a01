"""A bundle in a bare Debian 12 and 13: launch/container/prove.sh, whose steps are those of the container files.

    python tests/programs/container_test.py --bin build/release/bin

Skipped (exit code 77) where prove.sh is: without root, debootstrap or a mirror of Debian; and of a build other than
build/release."""

from __future__ import annotations

import argparse
import pathlib
import subprocess
import sys

from common import SOURCE

SKIPPED = 77


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=pathlib.Path, required=True, help="folder of the programs")
    build = parser.parse_args().bin.resolve().parent
    if build != SOURCE / "build" / "release":
        print(f"skipped: made of build/release, not of {build}")
        return SKIPPED
    for file in ("Dockerfile", "apptainer.def"):
        text = (SOURCE / "launch/container" / file).read_text()
        if "/opt/inside.sh install" not in text:
            print(f"launch/container/{file} does not take the steps of inside.sh, which are what is proved")
            return 1
    done = subprocess.run([str(SOURCE / "launch/container/prove.sh"), "--preset", build.name], capture_output=True, text=True,
                          check=False)
    print(done.stdout + done.stderr)
    if done.returncode != 0:
        return done.returncode
    proved = [line for line in done.stdout.splitlines() if line.endswith("as it should be")]
    return 0 if len(proved) == 2 and done.stdout.count("this container trains") == 2 else 1


if __name__ == "__main__":
    sys.exit(main())
