"""Every kernel's result is right, and a wrong one is noticed: no kernel is timed unchecked."""

import functools
import io
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest
import torch

from benchmarks._kernels import KERNELS, Kernel

Fault = Callable[[Any], Any]
"""From a right result to a wrong one."""


@functools.cache
def prepared(name: str) -> tuple[Kernel, Any]:
    kernel = KERNELS[name]()
    return kernel, kernel.work()


class Plain(pickle.Pickler):
    """Tensors by their values: torch's own pickles hold the address of the memory."""

    def reducer_override(self, obj: Any) -> Any:
        return (torch.tensor, (obj.tolist(),)) if isinstance(obj, torch.Tensor) else NotImplemented


def frozen(result: Any) -> bytes:
    """A result as bytes: equal bytes, equal result."""
    out = io.BytesIO()
    Plain(out).dump(result)
    return out.getvalue()


@pytest.mark.parametrize("name", KERNELS)
def test_result_is_right_and_the_next_call_gives_the_same(name):
    kernel, result = prepared(name)
    before = frozen(result)
    kernel.check(result)
    assert frozen(kernel.work()) == before


def changed(**wrong: Callable[[Any], Any]) -> Fault:
    """Fields computed from their right values."""
    return lambda found: replace(found, **{k: make(getattr(found, k)) for k, make in wrong.items()})


def one_off(size: float) -> Callable[[Any], Any]:
    """An array whose largest number is off by ``size``, relative."""

    def wrong(right: Any) -> Any:
        scale = np.ones(right.shape)
        scale.flat[int(np.abs(np.asarray(right)).argmax())] += size
        return right * (torch.from_numpy(scale) if isinstance(right, torch.Tensor) else scale)

    return wrong


def plus(size: float) -> Callable[[float], float]:
    return lambda right: right + size


def other_seed(found: Any) -> Any:
    records = dict(found.records)
    first = next(iter(records))
    records[first] = msgspec.structs.replace(records[first], seed=99)
    return replace(found, records=records)


ITERATED = (changed(weights=one_off(1e-6)), changed(iterations=plus(-1)))
SOLVED = (
    changed(lagrangian=plus(-1e-4)),
    changed(lagrangian=plus(1e-4)),
    changed(gap=plus(1e-4)),
    changed(weights=one_off(1e-3)),
)
AUDITED = (
    changed(gap=plus(0.05), gap_hi=plus(0.05)),
    changed(gap=plus(-0.05), gap_hi=plus(-0.05)),
    changed(gap=lambda _: float("nan")),
    changed(gap_hi=plus(1.0)),
    changed(lagrangian=plus(1e-3)),
    changed(distortion=plus(0.1), rate=plus(-0.2)),
    changed(accepted=lambda _: False),
)
DISTANCES = (one_off(1e-6), lambda found: found.sqrt(), lambda found: found.roll(1, 0))
FAULTS: dict[str, tuple[Fault, ...]] = {
    "ba_dense_500": ITERATED,
    "ba_banded_1501": ITERATED,
    "ba_separable_97x97": ITERATED,
    "ba_scan_801": ITERATED,
    "squarem_solve": SOLVED,
    "interior_point_solve": SOLVED,
    "mala_step": (
        # the states of a chain that accepts everything: variance 2 / (2 - tau)
        lambda found: (found[0] * (4.0 / 3.0) ** 0.5, found[1]),
        lambda found: (found[0], found[1] + 0.03),
        lambda found: (found[0].flip(0), found[1]),
    ),
    "network_gradient": (
        lambda found: (found[0] + 1e-3, found[1]),
        lambda found: (found[0], -found[1]),
        lambda found: (found[0], one_off(1e-2)(found[1])),
    ),
    "distances_squared_d2": DISTANCES,
    "distances_squared_d20": DISTANCES,
    "distances_absolute_d5": DISTANCES,
    "em_step": (
        changed(weights=lambda w: w.flip(0)),
        changed(means=one_off(1e-5)),
        changed(covs=one_off(1e-5)),
    ),
    "audit_atoms": AUDITED,
    "audit_quadrature": AUDITED,
    "audit_importance": AUDITED,
    "audit_latent": AUDITED,
    "store_load": (
        other_seed,
        lambda found: replace(found, warnings=["line 1: skipped"]),
        lambda found: replace(found, records=dict(list(found.records.items())[1:])),
    ),
}


def test_faults_are_planted_in_every_kernel():
    assert list(FAULTS) == list(KERNELS)


@pytest.mark.parametrize(
    ("name", "number"), [(name, i) for name, faults in FAULTS.items() for i in range(len(faults))]
)
def test_a_wrong_result_is_noticed(name, number):
    kernel, right = prepared(name)
    wrong = FAULTS[name][number](right)
    with pytest.raises(AssertionError):
        kernel.check(wrong)
