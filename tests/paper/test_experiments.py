"""The two experiments are kept, drawn and told; numbers in the pictures are those of the rows."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pytest
from matplotlib.container import ErrorbarContainer

from rdbench.paper import experiments, limit, theorem
from rdbench.paper.experiments import FILE, Experiments, findings, missing, run_experiments, save
from rdbench.paper.experiments_findings import exponent, of_limit, of_theorem
from rdbench.paper.limit import Limit
from rdbench.paper.limit_figure import limit_figure
from rdbench.paper.theorem import Theorem, run_theorem
from rdbench.paper.theorem_figure import theorem_figure
from rdbench.report import style
from rdbench.types import RdbenchError

LITTLE_THEOREM = theorem.Effort(
    shown=((2, 1.0), (2, 6.0)),
    priced=((2, 2.0),),
    bounded=(8.0,),
    sizes=(10, 100, 1000),
    replicates=3,
    symbols=40,
    fitted_sizes=(10, 50),
    fitted_symbols=50,
    held_out=50,
    moves=4,
    floor_symbols=50,
)
LITTLE_LIMIT = limit.Effort(
    ladder=(1.0, 5.0, 65.0), seeds=2, steps=2, hidden=4, line_step=0.2, plane_step=0.7
)


def run(folder: Path, seed: int = 0) -> tuple[Experiments, list[str]]:
    told: list[str] = []
    found = run_experiments(folder, seed, told.append, theorem=LITTLE_THEOREM, limit=LITTLE_LIMIT)
    return found, told


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which both experiments were run."""
    folder = tmp_path_factory.mktemp("kept")
    run(folder)
    return folder


@pytest.fixture(scope="module")
def found(kept: Path) -> Experiments:
    found, told = run(kept)
    assert told == []
    return found


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch, found: Experiments) -> None:
    """Both experiments answer at once, and tell that they were run."""

    def theorem_of(seed: int, _: object, tell: Callable[[str], None]) -> Theorem:
        tell(f"theorem {seed}")
        return found.theorem

    def limit_of(seed: int, _: object, tell: Callable[[str], None]) -> Limit:
        tell(f"limit {seed}")
        return found.limit

    monkeypatch.setattr(experiments, "run_theorem", theorem_of)
    monkeypatch.setattr(experiments, "run_limit", limit_of)


def test_what_was_run_is_what_is_read(kept: Path, found: Experiments):
    assert run_theorem(0, LITTLE_THEOREM) == found.theorem
    assert {row.seed for row in found.limit.learned} == {0, 1}
    # The defaults were not run, whatever else is kept.
    assert missing(kept) == ("theorem", "limit")
    assert missing(kept / "nowhere") == ("theorem", "limit")


@pytest.mark.usefixtures("quick")
def test_changed_seeds_run_again(tmp_path: Path):
    assert run(tmp_path)[1] == ["theorem 0", "limit 0"]
    assert run(tmp_path)[1] == []
    assert run(tmp_path, seed=7)[1] == ["theorem 7", "limit 7"]


