"""The peer of `xtasc-bench export`: onnxruntime on the file that xtasc-export writes of the same net.

Prints {"onnxruntime": version}; then for each line that it reads {"seconds": of one batch}.
"""
import argparse
import json
import sys
import time

try:
    import numpy as np
    import onnxruntime
except ImportError as error:
    sys.exit(f"{error}: pip install onnxruntime into the project's .venv, or use --no-peer")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", required=True)
    parser.add_argument("--images", type=int, required=True)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = arguments.threads
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # while it is another's turn
    session = onnxruntime.InferenceSession(arguments.model, options, providers=["CPUExecutionProvider"])
    images = np.zeros((arguments.images, *session.get_inputs()[0].shape[1:]), np.uint8)
    print(json.dumps({"onnxruntime": onnxruntime.__version__}), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        session.run(None, {"image": images})
        print(json.dumps({"seconds": time.perf_counter() - start}), flush=True)


if __name__ == "__main__":
    main()
