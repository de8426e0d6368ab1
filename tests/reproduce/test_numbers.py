"""The file of published numbers: what a number states, and what it may not say."""

from __future__ import annotations

import math

import pytest

from rdbench.reproduce.numbers import read, read_elsewhere
from rdbench.types import RdbenchError

HEAD = "[[number]]\nwhere='T'\nsays='s'\nread='r'\ncases=['a']\nestimators=['x']\n"
POINT = "quantity='lagrangian'\nprinted={slope=2.0, rate=1.0, distortion=0.25, rate_in='bits'}\n"


@pytest.fixture
def made(tmp_path):
    """The numbers of a file."""

    def make(text):
        path = tmp_path / "published.toml"
        path.write_text(text)
        return path

    return make


def test_a_printed_point_states_its_lagrangian_and_its_slope(made):
    (one,) = read(made(HEAD + POINT + "within=0.1\n"))
    assert one.slope == 2.0
    assert one.stated == pytest.approx((math.log(2.0) + 0.4, math.log(2.0) + 0.6))
    assert one.ends == one.stated
    assert one.cost == "not printed"


def test_of_an_upper_bound_only_more_is_worse(made):
    (one,) = read(made(HEAD + POINT + "within=0.1\nno_worse=true\n"))
    assert one.ends.lo == -math.inf
    assert one.ends.hi == pytest.approx(math.log(2.0) + 0.6)
    assert math.isfinite(one.stated.lo)


def test_a_figure_without_numbers_states_nothing(made):
    (one,) = read(made(HEAD + "quantity='lagrangian'\nbeta=2.0\nunprinted='a figure'\n"))
    assert one.stated == (-math.inf, math.inf)


def test_what_is_not_compared_has_a_reason(made):
    text = "[[reference]]\nwhere='Table 2'\nproblem='Kodak'\nsays='6 points'\nwhy='no truth'\n"
    (one,) = read_elsewhere(made(text))
    assert (one.problem, one.why) == ("Kodak", "no truth")
    assert read(made(text)) == []
    with pytest.raises(RdbenchError, match="missing required field `why`"):
        read_elsewhere(made(text.partition("why")[0]))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (POINT.replace("lagrangian", "gap"), "compared as a lagrangian"),
        (POINT.replace("distortion=0.25, ", ""), "needs a lagrangian, or a rate and a distortion"),
        (POINT.replace("bits", "bans"), "Invalid enum value 'bans'"),
        (POINT + "unprinted='a figure'\n", "not both"),
        ("quantity='gap'\nat_most=1.0\nno_worse=true\n", "no_worse needs a value"),
        ("quantity='gap'\n", "say why it is unprinted"),
    ],
)
def test_what_a_number_may_not_say(made, text, says):
    with pytest.raises(RdbenchError, match=says):
        read(made(HEAD + text))
