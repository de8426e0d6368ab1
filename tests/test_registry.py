"""Names, specifications, plug-ins."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest

from rdbench import registry
from rdbench.types import RdbenchError

PLUGIN = Path(__file__).parent / "run" / "plugin"


@pytest.fixture
def plugged(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(PLUGIN))


def plug_in(folder: Path, name: str, points: str, module: str = "") -> None:
    """Write a distribution with these entry points."""
    info = folder / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)
    if module:
        (folder / f"{name}_module.py").write_text(module)


def test_files_and_entry_points_are_listed() -> None:
    assert {"scalar", "vector_gaussian"} <= set(registry.names("suite"))
    assert "blahut_arimoto" in registry.names("estimator")
    assert not any(name.startswith("_") for name in registry.entries())
    assert registry.find("suite", "vector_gaussian").summary.startswith("Rotated Gaussian")


def test_an_estimator_may_be_a_folder_with_its_parts() -> None:
    nerd = registry.find("estimator", "nerd")
    assert nerd.summary.startswith("NERD: ")
    assert nerd.module == "rdbench.estimators.nerd"


def test_every_folder_of_an_estimator_is_packaged() -> None:
    root = Path(__file__).parents[1]
    packages = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"][
        "packages"
    ]
    for init in (root / "estimators").glob("*/__init__.py"):
        assert f"rdbench.estimators.{init.parent.name}" in packages


def test_every_registered_thing_loads() -> None:
    for name in registry.names("suite"):
        assert registry.load_suite(name).name == name
    for name in registry.names("estimator"):
        choice = registry.choose(name)
        assert registry.rebuild(name, {}) == choice.estimator


@pytest.mark.usefixtures("plugged")
def test_a_plug_in_is_listed_without_being_imported() -> None:
    sys.modules.pop("toy_plugin", None)
    assert "toy" in registry.names("estimator")
    assert "toy_coin" in registry.names("suite")
    toy = registry.find("estimator", "toy")
    assert toy.origin == "toy 0.1"
    assert toy.summary.startswith("A plug-in for tests: ")
    assert toy.summary.endswith(" (from toy 0.1)")
    assert "toy_plugin" not in sys.modules


def test_the_summary_of_a_plug_in_in_a_package_is_read_without_importing_it(tmp_path, monkeypatch):
    (tmp_path / "heavy" / "parts").mkdir(parents=True)
    for file in ("heavy/__init__.py", "heavy/parts/__init__.py"):
        (tmp_path / file).write_text("raise SystemExit('imported')")
    (tmp_path / "heavy" / "parts" / "best.py").write_text(
        '"""Of the module."""\nclass Best:\n    """Of the class.\n\n    More."""\n'
    )
    points = "best = heavy.parts.best:Best\nother = heavy.parts.best:OTHER\ngone = heavy.gone:X\n"
    plug_in(tmp_path, "p", f"[rdbench.estimators]\n{points}")
    monkeypatch.syspath_prepend(str(tmp_path))
    said = {name: registry.find("estimator", name).summary for name in ("best", "other", "gone")}
    assert said == {
        "best": "Of the class. (from p 1.0)",
        "other": "Of the module. (from p 1.0)",
        "gone": "(from p 1.0)",
    }


@pytest.mark.parametrize(
    ("group", "other"), [("estimators", "suite rdbench.suites."), ("suites", "suite rdbench")]
)
def test_a_name_taken_twice_is_refused_naming_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, group: str, other: str
) -> None:
    plug_in(tmp_path, "clash", f"[rdbench.{group}]\nscalar = clash_module:THING\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(RdbenchError, match=r"scalar is registered twice") as caught:
        registry.entries()
    assert other in str(caught.value)
    assert "clash_module:THING (clash 1.0)" in str(caught.value)


@pytest.mark.parametrize(
    ("module", "says"),
    [
        ("import nothing_of_that_name", "No module named 'nothing_of_that_name'"),
        ("raise OSError('two\\nlines')", "OSError: two lines"),
        ("", "cannot load"),
        ("THING = 3", "is not a dataclass"),
        ("import dataclasses\n@dataclasses.dataclass\nclass THING: pass", "lacks info and fit"),
    ],
)
def test_a_broken_plug_in_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str, says: str
) -> None:
    name = f"broken{abs(hash(module))}"
    points = f"[rdbench.estimators]\nbroken = {name}_module:THING\n"
    plug_in(tmp_path, name, points, module)
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(RdbenchError) as caught:
        registry.choose("broken")
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("plugged")
@pytest.mark.parametrize(
    ("spec", "preset", "params", "label"),
    [
        ("toy", "default", {}, "toy"),
        (" toy ", "default", {}, "toy"),
        ("toy:default", "default", {}, "toy"),
        ("toy:paper", "paper", {}, "toy:paper"),
        ("toy[]", "default", {}, "toy"),
        ("toy[pause=2]", "default", {"pause": 2.0}, "toy[pause=2.0]"),
        ("toy[pause=1e-3]", "default", {"pause": 1e-3}, "toy[pause=0.001]"),
        ("toy[centred=true]", "default", {"centred": True}, "toy[centred=true]"),
        ("toy[centred=False]", "default", {"centred": False}, "toy[centred=false]"),
        ("toy[seed_shift=none]", "default", {"seed_shift": None}, "toy[seed_shift=null]"),
        ("toy[seed_shift=-3]", "default", {"seed_shift": -3}, "toy[seed_shift=-3]"),
        (
            "toy:paper[mode=slow, draws=7]",
            "paper",
            {"mode": "slow", "draws": 7},
            "toy:paper[draws=7,mode=slow]",
        ),
    ],
)
def test_specifications(spec: str, preset: str, params: dict[str, object], label: str) -> None:
    choice = registry.choose(spec)
    assert (choice.preset, choice.params, choice.label) == (preset, params, label)
    assert [type(v) for v in choice.params.values()] == [type(v) for v in params.values()]
    again = registry.choose(choice.label)
    assert again == choice


@pytest.mark.usefixtures("plugged")
def test_a_preset_is_overridden_by_a_parameter() -> None:
    toy = registry.choose("toy:paper[pause=0.1]").estimator
    assert (getattr(toy, "draws", None), getattr(toy, "pause", None)) == (10, 0.1)
    toy = registry.choose("toy:paper[draws=3]").estimator
    assert getattr(toy, "draws", None) == 3


def test_a_list_splits_at_the_commas_outside_brackets() -> None:
    assert registry.split_list("a, b:p[x=1,y=[2,3]],,c") == ["a", "b:p[x=1,y=[2,3]]", "c"]


def test_all_suites() -> None:
    assert [s.name for s in registry.load_suites("all")] == registry.names("suite")
    chosen = registry.load_suites("vector_gaussian, scalar,vector_gaussian")
    assert [s.name for s in chosen] == ["vector_gaussian", "scalar"]
