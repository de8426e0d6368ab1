"""``--estimators FILE.py:CLASS``: an estimator that nobody has registered."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rdbench import registry
from rdbench.cli import main
from rdbench.outcomes import RdbenchError
from rdbench.run.store import load

MINE = """
from dataclasses import dataclass
from helper_of_mine import FACTOR
from toy_plugin import Toy

@dataclass(frozen=True)
class Mine(Toy):
    draws: int = FACTOR * 500
"""


@pytest.fixture
def mine(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "mine.py"
    file.write_text(MINE)
    (tmp_path / "helper_of_mine.py").write_text("FACTOR = 2\n")
    yield file
    sys.modules.pop("mine", None)
    sys.modules.pop("helper_of_mine", None)


def test_it_runs_in_a_worker_and_its_rows_say_where_it_is_from(start, mine, tmp_path):
    results = tmp_path / "results"

    def run() -> str:
        spec = f"{mine}:Mine[centred=true]"
        process = start(
            "run", "--suite", "toy_coin", "--estimators", spec, "--results", str(results)
        )
        out, err = process.communicate(timeout=240)
        assert (process.returncode, err) == (0, "")
        return str(out)

    assert "1 to run" in run()
    (record,) = load(results).records.values()
    assert (record.estimator, record.estimator_file) == ("mine.py:Mine", str(mine))
    assert (record.fields["draws"], record.params) == (1000, {"centred": True})
    assert {point.status for point in record.points} == {"ok"}
    mine.write_text(MINE + "# a comment\n")
    assert "1 stored already" in run()
    (tmp_path / "helper_of_mine.py").write_text("FACTOR = 3\n")
    assert "1 to run" in run()


@pytest.mark.usefixtures("plugged")
def test_presets_and_labels_are_those_of_the_class(mine, monkeypatch):
    monkeypatch.chdir(mine.parent)
    choice = registry.choose("mine.py:Mine:paper[draws=3]")
    assert choice.label == "mine.py:Mine:paper[draws=3]"
    assert choice.file == str(mine)
    assert registry.choose("mine.py:Mine").label == "mine.py:Mine"


@pytest.mark.usefixtures("plugged")
def test_the_file_of_a_package_is_imported_as_the_package(tmp_path):
    (tmp_path / "of_many").mkdir()
    (tmp_path / "of_many" / "__init__.py").write_text("from .parts import Mine as Mine\n")
    mine = MINE.replace("FACTOR * 500", "7").replace("from helper_of_mine import FACTOR\n", "")
    (tmp_path / "of_many" / "parts.py").write_text(mine)
    choice = registry.choose(f"{tmp_path}/of_many/__init__.py:Mine")
    assert type(choice.estimator).__module__ == "of_many.parts"


@pytest.mark.usefixtures("plugged")
@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("nowhere.py:Mine", "there is no file"),
        ("mine.py:Mien", "did you mean Mine?"),
        ("mine.py:Mine:papr", "unknown preset of mine.py:Mine 'papr'"),
        ("mine.py:", "write name, name:preset or"),
        ("mine.py:FACTOR", "mine.py:FACTOR is not a dataclass"),
        ("random.py:Mine", "rename the file"),
    ],
)
def test_what_is_no_estimator_is_told_in_one_line(mine, monkeypatch, capsys, spec, says):
    monkeypatch.chdir(mine.parent)
    (mine.parent / "random.py").write_text(MINE)
    assert main(["run", "--suite", "toy_coin", "--estimators", spec, "--dry-run"]) == 2
    assert says in capsys.readouterr().err


def test_a_file_with_the_name_of_a_module_in_use_is_refused(tmp_path):
    (tmp_path / "json.py").write_text("")
    with pytest.raises(RdbenchError, match="has the name of another module, json"):
        registry.choose(f"{tmp_path / 'json.py'}:Mine")
