"""Planted cheats, run by the command line and exposed by its table.

Every cheat trains on the same data as an honest estimator of the same family. What gives it away
is asserted in the numbers of the export and in what the run prints.
"""

from __future__ import annotations

import math
import re
from pathlib import Path

import pandas as pd
import pytest

from rdbench.report.claim_limits import tolerance
from rdbench.report.export import frame
from rdbench.run.store import load

pytestmark = pytest.mark.trials

CHEATS = Path(__file__).parent / "cheating"


class Run:
    """The output of a run and its stored rows."""

    def __init__(self, start, results: Path, *options: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("PYTHONPATH", str(CHEATS))
            process = start(
                "run", "--suite", "vector_gaussian", "--budget", "quick", "--results",
                str(results), *options,
            )  # fmt: skip
            self.printed, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors
        self.table = frame(list(load(results).records.values()))

    def row(self, kind: str, rate: float) -> pd.Series:
        """The exported row of one cheat at one target rate."""
        chosen = self.table[self.table["params"].str.contains(f'"{kind}"')]
        (found,) = (row for _, row in chosen[chosen["target_rate"] == rate].iterrows())
        return found

    def verdicts(self, kind: str) -> str:
        """The first verdict that the run prints on the claims of one estimator."""
        claims = self.printed.split("Claims, and")[1].split("What q is")[0]
        (line,) = (line for line in claims.splitlines() if f"kind={kind}]" in line)
        found = re.search(r"\] +(.*?/\d)", line)
        assert found is not None
        return found[1]


@pytest.fixture(scope="module")
def plane(start, tmp_path_factory) -> Run:
    """d = 2 at 2 and 6 nats."""
    kinds = (
        "honest", "training_set", "bits", "mean_distortion", "constant", "memorised_noise",
        "scaled_distortion", "worthless_bound",
    )  # fmt: skip
    specs = ["blahut_arimoto", *(f"cheat[kind={kind}]" for kind in kinds)]
    options = ("--dims", "2", "--rates", "2,6", "--estimators", ",".join(specs))
    return Run(start, tmp_path_factory.mktemp("plane"), *options)


@pytest.fixture(scope="module")
def high(start, tmp_path_factory) -> Run:
    """d = 10 at 20 nats."""
    specs = "cheat[kind=honest],cheat[kind=plug_in]"
    options = ("--dims", "10", "--rates", "20", "--estimators", specs)
    return Run(start, tmp_path_factory.mktemp("high"), *options)


def test_the_honest_agree(plane, high):
    for rate in (2.0, 6.0):
        row = plane.row("honest", rate)
        assert row["claim"] == "agrees"
        assert abs(row["gap"]) < 0.02
    row = high.row("honest", 20.0)
    assert row["claim"] == "agrees"
    assert abs(row["gap"]) < 0.05
    assert plane.verdicts("honest") == "agrees 2/2"
    grid = plane.table[plane.table["estimator"] == "blahut_arimoto"]
    assert list(grid["claim"]) == ["agrees", "agrees"]


def test_evaluating_on_the_training_set_falls_below_the_truth(plane):
    row = plane.row("training_set", 6.0)
    assert row["claim"] == "below truth"
    assert row["claimed_gap"] < -0.5
    assert row["gap_lo"] > 0.5  # on fresh symbols the same atoms are far above it
    assert row["claim_excess"] < -1.0
    assert "below truth" in plane.verdicts("training_set")


def test_bits_for_nats_do_not_agree(plane):
    for rate in (2.0, 6.0):
        row = plane.row("bits", rate)
        assert row["claim"] == "too bad"
        # R / log 2 - R, at an audited R
        assert row["claim_excess"] == pytest.approx(rate * (1 / math.log(2.0) - 1.0), abs=0.1)
        assert abs(row["gap"]) < 0.02
    assert plane.verdicts("bits") == "too bad 2/2"


def test_a_mean_over_dimensions_falls_below_the_truth(plane):
    for rate in (2.0, 6.0):
        row = plane.row("mean_distortion", rate)
        assert row["claim"] == "below truth"
        # beta D (1 - 1/d), where beta D = d/2
        assert row["claimed_gap"] == pytest.approx(-0.5, abs=0.05)
    assert plane.verdicts("mean_distortion") == "below truth 2/2"


def test_a_distortion_scaled_under_the_right_lagrangian_is_under_the_curve(plane):
    row = plane.row("scaled_distortion", 2.0)
    assert abs(row["claim_excess"]) < tolerance(2)
    # R(D / 20) is 2 + log 20 in the plane; 2 + .95 is claimed, and the rung at 6 nats tells.
    assert row["claim"] == "below truth"
    assert plane.verdicts("scaled_distortion").startswith("below truth")


def test_a_bound_a_hundred_nats_away_is_loose(plane):
    for rate in (2.0, 6.0):
        assert plane.row("worthless_bound", rate)["claim"] == "loose"
    assert plane.verdicts("worthless_bound") == "loose 2/2"


def test_a_constant_is_honest_and_useless(plane):
    # Its point lies on the curve: R = 0 at D = Var. Only the gap tells.
    for rate in (2.0, 6.0):
        row = plane.row("constant", rate)
        assert abs(row["rate_error"]) < row["gap_hi"] - row["gap_lo"]  # within its noise
        assert row["gap_lo"] > max(1.0, 10.0 * abs(row["rate_error"]))
        # beta Var - F*, against the row's own truth
        variance = sum(2.0 ** (-0.2 * i) for i in (1, 2))
        assert row["gap"] == pytest.approx(row["beta"] * variance - row["truth_lo"], rel=0.05)
        assert row["claimed_gap"] > 1.0


def test_memorised_noise_is_not_confirmed(plane):
    row = plane.row("memorised_noise", 2.0)
    # With the noise it was fitted to, the generator is as good as the best ...
    assert abs(row["claimed_gap"]) < tolerance(2)
    # ... and with any other it is a constant.
    assert row["claim"] == "unconfirmed"
    assert row["gap"] > 1.0
    assert row["claim_excess"] < -1.0
    assert plane.verdicts("memorised_noise").startswith("unconfirmed")


def test_a_plug_in_of_1000_draws_saturates_at_20_nats(high):
    row = high.row("plug_in", 20.0)
    # Of the same q, the claim and the paper's protocol are far off and the audit is not.
    assert row["claim"] == "too bad"
    assert row["claimed_rate"] <= math.log(1000)
    assert row["claimed_gap"] > 10.0
    assert abs(row["gap"]) < 0.05
    assert row["gap_paper_protocol"] > 10.0
    assert row["log_n_paper_protocol"] == pytest.approx(math.log(row["n_paper_protocol"]))
    assert row["log_n_paper_protocol"] < row["rate_lo"]
    assert bool(row["paper_protocol_saturated"]) is True
    assert high.verdicts("plug_in") == "too bad 1/1"
    assert re.search(r"kind=plug_in\].* N=\d+: R ≤ \d\.\d+ +1/1", high.printed)
