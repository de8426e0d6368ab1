"""What two machines must have in common before they share a run."""

from __future__ import annotations

from pathlib import Path

import pytest

from rdbench import registry
from rdbench.run.executors.kit import Wanted, difference, kit_of, needed, wanted_by
from rdbench.run.plan import make_plan

PLUGIN = Path(__file__).parent / "plugin"


def test_a_changed_helper_of_an_estimator_file_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import helper\n")
    helper = tmp_path / "helper.py"
    helper.write_text("A = 1\n")
    wanted = Wanted(files=(str(tmp_path / "mine.py"),))
    before = kit_of(wanted)
    assert difference(before, kit_of(wanted)) == ""
    helper.write_text("A = 2\n")
    assert difference(before, kit_of(wanted)) == f"the files of {tmp_path / 'mine.py'} differ"
    (tmp_path / "mine.py").unlink()
    assert difference(before, kit_of(wanted)) == f"{tmp_path / 'mine.py'} is missing there"


def test_a_plug_in_counts_by_its_version_and_files(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.syspath_prepend(str(PLUGIN))
        suites, choices = [registry.load_suite("toy_coin")], [registry.choose("toy")]
        wanted = wanted_by(make_plan(suites, choices).cells)
        assert wanted == Wanted(("toy_coin",), ("toy",))
        here = kit_of(wanted)
    there = kit_of(wanted)  # where it is not installed
    said = difference(here, there)
    assert said == "the suite toy_coin is missing there, the estimator toy is missing there"


def test_versions_and_devices_are_told_by_name() -> None:
    here = needed(Wanted(("planar",), ("wgd",), cuda=True))
    assert set(here) >= {"rdbench", "python", "numpy", "scipy", "torch", "CUDA device"}
    assert not any("wgd" in name or "planar" in name for name in here)  # part of rdbench
    there = {**here, "torch": "0.1", "rdbench": "x", "CUDA device": "missing"}
    assert difference(here, there) == (
        f"the files of rdbench differ, torch is 0.1 there and {here['torch']} here, "
        "CUDA device is missing there"
    )
