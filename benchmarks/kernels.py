"""CPU seconds of the inner loops, one call of each; ``_kernels.py`` says what a call does."""

from __future__ import annotations

import functools
import time

from benchmarks._kernel import keep_memory
from benchmarks._kernels import KERNELS, Kernel


@functools.cache
def _ready(name: str) -> Kernel:
    """The kernel, made once per process and found right before it is timed."""
    keep_memory()
    kernel = KERNELS[name]()
    kernel.check(kernel.work())
    return kernel


class Cpu:
    """CPU seconds of a call."""

    params = (tuple(KERNELS),)
    param_names = ("kernel",)
    timeout = 120
    version = "1"
    rounds = 2
    repeat = (5, 20, 1.5)
    warmup_time = 0.1
    timer = staticmethod(time.process_time)

    def setup(self, name: str) -> None:
        """n/a where the commit has no such kernel."""
        self.work = _ready(name).work

    def time_call(self, name: str) -> None:  # noqa: ARG002  # asv passes every parameter
        """One call."""
        self.work()
