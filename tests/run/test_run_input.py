"""``rdbench run`` with bad input: one line, exit code 2, before anything runs."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from rdbench import registry
from rdbench.cli import main
from rdbench.run.plan import make_plan, shard

Start = Callable[..., "subprocess.Popen[str]"]

TOY = ["run", "--suite", "toy_coin", "--estimators", "toy"]


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--suite", "nope"], "unknown suite 'nope'; valid: "),
        (["--suite", "toy_coins"], "did you mean toy_coin?"),
        (["--suite", "toy"], "toy is a estimator"),
        (["--suite", ""], "no suite given; valid: all, "),
        (["--estimators", "toi"], "did you mean toy?"),
        (["--estimators", ""], "no estimator given; valid: "),
        (["--estimators", "toy,toy"], "toy is given twice"),
        (["--estimators", "toy,toy[draws=100]"], "are the same"),
        (["--estimators", "toy:nope"], "valid: default, paper"),
        (["--estimators", "toy[drws=3]"], "did you mean draws?"),
        (["--estimators", "toy[draws=3.5]"], "draws of toy takes int, got '3.5'"),
        (["--estimators", "toy[draws=many]"], "draws of toy takes int, got 'many'"),
        (["--estimators", "toy[draws=true]"], "draws of toy takes int, got 'true'"),
        (["--estimators", "toy[pause=nan]"], "pause of toy takes float"),
        (["--estimators", "toy[centred=2]"], "centred of toy takes bool"),
        (["--estimators", "toy[mode=mad]"], "mode of toy takes good | raise"),
        (["--estimators", "toy[draws]"], "write key=value"),
        (["--estimators", "toy[draws=1"], "write name, name:preset or"),
        (["--estimators", "toy[draws=\udcff]"], "characters that no name has"),
        (["--estimators", "a\0b.py:Toy"], "characters that no name has"),
        (["--estimators", "a\nb.py:Toy"], "characters that no name has"),
        (["--dims", "2"], "takes no dimensions"),
        (["--suite", "vector_gaussian", "--dims", ""], "--dims takes integers"),
        (["--suite", "vector_gaussian", "--dims", "0"], "from 1 up, got 0"),
        (["--suite", "vector_gaussian", "--dims", "-1"], "from 1 up, got -1"),
        (["--suite", "vector_gaussian", "--dims", "abc"], "got 'abc'"),
        (["--suite", "vector_gaussian", "--dims", "1001"], "1 to 1000"),
        (["--seeds", "zero"], "--seeds takes integers"),
        (["--seeds", "-1"], "--seeds takes integers from 0 up"),
        (["--seeds", str(2**63)], "--seeds takes integers up to 9223372036854775807"),
        (["--seeds", "9" * 5000], "--seeds takes integers such as"),
        (["--n-train", str(2**64)], "--n-train takes an integer up to"),
        (["--estimators", "toy\x1b[2J"], "toy\\x1b[2J"),
        (["--betas", "-1"], "--betas takes positive finite numbers, got -1"),
        (["--betas", "nan"], "--betas takes positive finite numbers, got nan"),
        (["--betas", "1", "--rates", "1"], "give one of"),
        (["--rates", "0"], "--rates takes positive finite numbers"),
        (["--rates", "5"], "knows no slope at any rate asked for: R = 5: "),
        (["--budget", "huge"], "quick, default, full or CPU seconds"),
        (["--units", "bans"], "nats or bits"),
        (["--jobs", "0"], "--jobs takes an integer from 1 up"),
        (["--threads", "0"], "--threads takes an integer from 1 up"),
        (["--timeout", "0"], "--timeout takes a positive number"),
        (["--timeout", "nan"], "--timeout takes a positive number"),
        (["--device", "tpu"], "--device takes cpu or cuda"),
        (["--shard", "3/2"], "--shard takes i/n"),
        (["--cases", "biased*"], "there are: toy_coin/fair"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
@pytest.mark.usefixtures("plugged")
def test_one_line_and_exit_code_two(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], args: list[str], says: str
) -> None:
    results = tmp_path / "results"
    assert main([*TOY, *args, "--results", str(results)]) == 2  # the later flag wins
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("rdbench: ")
    assert said.err.count("\n") == 1
    assert says in said.err
    assert not results.exists()


@pytest.mark.usefixtures("plugged")
@pytest.mark.parametrize("flags", [[], ["--dry-run"]])
def test_a_results_folder_that_cannot_be_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: list[str]
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert main([*TOY, *flags, "--results", str(file / "below")]) == 2
    err = capsys.readouterr().err
    assert "cannot write in the results folder" in err
    assert err.count("\n") == 1


@pytest.mark.usefixtures("plugged")
def test_a_dry_run_lists_the_cells_and_creates_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "new" / "results"
    args = [*TOY, "--seeds", "0-2", "--dry-run", "--results", str(results)]
    assert main(args) == 0
    header, *cells = capsys.readouterr().out.splitlines()
    assert header.startswith("3 cells, 0 stored already, 3 to run; results in ")
    assert [line.split("  ")[2] for line in cells] == [
        f"toy_coin/fair toy seed {seed}" for seed in (0, 1, 2)
    ]
    assert not results.parent.exists()


@pytest.mark.usefixtures("plugged")
def test_dimensions_are_for_the_suites_that_take_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    args = [*TOY, "--suite", "vector_gaussian,toy_coin", "--dims", "3", "--dry-run"]
    assert main([*args, "--results", str(tmp_path)]) == 0
    said = capsys.readouterr()
    assert said.err == "rdbench: note: --dims does not apply to toy_coin: run without\n"
    cells = [line.split("  ")[2] for line in said.out.splitlines()[1:]]
    assert cells == ["vector_gaussian/ramp-d3 toy seed 0", "toy_coin/fair toy seed 0"]


@pytest.mark.usefixtures("plugged")
def test_shards_are_disjoint_and_together_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def cells(*flags: str) -> list[str]:
        args = [*TOY, "--seeds", "0,1,2,3,4", "--dry-run", "--results", str(tmp_path), *flags]
        assert main(args) == 0
        return capsys.readouterr().out.splitlines()[1:]

    parts = [cells("--shard", f"{i}/3") for i in (1, 2, 3)]
    assert sorted(cell for part in parts for cell in part) == sorted(cells())
    assert {len(part) for part in parts} == {1, 2}


@pytest.mark.usefixtures("plugged")
def test_no_shard_is_one_estimator() -> None:
    """As many shards as estimators, of a plan that lists them in turn for every seed."""
    choices = [registry.choose(f"toy[draws={n}]") for n in (100, 200, 300, 400)]
    plan = make_plan([registry.load_suite("toy_coin")], choices, seeds=range(64))
    parts = [shard(plan.cells, i, 4) for i in (1, 2, 3, 4)]
    assert sorted(cell.id for part in parts for cell in part) == sorted(c.id for c in plan.cells)
    assert [len(part) for part in parts] == [64] * 4
    assert all(len({cell.label for cell in part}) == 4 for part in parts)
    # Each keeps the order of the plan, and does not depend on it.
    assert parts[1] == [cell for cell in plan.cells if cell in parts[1]]
    assert set(map(str, shard(plan.cells[::-1], 2, 4))) == set(map(str, parts[1]))


def test_the_exit_code_reaches_the_shell(start: Start, tmp_path: Path) -> None:
    process = start("run", "--suite", "nope", "--results", str(tmp_path))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert (out, err.count("\n")) == ("", 1)


def test_slopes_beyond_the_truth_are_run_without_it(start: Start, tmp_path: Path) -> None:
    from rdbench.run.store import load

    process = start(*TOY, "--betas", "2,25", "--results", str(tmp_path))
    _, err = process.communicate(timeout=60)
    assert "no truth at beta 25" in err
    (record,) = load(tmp_path).records.values()
    known, beyond = record.points
    assert known.gap == pytest.approx(0.0, abs=1e-9)
    assert beyond.truth_lo is None
    assert beyond.target_rate is None
    assert beyond.gap is None
    assert beyond.rate is not None
    assert (process.returncode, beyond.status) == (0, "ok")
