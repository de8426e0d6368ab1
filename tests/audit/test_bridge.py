"""The two directions of a log ratio, against ratios that are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Generator

from rdbench.audit.bridge import mismatch, offset

ONE = torch.ones(1, dtype=torch.float64)


def _shifted(n: int, seed: int, c: float = 0.0) -> tuple[torch.Tensor, torch.Tensor]:
    """log N(y; 1, 1) - log N(y; 0, 1) + c at draws of both."""
    e = torch.randn(2, n, generator=Generator().manual_seed(seed), dtype=torch.float64)
    return (e[0] + 1.0) - 0.5 + c, (e[1] - 0.5 + c)[:, None]


@pytest.mark.parametrize("c", [0.0, 0.3, -2.0])
def test_the_offset_has_the_error_that_it_states(c: float) -> None:
    found = [offset(*_shifted(1000, seed, c), ONE) for seed in range(60)]
    scores = [(value - c) / se for value, se in found]
    assert abs(np.mean(scores)) < 0.5
    assert 0.7 < np.std(scores) < 1.35


def test_two_laws_that_do_not_overlap_say_nothing() -> None:
    """Once exp(-679.6 +- 0): sums that underflow have no scatter, and no error was found."""
    apart = torch.linspace(0.0, 5.0, 2000, dtype=torch.float64)
    value, se = offset(1400.0 + apart, (-1400.0 - apart)[:, None], ONE)
    assert math.isnan(value) or se > 0.05


def test_true_ratios_match_and_a_local_error_does_not() -> None:
    for seed in range(40):
        at_p, at_g = _shifted(4000, seed)
        assert mismatch(at_p, at_g, ONE, []) is None
    wrong_p, wrong_g = (torch.where(d > 1.0, d + 1.5, d) for d in (at_p, at_g))
    assert mismatch(wrong_p, wrong_g, ONE, []) is not None
