"""`rdbench.load("reference")`: what comes with the package, unless a folder has this name."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

import rdbench as rd
from rdbench import shipped
from rdbench.run.store import load

COMMITTED = Path(__file__).resolve().parent.parent / "results" / "reference"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_what_is_shipped_is_what_is_committed(elsewhere: Path) -> None:
    curve = rd.load("reference")
    committed = load(COMMITTED, draws=False).records
    assert curve.records == tuple(committed.values())
    assert curve.to_frame().equals(rd.load(COMMITTED).to_frame())
    assert f"The reference run that comes with rdbench {rd.__version__}" in repr(curve)


def test_a_results_folder_of_the_name_is_read_first(elsewhere: Path) -> None:
    (elsewhere / "reference").mkdir()  # without records it is not meant
    everything = rd.load("reference").records
    with (COMMITTED / "records.jsonl").open() as file:
        (elsewhere / "reference" / "records.jsonl").write_text(file.readline())
    assert len(rd.load("reference").records) == 1 < len(everything)


@pytest.mark.parametrize("folder", ["./reference", Path("reference"), "references"])
def test_a_path_is_a_folder(elsewhere: Path, folder: str | Path) -> None:
    with pytest.raises(rd.RdbenchError, match=r"no results in references?"):
        rd.load(folder)


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the file, which `rdbench.load` reads instead."""
    copy = tmp_path / "copy"
    shutil.copy(shipped.file_of("reference"), copy)
    monkeypatch.setattr(shipped, "file_of", lambda name: copy)
    monkeypatch.chdir(tmp_path)
    return copy


def test_a_damaged_file_is_told_in_one_line(copied: Path) -> None:
    content = copied.read_bytes()
    for damaged in (content[: len(content) // 2], b"no xz", shipped.packed([])[:-4]):
        copied.write_bytes(damaged)
        with pytest.raises(rd.RdbenchError, match=r"^cannot read .*; install rdbench again$"):
            rd.load("reference")


def test_a_file_of_another_schema_is_told_in_one_line(copied: Path) -> None:
    import lzma

    copied.write_bytes(lzma.compress(b'{"schema":99}\n'))
    with pytest.raises(rd.RdbenchError, match="schema 99 is newer"):
        rd.load("reference")


def test_a_python_without_lzma_is_told(elsewhere: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "lzma", None)
    with pytest.raises(rd.RdbenchError, match="built without lzma"):
        rd.load("reference")
