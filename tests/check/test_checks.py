"""The state of the process, and the test of a plug-in's author."""

from __future__ import annotations

import importlib.util
import re
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rdbench.check import assert_conforms, check_estimator
from rdbench.check.state import changed, kept, snapshot
from rdbench.types import RdbenchError


def planted() -> Any:
    """The class of the plants, in this process."""

    name = "rdbench_test_planted"
    if name not in sys.modules:
        file = Path(__file__).parent / "plants" / "planted.py"
        spec = importlib.util.spec_from_file_location(name, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        spec.loader.exec_module(module)
    return sys.modules[name].Planted


Planted = planted()


def test_the_process_is_as_it_was():
    before = torch.get_default_dtype(), torch.random.get_rng_state()
    check_estimator(Planted("default dtype"), only=("answers",))
    check_estimator(Planted("seeds torch"), only=("answers",))
    assert torch.get_default_dtype() == before[0]
    assert torch.equal(torch.random.get_rng_state(), before[1])


def test_what_is_changed_is_told_and_put_back():
    before = snapshot()
    with kept(1):
        seeded = snapshot()
        torch.set_default_device("meta")
        torch.autograd.set_detect_anomaly(True)
        np.seterr(over="raise")
        sys.setrecursionlimit(sys.getrecursionlimit() + 1)
        signal.signal(signal.SIGINT, lambda *_: None)  # SIG_IGN may be there already
        assert changed(seeded, snapshot()) == [
            "torch's default device",
            "torch's anomaly detection",
            "numpy's handling of floating-point errors",
            "the recursion limit",
            "the handlers of signals",
        ]
    assert changed(before, snapshot()) == []


def test_a_plug_in_fails_with_what_is_wrong():
    with pytest.raises(AssertionError, match=r"Planted fails 1 of 2 checks:\nanswers: .*yield"):
        assert_conforms(Planted("leaves a slope out"), only=("answers",))
    assert_conforms(Planted(), only=("answers", "budget"))


def test_an_unknown_check_or_preset():
    with pytest.raises(RdbenchError, match="unknown check 'unit'; valid: protocol, answers"):
        check_estimator(Planted, only=("unit",))
    with pytest.raises(RdbenchError, match="unknown preset 'papr'"):
        check_estimator(Planted, "papr")


def test_an_exception_names_the_file_and_line_of_the_estimator():
    (found,) = check_estimator(Planted("raises on a constant"), only=("bad input",))[1:]
    line = 1 + _source().index('            raise ValueError("a singular covariance")')
    assert re.search(rf"a singular covariance \(\S*planted\.py:{line}\)", found.message)


def _source() -> list[str]:
    return (Path(__file__).parent / "plants" / "planted.py").read_text().splitlines()
