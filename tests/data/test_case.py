"""The case of data: the same everywhere, held out by content, refused once the file has changed."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from rdbench.data import build, described
from rdbench.data.facts import distinct, facts_of
from rdbench.data.silent import silent
from rdbench.data.splitting import split_rows
from rdbench.data.table import Rows
from rdbench.references.certified import Certified
from rdbench.references.unknown import Unknown
from rdbench.run import meaning
from rdbench.run.views import make_view
from rdbench.sources.finite import FiniteSource
from rdbench.sources.sample import SampleSource
from rdbench.types import Problem, RdbenchError

X = np.random.default_rng(7).normal(size=(300, 2))


def saved(folder: Path, x: Any = X, name: str = "x.npy") -> str:
    folder.mkdir(exist_ok=True)
    np.save(folder / name, x)
    return str(folder / name)


def sample_of(case: Any) -> SampleSource:
    source = case.case.problem.source
    assert isinstance(source, SampleSource)
    return source


def test_a_fifth_is_held_out_and_no_row_is_on_both_sides(tmp_path: Path) -> None:
    source = sample_of(build(described(saved(tmp_path))))
    train, held = source.training.numpy(), source.held_out.numpy()
    assert (len(train), len(held)) == (240, 60)
    both = np.concatenate([train, held])
    assert np.array_equal(np.sort(both[:, 0]), np.sort(X[:, 0]))
    assert not set(map(tuple, train)) & set(map(tuple, held))


def test_the_split_depends_on_the_content_alone(tmp_path: Path) -> None:
    one = sample_of(build(described(saved(tmp_path))))
    two = sample_of(build(described(saved(tmp_path / "elsewhere", name="y.npy"))))
    assert torch.equal(one.held_out, two.held_out)
    other = X.copy()
    other[17, 1] = np.nextafter(other[17, 1], 9.0)  # the last bit of one number
    three = sample_of(build(described(saved(tmp_path / "changed", other))))
    assert not torch.equal(one.held_out, three.held_out)
    assert one.content_digest != three.content_digest


def test_the_identity_is_that_of_the_content(tmp_path: Path) -> None:
    def key(path: str, **how: Any) -> str:
        return meaning.of_case(build(described(path, **how)).case)

    first = key(saved(tmp_path))
    assert first == key(saved(tmp_path / "elsewhere", name="y.npy"))
    assert first != key(saved(tmp_path), of="rows")
    assert first != key(saved(tmp_path), distortion="absolute_error")
    # nine digits, which are enough for what is computed, are not for what is read
    far = 1e6 + 1e-6 * X
    moved = far.copy()
    moved[3, 0] += 1e-9
    assert key(saved(tmp_path, far)) != key(saved(tmp_path, moved))
    rows = {key(saved(tmp_path, x), of="rows") for x in (X, far, moved)}
    assert len(rows) == 3


def test_a_file_that_changed_since_the_plan_is_refused(tmp_path: Path) -> None:
    planned = build(described(saved(tmp_path))).spec
    assert planned.digest
    assert build(planned).spec == planned
    saved(tmp_path, X + 1.0)
    with pytest.raises(RdbenchError, match="has changed"):
        build(planned)


def test_a_table_that_changed_is_refused(tmp_path: Path) -> None:
    letters = saved(tmp_path, np.arange(300) % 2, "l.npy")
    table = saved(tmp_path, np.array([[0.0, 1.0], [1.0, 0.0]]), "t.npy")
    spec = build(described(letters, distortion=table)).spec
    saved(tmp_path, np.array([[0.0, 2.0], [1.0, 0.0]]), "t.npy")
    with pytest.raises(RdbenchError, match="has changed"):
        build(spec)


def test_groups_are_held_out_whole(tmp_path: Path) -> None:
    who = np.repeat(np.arange(40), 5)
    frame = pd.DataFrame({"a": np.random.default_rng(0).normal(size=200), "who": who})
    frame.to_csv(tmp_path / "x.csv", index=False)
    source = sample_of(build(described(str(tmp_path / "x.csv"), groups="who")))
    assert source.dim == 1
    assert source.groups is not None
    assert len(torch.unique(source.groups)) == 8
    owner = dict(zip(frame["a"], frame["who"], strict=True))
    held = [owner[value] for value in source.held_out[:, 0].tolist()]
    pairs = set(zip(held, source.groups.tolist(), strict=True))
    assert len(pairs) == len(set(held)) == 8  # one number for every group
    assert not set(held) & {owner[value] for value in source.training[:, 0].tolist()}


def test_too_few_groups_are_refused() -> None:
    rows = Rows(X, ("0", "1"), "float64", np.repeat(np.arange(10).astype(str), 30))
    with pytest.raises(RdbenchError, match="10 groups leave 2 held out"):
        split_rows(rows, "0" * 16)
    assert split_rows(rows, "0" * 16, pictures=True).held_out_groups is None


def test_estimators_see_training_rows_alone(tmp_path: Path) -> None:
    problem = build(described(saved(tmp_path))).case.problem
    generator = torch.Generator().manual_seed(0)
    view, drawn = make_view(problem, {"support", "density"}, generator, torch.device("cpu"))
    assert view.n_train == drawn.drawn == 240
    assert view.log_prob is None
    assert view.support is None
    held = set(map(tuple, problem.source.held_out.tolist()))  # type: ignore[attr-defined]
    assert not held & set(map(tuple, view.sample(5000).tolist()))
    assert view.training is not None
    assert not held & set(map(tuple, view.training.tolist()))
    fewer, _ = make_view(problem, set(), generator, torch.device("cpu"), 50)
    assert fewer.n_train == 50
    with pytest.raises(RdbenchError, match="240 training rows, not 300"):
        make_view(problem, set(), generator, torch.device("cpu"), 300)


def test_rows_are_the_source(tmp_path: Path) -> None:
    x = np.array([[1.0], [2.0], [1.0], [3.0], [1.0]])
    found = build(described(saved(tmp_path, x), of="rows"))
    source = found.case.problem.source
    assert isinstance(source, FiniteSource)
    law = dict(zip(source.support[:, 0].tolist(), source.pmf.tolist(), strict=True))
    assert law == pytest.approx({1.0: 0.6, 2.0: 0.2, 3.0: 0.2})
    assert found.most_rate == pytest.approx(math.log(3))
    assert isinstance(found.case.reference, Unknown)
    assert "sums are exact" in found.title


def test_letters_have_an_alphabet_and_few_of_them_a_certificate(tmp_path: Path) -> None:
    x = np.random.default_rng(0).choice(["a", "b", "c"], size=(400, 2), p=[0.5, 0.3, 0.2])
    path = saved(tmp_path, x)
    case = build(described(path, of="rows", distortion="hamming")).case
    assert case.problem.alphabet is not None
    assert len(case.problem.alphabet) == 9
    assert isinstance(case.reference, Certified)
    # two independent letters: D <= 2 (1 - max p) always suffices
    assert case.reference.rate(2.0).hi == 0.0
    view, _ = make_view(
        build(described(path, distortion="hamming")).case.problem,
        {"support"}, torch.Generator(), torch.device("cpu"),
    )  # fmt: skip
    assert view.support is not None
    assert view.pmf is not None
    assert view.training is not None
    letter = (view.training == view.support[0]).all(1).double().mean()
    assert float(view.pmf[0]) == pytest.approx(float(letter))


def test_letters_that_a_table_does_not_have_are_refused(tmp_path: Path) -> None:
    table = saved(tmp_path, np.eye(3), "t.npy")
    for x, says in (
        (np.arange(300) % 4, "3 is no letter of the table"),
        (np.arange(300) / 7.0, "no letter of the table"),
        (X, "one column of letters"),
        (np.array(["u", "v"] * 150), "the data 2 letters"),
    ):
        with pytest.raises(RdbenchError, match=says):
            build(described(saved(tmp_path, x), distortion=table))
    # of the source that rows are, a letter that never occurs has probability zero
    few = build(described(saved(tmp_path, np.arange(300) % 2), of="rows", distortion=table))
    assert few.case.problem.source.pmf.tolist() == [0.5, 0.5, 0.0]  # type: ignore[attr-defined]


def test_a_distortion_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "fourth_power.py").write_text(
        "from rdbench.distortions import AbsoluteError\n"
        "class Fourth(AbsoluteError):\n"
        "    name = 'fourth'\n"
        "    def pairwise(self, x, y):\n"
        "        return (x[:, None] - y).pow(4).sum(-1)\n"
    )
    spec = described(saved(tmp_path), distortion=f"{tmp_path}/fourth_power.py:Fourth")
    distortion = build(spec).case.problem.distortion
    x = torch.tensor([[0.0, 0.0]]).double()
    assert float(distortion.pairwise(x, x + 2.0)) == 32.0
    (tmp_path / "no_measure.py").write_text("class No:\n    pass\n")
    with pytest.raises(RdbenchError, match="is no distortion"):
        build(described(saved(tmp_path), distortion=f"{tmp_path}/no_measure.py:No"))


FUNCTIONS = [
    ("def rho(x, y):\n    return (x[:, None] - y).abs().sum(-1)\n", ""),
    ("def rho(x, y):\n    return (x - y).abs()\n", "failed"),
    ("def rho(x, y):\n    return x[:, 0] * 0\n", "7, 5|failed"),
    ("def rho(x, y):\n    return ((x[:, None] - y) ** 2).sum(-1).numpy()\n", "ndarray|failed"),
    ("def rho(x, y):\n    return (x[:, None] - y).abs().sum(-1).float()\n", "float64"),
    ("def rho(x, y):\n    return -(x[:, None] - y).abs().sum(-1)\n", "negative"),
    ("def rho(x, y):\n    return (x[:, None] - y).log().sum(-1)\n", "negative or NaN"),
    ("class rho:\n    def __init__(self):\n        raise ValueError('no\\nway')\n", "no way"),
    ("class rho:\n    def __init__(self, p):\n        pass\n", "cannot be made"),
]


@pytest.mark.parametrize(("text", "says"), FUNCTIONS)
def test_a_function_is_a_distortion_or_is_refused(tmp_path: Path, text: str, says: str) -> None:
    name = f"rho_{FUNCTIONS.index((text, says))}"
    (tmp_path / f"{name}.py").write_text(text)
    spec = described(saved(tmp_path), distortion=f"{tmp_path}/{name}.py:rho")
    if says:
        with pytest.raises(RdbenchError, match=says) as refused:
            build(spec)
        assert "\n" not in str(refused.value)
        return
    distortion = build(spec).case.problem.distortion
    x, y = torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, -4.0], [1.0, 0.0]])
    assert distortion.pairwise(x, y).tolist() == [[7.0, 1.0]]
    with pytest.raises(NotImplementedError):
        distortion.noise(1.0, 1, 2, torch.Generator())


def test_small_groups_are_held_out_until_an_interval_has_rows() -> None:
    sizes = [170, *[1] * 30]
    rows = Rows(np.arange(200.0)[:, None], ("0",), "float64", np.repeat(np.arange(31), sizes))
    for seed in range(5):
        parts = split_rows(rows, f"{seed:016x}")
        assert len(parts.held_out) >= 20
        assert len(parts.training) > 0
    lonely = Rows(rows.x, ("0",), "float64", np.repeat(np.arange(26), [175, *[1] * 25]))
    ends = []
    for seed in range(20):
        try:
            ends.append(len(split_rows(lonely, f"{seed:016x}").training) > 0)
        except RdbenchError as refused:
            assert "too unequal" in str(refused)  # noqa: PT017
    assert all(ends)


def test_the_distortion_where_nothing_is_sent(tmp_path: Path) -> None:
    exact = silent(build(described(saved(tmp_path), of="rows")).case.problem)
    assert exact == pytest.approx(float(X.var(0).sum()))
    ends = silent(build(described(saved(tmp_path))).case.problem)
    assert ends is not None
    held = sample_of(build(described(saved(tmp_path)))).held_out.numpy()
    assert held.var(0).sum() < ends < 1.8 * held.var(0).sum()  # three errors of 60 rows
    letters = saved(tmp_path, np.repeat([0, 1, 2], [60, 30, 10]), "l.npy")
    for distortion, found in (("hamming", 0.4), ("absolute_error", 0.5)):
        spec = described(letters, of="rows", distortion=distortion)
        assert silent(build(spec).case.problem) == pytest.approx(found)
    who = np.repeat(np.arange(60), 5)  # rows that are all one in a group: the error is greater
    x = np.random.default_rng(1).normal(size=(60, 1))[who]
    pd.DataFrame({"a": x[:, 0] + 1e-6 * X[:, 0], "who": who}).to_csv(
        tmp_path / "g.csv", index=False
    )
    alone = build(described(str(tmp_path / "g.csv"), groups="who")).case.problem
    source: Any = alone.source
    lost = replace(source, groups=None)
    assert (silent(alone) or 0.0) > (silent(Problem(lost, alone.distortion)) or 0.0)


def test_what_was_read_is_said() -> None:
    x = np.column_stack([np.repeat(np.arange(5.0), 2), np.ones(10)])
    facts = facts_of(Rows(x, ("a", "b"), "float64"))
    assert (facts.rows, facts.columns, facts.duplicates) == (10, 2, 5)
    assert facts.constant == ("b",)
    text = " ".join(facts.lines("x.npy"))
    assert "10 rows, 2 columns, float64" in text
    assert "5 rows (50%) repeat" in text
    points, counts = distinct(np.array([[0.0], [-0.0], [1.0]]))
    assert dict(zip(points[:, 0].tolist(), counts.tolist(), strict=True)) == {0.0: 2.0, 1.0: 1.0}
