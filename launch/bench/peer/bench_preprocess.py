"""The peer of `xtasc-bench preprocess`: Cityscapes frames decoded and made small by OpenCV in a pool of processes.

Prints one line of JSON: {"seconds": wall clock of the work, without starting the pool, "samples": n}.
"""
import argparse
import json
import multiprocessing
import pathlib
import sys
import time

try:
    import cv2
    import numpy as np
except ImportError as error:
    sys.exit(f"{error}: pip install opencv-python-headless numpy into the project's .venv, or use --no-peer")

HEIGHT, WIDTH = 128, 256
CLASS_OF_ID = np.full(256, 255, np.uint8)
for category, ids in enumerate(((7, 10), (11, 16), (17, 20), (21, 22), (23, 23), (24, 25), (26, 33))):
    CLASS_OF_ID[ids[0]:ids[1] + 1] = category


def start_worker():
    cv2.setNumThreads(1)


def decode(image_path):
    def small(picture):
        return cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_NEAREST)

    path = str(image_path)
    image = cv2.imread(path, cv2.IMREAD_COLOR)
    label = cv2.imread(path.replace("leftImg8bit/", "gtFine/").replace("_leftImg8bit", "_gtFine_labelIds"),
                       cv2.IMREAD_UNCHANGED)
    disparity = cv2.imread(path.replace("leftImg8bit/", "disparity/").replace("_leftImg8bit", "_disparity"),
                           cv2.IMREAD_UNCHANGED)
    depth = np.minimum(np.maximum(small(disparity).astype(np.int32) - 1, 0), 32257).astype(np.uint16)
    return cv2.cvtColor(small(image), cv2.COLOR_BGR2RGB), CLASS_OF_ID[small(label)], depth


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--workers", type=int, required=True)
    arguments = parser.parse_args()
    images = sorted(arguments.root.glob("leftImg8bit/*/*/*_leftImg8bit.png"))
    with multiprocessing.Pool(arguments.workers, initializer=start_worker) as pool:
        pool.map(abs, range(arguments.workers), chunksize=1)
        start = time.perf_counter()
        total = 0
        for image, _, _ in pool.imap(decode, images):
            total += image.shape[0]
        seconds = time.perf_counter() - start
    assert total == HEIGHT * len(images)
    print(json.dumps({"seconds": seconds, "samples": len(images), "opencv": cv2.__version__}))


if __name__ == "__main__":
    main()
