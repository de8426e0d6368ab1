"""The contest with dit, against a stand-in that iterates alike: dit itself need not be there."""

import math
import sys
from types import ModuleType

import numpy as np
import pytest

from benchmarks.peers import blahut_arimoto
from benchmarks.peers.blahut_arimoto import Contest, first_below, zipf


def stand_in(lost=0):
    """A module like dit's: beta in bits, so many iterations (less those ``lost``), a joint law."""

    def loop(p, beta, q_y_x, distortion, max_iters):
        for _ in range(max(max_iters - lost, 0)):
            q_y_x = (p @ q_y_x) * np.exp2(-beta * distortion(p, q_y_x))
            q_y_x = q_y_x / q_y_x.sum(1, keepdims=True)
        return None, p[:, None] * q_y_x

    def public(p, beta, distortion, restarts):
        assert restarts in (1, 100)
        return loop(p, beta, np.full((len(p), len(p)), 1.0 / len(p)), distortion, 100)

    module = ModuleType("dit.rate_distortion.blahut_arimoto")
    vars(module).update(_blahut_arimoto=loop, blahut_arimoto=public)
    return module


@pytest.fixture
def contest(monkeypatch):
    monkeypatch.setattr(blahut_arimoto, "_SHORTEST_S", 0.0)
    monkeypatch.setattr(blahut_arimoto, "versions", lambda: "")

    def make(lost=0):
        name = "dit.rate_distortion.blahut_arimoto"
        for part in ("dit", "dit.rate_distortion"):
            monkeypatch.setitem(sys.modules, part, ModuleType(part))
        monkeypatch.setitem(sys.modules, name, stand_in(lost))
        return Contest("zipf-10", zipf(10, 3.0))

    return make


def test_the_optimum_is_the_closed_form(contest):
    # with all letters in use (Erokhin 1958): F* = -E log(p / theta), theta = 1 / (1 - a + n a)
    p, a = zipf(3, 3.0).p, math.exp(-3.0)
    closed = -float(p @ np.log(p * (1.0 - a + 3 * a)))
    contest()
    assert Contest("zipf-3", zipf(3, 3.0)).optimum == pytest.approx(closed, abs=1e-9)


def test_iterations_are_as_many_as_are_needed_and_no_more(contest):
    made = contest()
    for target in (1e-3, 1e-6):
        needed = first_below(made.excess, target)
        assert needed is not None
        assert made._judge(made._dit_loop(needed))[0] <= target
        assert made._judge(made._dit_loop(needed - 1))[0] > target


def test_every_aim_has_three_contenders_that_reached_it(contest):
    rows = list(contest().rows(1))
    by_aim: dict[tuple[str, float], list[str]] = {(row.aim, row.target): [] for row in rows}
    for row in rows:
        by_aim[row.aim, row.target].append(row.contender)
        judged = row.certified if row.aim == "certified" else row.excess
        assert row.reached
        assert judged <= 1.001 * row.target
    assert len(by_aim) == 5
    assert set(map(tuple, by_aim.values())) == {("dit", "classical", "default")}


def test_a_contender_that_misses_what_is_said_of_it_is_found_out(contest):
    with pytest.raises(RuntimeError, match=r"zipf-10, F - F\* 0.001: dit reached"):
        list(contest(lost=1).rows(1))


def test_nothing_below_is_none():
    assert first_below(np.array([3.0, 2.0]), 1.0) is None
    assert first_below(np.array([3.0, 1.0, 0.5]), 1.0) == 1


@pytest.mark.parametrize("arguments", [["--only", "nothing*"], ["--rounds", "0"]])
def test_bad_input_is_one_line_and_code_2(monkeypatch, capsys, arguments):
    monkeypatch.setattr(sys, "argv", ["blahut_arimoto", *arguments])
    with pytest.raises(SystemExit) as ended:
        blahut_arimoto.main()
    assert ended.value.code == 2
    assert arguments[0] in capsys.readouterr().err.splitlines()[-1]