@pytest.mark.usefixtures("quick")
def test_an_interrupt_keeps_what_was_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupted(*_: object) -> Limit:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(experiments, "run_limit", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run(tmp_path)
    assert run(tmp_path)[1] == ["limit 0"]
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("damage", ["", "[]", "{", '{"theorem": 3, "limit": {"key": 1}}'])
def test_a_damaged_file_is_written_anew(tmp_path: Path, damage: str, found: Experiments):
    (tmp_path / FILE).write_text(damage)
    assert run(tmp_path) == (found, ["theorem 0", "limit 0"])
    assert set(json.loads((tmp_path / FILE).read_text())) == {"theorem", "limit"}


@pytest.mark.usefixtures("quick")
def test_rows_that_do_not_fit_run_again(tmp_path: Path, kept: Path, found: Experiments):
    held = json.loads((kept / FILE).read_text())
    held["limit"]["rows"]["learned"][0]["beta"] = "steep"
    (tmp_path / FILE).write_text(json.dumps(held))
    assert run(tmp_path) == (found, ["limit 0"])


@pytest.mark.usefixtures("quick")
def test_what_cannot_be_kept_is_told_and_computed(tmp_path: Path, found: Experiments):
    blocked = tmp_path / "file"
    blocked.write_text("")
    told: list[str] = []
    assert run_experiments(blocked / "kept", 0, told.append, warn=told.append) == found
    assert [line.split()[0] for line in told] == ["cannot", "theorem", "cannot", "limit"]
    assert "experiments.json" in told[0]
    assert "experiment theorem will run again" in told[0]


def test_pictures_and_tables_are_written(tmp_path: Path, found: Experiments):
    paths = save(found, tmp_path)
    assert [path.name for path in paths] == [
        *(f"figure-theorem-1.{ending}" for ending in style.FORMATS),
        *(f"figure-limit.{ending}" for ending in style.FORMATS),
        "figure-theorem-1.csv",
        "figure-theorem-1-floors.csv",
        "figure-theorem-1-price.csv",
        "figure-limit.csv",
        "figure-limit-densities.csv",
    ]
    table = pd.read_csv(tmp_path / "figure-theorem-1.csv")
    assert list(table.gap) == pytest.approx([row.gap for row in found.theorem.plug_in])
    table = pd.read_csv(tmp_path / "figure-limit.csv")
    assert list(table.kl) == pytest.approx([row.kl for row in found.limit.learned])


@pytest.mark.parametrize(("units", "scale"), [("nats", 1.0), ("bits", math.log(2.0))])
def test_what_is_drawn_is_what_was_found(found: Experiments, units: str, scale: float):
    with style.house_style():
        panel = theorem_figure(found.theorem, units).axes[1]
        divergences = limit_figure(found.limit, units).axes[1]
    rows = [
        row
        for row in found.theorem.plug_in
        if (row.dim, row.true_rate, row.reading) == (2, 6.0, "exact")
    ]
    drawn = panel.containers[0]
    assert isinstance(drawn, ErrorbarContainer)
    curve, _, (bars,) = drawn.lines
    assert list(np.asarray(curve.get_xdata())) == [row.n for row in rows]
    gaps = list(np.asarray(curve.get_ydata()))
    assert gaps == pytest.approx([row.gap / scale for row in rows])
    lower = [float(segment[0][1]) for segment in bars.get_segments()]
    assert lower == pytest.approx([row.gap_lo / scale for row in rows])
    assert panel.get_title() == f"d = 2, R* = {6.0 / scale:.3g} {units}"
    learned = [row for row in found.limit.learned if row.source == "two modes"]
    points = np.asarray(divergences.lines[1].get_ydata())
    assert list(points) == pytest.approx([row.kl / scale for row in learned])
    assert units in divergences.get_ylabel()
    with pytest.raises(RdbenchError, match="unknown units"):
        theorem_figure(found.theorem, "hartleys")


def test_no_rows_give_empty_pictures_and_no_findings():
    empty = Experiments(Theorem((), (), ()), Limit((), ()))
    with style.house_style():
        theorem_figure(empty.theorem, "nats").draw_without_rendering()
        limit_figure(empty.limit, "nats").draw_without_rendering()
    assert findings(empty) == []


def test_every_finding_ends_with_a_verdict(found: Experiments):
    told = findings(found)
    assert len(told) == 8
    for one in told:
        assert one.endswith(".")
        assert "nan" not in one
        assert any(verdict in one for verdict in ("Agrees", "not agree", "ecided")), one


def test_what_saturates_is_the_reported_rate(found: Experiments):
    def saturation(**changes: Any) -> str:
        rows = tuple(dataclasses.replace(row, **changes) for row in found.theorem.plug_in)
        return of_theorem(dataclasses.replace(found.theorem, plug_in=rows))[1]

    ceiling = math.log(1000)  # the largest N of the little effort
    high = saturation(true_rate=20.0, rate=ceiling - 0.4)
    assert "Agrees" in high
    assert f"the reported rate is {ceiling - 0.4:.3f}, log N = {ceiling:.3f}" in high
    assert "Does not agree" in saturation(true_rate=20.0, rate=ceiling - 0.6)
    assert "Not decided" in saturation(true_rate=ceiling - 0.1)
    row = next(row for row in found.theorem.plug_in if row.n == 1000 and row.true_rate == 6.0)
    floor = next(f for f in found.theorem.floors if (f.n, f.true_rate) == (1000, 6.0))
    beyond = dataclasses.replace(row, n=100, gap=floor.draws + 1.0)
    floor = dataclasses.replace(floor, n=100)
    text = of_theorem(dataclasses.replace(found.theorem, plug_in=(beyond,), floors=(floor,)))[1]
    assert "1 above the floor for N draws of q*" in text


@pytest.mark.parametrize(
    ("gap", "rate", "expected"),
    [
        ((0.01, 0.0, 0.05), 1.0, "Agrees"),
        ((0.04, 0.0, 0.06), 1.0, "Not decided"),
        ((0.08, 0.06, 0.1), 1.0, "Does not agree"),
        ((0.01, 0.0, 0.05), 5.0, "Not decided"),  # log 1000 = 6.9 is not 2 nats above
    ],
)
def test_convergence_is_judged_where_n_is_large(
    found: Experiments, gap: tuple[float, float, float], rate: float, expected: str
):
    (row,) = [row for row in found.theorem.plug_in if (row.n, row.true_rate) == (1000, 1.0)]
    changes: dict[str, Any] = dict(zip(("gap", "gap_lo", "gap_hi"), gap, strict=True))
    row = dataclasses.replace(row, true_rate=rate, **changes)
    said = of_theorem(dataclasses.replace(found.theorem, plug_in=(row,)))[0]
    assert said.endswith(f"{expected}.")


@pytest.mark.parametrize(
    ("beta", "distance", "expected"),
    [(65.0, 0.009, "Agrees: "), (65.0, 0.02, "Does not agree: "), (9.0, 0.001, "Not decided: ")],
)
def test_similarity_has_a_threshold(
    found: Experiments, beta: float, distance: float, expected: str
):
    row = dataclasses.replace(found.limit.learned[0], beta=beta, tv_optimal=distance)
    said = of_limit(Limit((row,), ()))[2]
    assert expected in said
    assert f"{distance:.2g} at R*" in said


def test_the_verdict_on_the_limit_follows_the_exponents(found: Experiments):
    def rows(power: float) -> Limit:
        return Limit(
            tuple(
                dataclasses.replace(
                    row, gradient_start=row.beta**power, gradient_end=3.0 * row.beta**power
                )
                for row in found.limit.learned
            ),
            (),
        )

    assert exponent(rows(-1.0).learned, lambda row: row.gradient_end) == pytest.approx(-1.0)
    assert of_limit(rows(-1.0))[0].endswith("Agrees (within 0.25, our choice).")
    assert of_limit(rows(-0.5))[0].endswith("Does not agree (within 0.25, our choice).")
    first = rows(-1.0).learned[:1]
    assert math.isnan(exponent(first, lambda row: row.kl))
    assert "Not decided" in of_limit(Limit(first, ()))[0]


def test_rows_survive_json(found: Experiments):
    text = msgspec.json.encode(found)
    assert msgspec.json.decode(text, type=Experiments) == found
