"""What the peer asks of the device that it runs on; the same calls for every device, so that the CPU exercises them all.

The calls of torch.cuda have not been run on a GPU yet.
"""

from __future__ import annotations

from collections.abc import Callable

import torch


class HostDevice:
    """A CPU: nothing is under way when a call returns, and nothing can be captured."""

    compile_mode = "default"

    def __init__(self, name: str) -> None:
        self.device = torch.device(name)

    def set_precision(self, precision: str, may_choose: bool) -> None:
        """precision: fp32, tf32 or bf16. may_choose: may libraries try their kernels and take the fastest?"""

    def synchronize(self) -> None:
        """Returns when the device has done all that was asked of it."""

    def warm_up_to_capture(self, work: Callable[[], None], times: int) -> None:
        for _ in range(times):
            work()

    def captured(self, work: Callable[[], None]) -> Callable[[], None]:
        """What does again, with one call of the host, what `work` asks of the device; here `work` itself."""
        return work

    def peak_bytes(self) -> int:
        """Peak resident memory of this program: getrusage() would also tell what its parent had when it started it."""
        with open("/proc/self/status", encoding="utf-8") as file:
            return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:"))


class CudaDevice(HostDevice):
    """A GPU."""

    compile_mode = "max-autotune"  # with CUDA graphs of its own

    def __init__(self, name: str) -> None:
        super().__init__(name)
        torch.cuda.set_device(self.device)

    def set_precision(self, precision: str, may_choose: bool) -> None:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision != "fp32"
        torch.backends.cudnn.benchmark = may_choose

    def synchronize(self) -> None:
        torch.cuda.synchronize(self.device)

    def warm_up_to_capture(self, work: Callable[[], None], times: int) -> None:
        """On a stream of its own, as what is to be captured must be: docs.pytorch.org/docs/2.11/notes/cuda.html."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            super().warm_up_to_capture(work, times)
        torch.cuda.current_stream().wait_stream(stream)

    def captured(self, work: Callable[[], None]) -> Callable[[], None]:
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work()
        return graph.replay

    def peak_bytes(self) -> int:
        """Most of the device's memory that tensors held."""
        return torch.cuda.max_memory_allocated(self.device)


def open_device(name: str) -> HostDevice:
    """name: cpu, cuda or cuda:N."""
    return CudaDevice(name) if name.startswith("cuda") else HostDevice(name)
