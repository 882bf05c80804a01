"""The peer of `xtasc-bench pack`: the train split of a pack read whole by h5py.

Prints one line of JSON: {"seconds": wall clock of reading image, label and depth}.
"""
import argparse
import json
import sys
import time

try:
    import h5py
except ImportError as error:
    sys.exit(f"{error}: pip install h5py into the project's .venv, or use --no-peer")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pack", required=True)
    parser.add_argument("--label", required=True)
    arguments = parser.parse_args()
    with h5py.File(arguments.pack, "r") as pack:
        start = time.perf_counter()
        arrays = [pack["train"][name][...] for name in ("image", arguments.label, "depth")]
        seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "bytes": sum(array.nbytes for array in arrays)}))


if __name__ == "__main__":
    main()
