"""What is verified against what is known otherwise: closed forms, and sums by mpmath."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import mpmath  # type: ignore[import-untyped]
import numpy as np
import pytest
from flint import arb, arb_mat, ctx

from rdbench.cli import main
from rdbench.verify import Verdict
from rdbench.verify.finite import table
from rdbench.verify.quadrature import panels
from rdbench.verify.supremum import supremum
from tests.verify.conftest import FILES, one

Judge = Callable[[dict[str, Any]], Verdict]
Run = Callable[[dict[str, Any] | str], tuple[int, str, str]]


def test_both_ends_of_two_modes_are_those_of_mpmath(judge: Judge) -> None:
    content = one("scalar-two-modes", 3)
    claim = content["rungs"][0]["certificate"]
    beta, (y, w) = claim["beta"], ([p[0] for p in claim["points"]], claim["weights"])
    a, b = claim["lambda"]["core"]
    tails = claim["lambda"]["kappa"]

    def p(x: Any) -> Any:
        return (mpmath.npdf(x, -3) + mpmath.npdf(x, 3)) / 2

    def z(x: Any) -> Any:
        return sum(v * mpmath.exp(-beta * (x - u) ** 2) for u, v in zip(y, w, strict=True)) / sum(w)

    with mpmath.workdps(30):
        shannon = mpmath.sqrt(mpmath.mpf(beta) / mpmath.pi)
        inside = mpmath.quad(lambda x: -p(x) * mpmath.log(z(x)), np.linspace(a, b, 9))
        ends = [mpmath.linspace(-30, a, 9), mpmath.linspace(b, 30, 9)]
        upper = inside + sum(mpmath.quad(lambda x: -p(x) * mpmath.log(z(x)), e) for e in ends)
        gain = inside + sum(
            mpmath.quad(lambda x, k=k: p(x) * mpmath.log(k * shannon / p(x)), e)
            for e, k in zip(ends, tails, strict=True)
        )

        def c(at: float) -> Any:
            core = mpmath.quad(
                lambda x: p(x) / z(x) * mpmath.exp(-beta * (x - at) ** 2), np.linspace(a, b, 9)
            )
            root = mpmath.sqrt(beta)
            out = tails[0] * mpmath.erfc(root * (at - a)) + tails[1] * mpmath.erfc(root * (b - at))
            return core + out / 2

        peak = max(c(at) for at in (y[0] - 1e-5, y[0], y[0] + 1e-5))
        lower = gain - mpmath.log(peak)
    found = judge(content)
    assert found.state == "verified"
    assert found.lo <= lower + 1e-15
    assert found.lo == pytest.approx(float(lower), abs=3e-12)  # c is maximised to 1e-3 of the width
    assert found.hi >= upper
    assert found.hi == pytest.approx(float(upper), abs=1e-14)


def test_the_shannon_bound_of_a_gaussian_is_its_truth(judge: Judge) -> None:
    """F* = log(2 beta) / 2 + 1 / 2 for N(0, 1), from below by lambda = sqrt(beta / pi) / p."""
    beta = 2.0
    truth = 0.5 * math.log(2.0 * beta) + 0.5
    content = one("scalar-two-modes")
    content["problem"]["source"] = {
        "family": "gaussian_mixture", "weights": [2.0], "means": [[7.0]], "covariances": [[[1.0]]]
    }  # fmt: skip
    content["rungs"][0]["certificate"].update({
        "beta": beta, "points": [[7.0]], "weights": [3.0], "lo": truth - 1e-13, "hi": beta,
        "lambda": {"form": "core", "core": [7.0, 7.0], "kappa": [1.0, 1.0]},
    })  # fmt: skip
    # A single atom: F = beta, to the last digit, is not allowed to be missed by the tails' bounds.
    content["rungs"][0]["certificate"]["hi"] += 1e-5
    found = judge(content)
    assert found.state == "verified", found.why
    assert found.lo == pytest.approx(truth, abs=1e-13)
    assert beta <= found.hi <= beta + 1e-5
    content["rungs"][0]["certificate"]["lo"] = truth + 1e-13
    assert judge(content).state == "rejected"


def test_the_table_is_that_of_the_legacy_generator() -> None:
    found = np.array(table(20240607, 7, 5))
    assert (found == np.random.RandomState(20240607).random_sample((7, 5))).all()


def test_an_integral_and_a_supremum_are_enclosed() -> None:
    with ctx.workprec(128):
        parts = panels(arb(0), arb(3), lambda x0, h: lambda z: [(x0 + z).exp()])
        total = sum((part.integral(0) for part in parts), arb(0))
        assert total.contains(arb(3).exp() - 1)
        assert total.rad() < 1e-15

        def c(y: list[arb]) -> arb_mat:
            """Atoms of mass 1/2 at -+0.4: the maximum, at 0, is exp(-0.16 beta)."""
            return arb_mat([[sum((-2 * (t - u) ** 2).exp() for u in (arb(-2) / 5, arb(2) / 5)) / 2]
                            for t in y])  # fmt: skip

        found = supremum(c, [(arb(-2), arb(3))], arb(2), 1e-12)
        truth = (-arb(8) / 25).exp()
        assert truth <= found.upper()
        assert found < truth + 2e-12


@pytest.mark.parametrize("case", ["real_data-digits-64", "planar-paper-d2"])
def test_what_is_not_checked_says_so(case: str, verify: Run) -> None:
    code, out, _ = verify(FILES[case])
    assert code == 0
    assert f"{len(FILES[case]['rungs'])} not checked" in out
    assert f"kind of evidence: {FILES[case]['rungs'][0]['certificate']['kind']}" in out


@pytest.mark.parametrize(
    ("options", "word"),
    [([], "--all"), (["--all", "x.json"], "--all"), (["none.json"], "cannot read"),
     (["--all", "--cases", "none"], "no file matches")],
)  # fmt: skip
def test_bad_requests(options: list[str], word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", *options]) == 2
    told = capsys.readouterr()
    assert word in told.err
    assert (told.out, len(told.err.splitlines())) == ("", 1)
