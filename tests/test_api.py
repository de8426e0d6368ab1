"""The front door: quick to import, few names, any kind of data, no guard in scripts."""

from __future__ import annotations

import os
import subprocess
import sys
import typing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import rdbench as rd
from rdbench import arguments
from rdbench.data.files import read
from rdbench.data.memory import array_of, kept, table_of
from rdbench.types import RdbenchError

X = np.random.default_rng(3).normal(size=(200, 2))
DOCS = Path(__file__).resolve().parent.parent / "docs"


def test_the_public_names() -> None:
    assert len(rd.__all__) <= 15
    text = (DOCS / "python.md").read_text()
    for name in rd.__all__:
        found = getattr(rd, name)
        assert name.startswith("__") or f"`{name}" in text or f"rd.{name}" in text
        assert name.startswith("__") or found.__doc__
    for function in (rd.estimate, rd.load):
        hints = typing.get_type_hints(function)
        assert hints["return"] is rd.Curve
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        rd.nothing  # type: ignore[attr-defined]  # noqa: B018


def fresh(code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    home = str(Path(rd.__file__).parent.parent)
    env = {**os.environ, "PYTHONPATH": home}
    script = folder / "script.py"
    script.write_text(code)
    return subprocess.run(
        [sys.executable, str(script)], env=env, capture_output=True, text=True, check=False,
        cwd=folder, timeout=120,
    )  # fmt: skip


def test_importing_is_light(tmp_path: Path) -> None:
    code = "import sys, rdbench\nprint(sorted({'torch', 'pandas', 'numpy'} & set(sys.modules)))"
    assert fresh(code, tmp_path).stdout.strip() == "[]"


def test_a_script_needs_no_guard(tmp_path: Path) -> None:
    """Workers that import the script would start it again; the second line would come twice."""
    np.save(tmp_path / "x.npy", X)
    code = (
        "print('started', flush=True)\n"
        "import rdbench as rd\n"
        "c = rd.estimate('x.npy', betas=[1.0], estimators='wgd[particles=20]', budget='quick')\n"
        "print(len(c.upper), c.upper.status[0])\n"
        "print(len(rd.run('discrete', cases='bernoulli', rates=[0.2], "
        "estimators='blahut_arimoto', budget='quick').upper))\n"
    )
    done = fresh(code, tmp_path)
    assert done.stdout.splitlines() == ["started", "1 ok", "1"], done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["script.py", "x.npy"]


def test_a_curve_has_tables_and_a_picture(tmp_path: Path) -> None:
    results = tmp_path / "results"
    curve = rd.estimate(
        X, rates=[1.0, 2.0], estimators=["wgd", "mixture_em"], budget="quick", results=results
    )
    upper = curve.upper
    assert len(upper) == 4
    assert (upper["lagrangian_hi"] > upper["lagrangian"]).all()
    assert upper["lagrangian"].to_numpy() == pytest.approx(
        (upper["rate"] + upper["beta"] * upper["distortion"]).to_numpy(), abs=1e-2
    )
    assert list(curve.lower.columns)[-2:] == ["lagrangian_lo", "status"]
    assert "200 rows, 2 columns" in repr(curve)
    assert "4 points by wgd, mixture_em" in repr(curve)
    again = rd.load(results)
    assert again.to_frame().equals(curve.to_frame())
    table = pd.read_csv(curve.save(tmp_path / "c.csv"))
    assert table["beta"].tolist() == upper["beta"].tolist()
    assert len(pd.read_parquet(curve.save(tmp_path / "c.parquet"))) == 4
    for ending in ("png", "pdf", "svg"):
        assert curve.save(tmp_path / f"c.{ending}").stat().st_size > 2000
    from matplotlib.figure import Figure

    axes = curve.plot(Figure().subplots(), units="bits")
    assert axes.get_ylabel() == "R (bits)"
    drawn = {
        round(float(y), 6) for line in axes.get_lines() for y in np.atleast_1d(line.get_ydata())
    }
    assert {round(r / np.log(2.0), 6) for r in upper["rate"]} <= drawn
    told = again.answer(distortions=[1.0], units="bits")
    assert "R ≥ (bits)" in told
    assert "From above trust" in told
    with pytest.raises(RdbenchError, match="positive finite"):
        again.answer(rates=[0.0])
    with pytest.raises(RdbenchError, match="No such file"):
        again.answer(points=tmp_path / "codec.csv")
    with pytest.raises(RdbenchError, match=r"\.csv, \.parquet"):
        curve.save(tmp_path / "c.xlsx")


class Items(torch.utils.data.Dataset):  # type: ignore[type-arg]
    def __len__(self) -> int:
        return len(X)

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(X[i].reshape(2, 1)), i % 10


class Scalars(torch.utils.data.Dataset):  # type: ignore[type-arg]
    """Items are lists of numbers, which are symbols, not pairs of a symbol and its label."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, i: int) -> list[float]:
        return [float(i), 1.0]


class Broken(torch.utils.data.Dataset):  # type: ignore[type-arg]
    def __len__(self) -> int:
        return 3

    def __getitem__(self, i: int) -> torch.Tensor:
        if i == 1:
            raise OSError("gone")
        return torch.ones(2)


class Endless(torch.utils.data.IterableDataset):  # type: ignore[type-arg]
    def __iter__(self):
        while True:
            yield torch.ones(3)


def test_every_kind_of_data_gives_its_rows() -> None:
    for data in (X, X.tolist(), torch.from_numpy(X), Items(), lambda n: X[:n]):
        assert np.array_equal(array_of(data, 200), X)
    assert array_of(Endless(), 7).shape == (7, 3)
    half = torch.ones(4, dtype=torch.bfloat16, requires_grad=True)
    assert array_of(half).dtype == np.float32
    assert array_of(Scalars(), 200).tolist() == [[0.0, 1.0], [1.0, 1.0], [2.0, 1.0]]

    def drawn(n: int, generator: torch.Generator) -> torch.Tensor:
        return torch.rand(n, 2, generator=generator)

    assert np.array_equal(array_of(drawn, 50), array_of(drawn, 50))
    turned = torch.complex(torch.zeros(3), torch.arange(3.0)).conj().imag
    assert array_of(turned).tolist() == [0.0, -1.0, -2.0]
    nothing: Any = None
    for data, says in (
        (lambda n: X[:3], "drew the shape"),
        (lambda n: 3.0, "drew the shape"),
        (lambda n: 1 / 0, "drawing 200 symbols failed"),
        ({"a": 1}, "give an array of numbers"),
        (nothing, "give an array of numbers"),
        ([[1.0], [1.0, 2.0]], "no array"),
        (np.ma.masked_array(X, X > 2.0), "masked values"),
        (X + 1j, "give an array of numbers"),
        (torch.ones(3, dtype=torch.complex64), "complex numbers"),
        (torch.eye(3).to_sparse(), "sparse"),
        (torch.empty(3, device="meta"), "sparse"),
        (Broken(), r"item 1 of the data set cannot be read: OSError: gone"),
    ):
        with pytest.raises(RdbenchError, match=says):
            array_of(data, 200)


def test_groups_and_tables_travel_with_the_data(tmp_path: Path) -> None:
    who = np.repeat(["a", "b"], 100)
    path, column = kept(X, tmp_path, who)
    assert column == "2"
    stored = np.load(path)
    assert np.array_equal(stored[:, :2], X)
    assert stored[:, 2].tolist() == [0.0] * 100 + [1.0] * 100
    frame = pd.DataFrame(X, columns=["a", "b"])
    path, column = kept(frame, tmp_path, who)
    again = np.load(path)
    assert np.array_equal(np.stack([again["a"], again["b"]], 1), X)
    assert column is not None
    assert again[column].tolist() == [0] * 100 + [1] * 100
    assert kept(frame.assign(who=who), tmp_path, "who")[1] == "who"
    assert kept(pd.DataFrame(X), tmp_path, 1)[1] == "1"  # a name that is a number
    assert kept("x.npy", tmp_path, "who") == ("x.npy", "who")
    with pytest.raises(RdbenchError, match="name of one of its columns"):
        kept("x.npy", tmp_path, who)
    with pytest.raises(RdbenchError, match="have 3 groups"):
        kept(X, tmp_path, who[:3])
    assert np.array_equal(np.load(table_of(np.eye(3), tmp_path)), np.eye(3))
    assert table_of("hamming", tmp_path) == "hamming"


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ({"rates": [1.0], "betas": [1.0]}, "not both"),
        ({"rates": [-1.0]}, "positive finite numbers"),
        ({"rates": np.array([0.0, 1.0])}, "positive finite numbers"),
        ({"budget": "huge"}, "quick, default, full"),
        ({"jobs": 0, "betas": [1.0]}, "1 or more"),
        ({"seeds": [-1]}, "0 or more"),
        ({"seeds": []}, "got none"),
        ({"estimators": []}, "at least one name"),
        ({"distortion": lambda x, y: 0.0}, "a distortion is a name"),
        ({"distortion": -np.eye(2)}, "negative entries"),
        ({"patches": 0}, "1 or more"),
        ({"draws": 0}, "draws is a number of symbols"),
        ({"groups": [1, 2]}, "200 rows have 2 groups"),
        ({"groups": np.where(np.arange(200) < 3, np.nan, 1.0)}, "row 1 has no group"),
        ({"results": "/dev/null/x"}, "cannot write in the results folder"),
        ({"estimators": "nobody"}, "unknown estimator"),
        ({"of": "people"}, "population, rows"),
        ({"distortion": "far"}, "unknown distortion"),
    ],
)
def test_wrong_arguments_are_refused_in_a_line(how, says) -> None:
    with pytest.raises(RdbenchError, match=says) as refused:
        rd.estimate(X, **how)
    assert "\n" not in str(refused.value)


def test_a_run_of_suites_refuses_wrong_arguments_too() -> None:
    for how, says in (
        ({"dims": [0]}, "1 or more"),
        ({"n_train": 0}, "1 or more"),
        ({"jobs": 0}, "1 or more"),
        ({"estimators": []}, "at least one name"),
    ):
        given: Any = how
        with pytest.raises(RdbenchError, match=says):
            rd.run("scalar", **given)


def test_arguments_of_a_wrong_type_are_refused_in_a_line() -> None:
    """Tests check the types of calls as well, which users do not: hence not through estimate."""
    assert arguments.integers("seeds", np.arange(2), 0) == [0, 1]
    assert arguments.specifications(["wgd", "ebrd:paper"]) == "wgd,ebrd:paper"
    refused: Any = (
        (lambda: arguments.integer("jobs", "2", 1), "jobs takes an integer, got '2'"),
        (lambda: arguments.integer("jobs", True, 1), "jobs takes an integer, got True"),
        (lambda: arguments.integers("seeds", 0, 0), "seeds takes a list of integers, got 0"),
        (lambda: arguments.integers("seeds", [0.5], 0), "seeds takes an integer, got 0.5"),
        (lambda: arguments.integers("seeds", [2**70], 0), "up to"),
        (lambda: arguments.word("budget", 3), "budget takes text, got 3"),
        (lambda: arguments.path("results", 3), "results takes the path of a folder, got 3"),
        (lambda: arguments.specifications(3), "a list of texts, got 3"),
        (lambda: arguments.specifications([None]), "estimators takes text, got None"),
        (lambda: arguments.positive("rates", 1.0), "rates takes a list of numbers, got 1.0"),
    )
    for call, says in refused:
        with pytest.raises(RdbenchError, match=says):
            call()


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame([[0.5, 1.0, 2.0], [0.25, 3.0, 1.0]]),  # whose names 0, 1, 2 look like a row
        pd.DataFrame({"a,b": ["NA", ""], "c": [" x", "x"], "": ["01", "1"]}),
        pd.DataFrame({"n": pd.array([1, 2], dtype="Int64"), "t": pd.Categorical(["u", "v"])}),
    ],
    ids=["no names", "text", "types"],
)
def test_a_data_frame_is_read_as_it_is(tmp_path: Path, frame: pd.DataFrame) -> None:
    found = read(Path(kept(frame, tmp_path)[0]))
    assert len(found.columns[0]) == 2
    assert [list(column) for column in found.columns] == [list(frame[name]) for name in frame]
    with pytest.raises(RdbenchError, match="missing in column t, row 2"):
        kept(pd.DataFrame({"t": ["a", None]}), tmp_path)
