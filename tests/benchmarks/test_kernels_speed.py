"""CPU seconds of every kernel: `make bench`. Skipped in every other run."""

import time

import pytest

from benchmarks._kernels import KERNELS


@pytest.mark.benchmark(timer=time.process_time, max_time=1.0, min_rounds=10, disable_gc=True)
@pytest.mark.parametrize("name", KERNELS)
def test_speed(benchmark, name):
    kernel = KERNELS[name]()
    kernel.check(kernel.work())  # right before it is timed; this is the warm-up as well
    benchmark.extra_info["iterations"] = kernel.iterations
    kernel.check(benchmark(kernel.work))
