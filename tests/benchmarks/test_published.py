"""The data files of the reference run are those of its records, and say so themselves."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import pandas as pd
import pyarrow.parquet as pq
import pytest

from benchmarks.published import __main__ as published
from benchmarks.published.dictionary import dictionary
from rdbench import __version__, shipped
from rdbench.columns import TABLES
from rdbench.outcomes import RdbenchError
from rdbench.report.export import frame
from rdbench.run.records import SCHEMA
from rdbench.run.store import load

FOLDER = published.FOLDER
AGAIN = "stale: python -m benchmarks.published makes it again"


@pytest.fixture(scope="module")
def records():
    return list(load(FOLDER, draws=False).records.values())


def test_the_parquet_file_holds_every_point(records):
    made = frame(records)
    read = pd.read_parquet(FOLDER / "points.parquet")
    pd.testing.assert_frame_equal(read, made, check_dtype=False)
    assert len(read) == sum(len(record.points) for record in records)


def test_the_manifest_is_of_the_files_beside_it(records):
    told = json.loads((FOLDER / "manifest.json").read_text())
    assert told["version"] == __version__, AGAIN
    assert told["schema"] == SCHEMA, AGAIN
    assert told["commits"] == sorted({record.provenance.commit for record in records}), AGAIN
    assert told["cells"] == len(records), AGAIN
    assert told["points"] == sum(len(record.points) for record in records), AGAIN
    assert set(told["files"]) == {"records.jsonl", "points.parquet", "dictionary.md"}
    for name, file in told["files"].items():
        content = (FOLDER / name).read_bytes()
        assert file["sha256"] == hashlib.sha256(content).hexdigest(), f"{name} is {AGAIN}"
        assert file["bytes"] == len(content)


def test_the_dictionary_has_every_column_of_the_file_with_its_type():
    text = (FOLDER / "dictionary.md").read_text()
    assert text == dictionary("points"), AGAIN
    schema = pq.read_schema(FOLDER / "points.parquet")
    types = {"double": "float", "int64": "integer", "bool": "boolean"}
    rows = [line.split(" | ")[:2] for line in text.splitlines() if line.startswith("| `")]
    assert [name.strip("| `") for name, _ in rows] == schema.names
    for name, told in rows:
        stored = str(schema.field(name.strip("| `")).type)
        assert told == types.get(stored, told)
        assert (told in ("text", "JSON")) == (stored in ("string", "large_string"))
    assert len(rows) == len(TABLES["points"])


def test_the_file_of_the_package_is_small():
    assert shipped.file_of("reference").stat().st_size <= published.MOST


def few(folder: Path) -> Path:
    with (FOLDER / "records.jsonl").open() as file:
        (folder / "records.jsonl").write_text("".join(file.readline() for _ in range(3)))
    return folder


def test_publishing_makes_all_files_the_same_each_time(tmp_path):
    folder, packed = few(tmp_path), tmp_path / "packed.xz"
    contents = []
    for _ in range(2):
        published.publish(folder, packed)
        contents.append({path.name: path.read_bytes() for path in tmp_path.iterdir()})
    assert contents[0] == contents[1]
    assert set(contents[0]) == {
        "records.jsonl", "points.parquet", "dictionary.md", "manifest.json", "packed.xz",
    }  # fmt: skip
    assert json.loads(contents[0]["manifest.json"])["cells"] == 3


def test_records_that_cannot_be_published_leave_everything_as_it_was(tmp_path, monkeypatch):
    folder = few(tmp_path)
    packed = tmp_path / "packed.xz"
    monkeypatch.setattr(published, "MOST", 1000)
    with pytest.raises(RdbenchError, match="1,000 at most"):
        published.publish(folder, packed)
    with (folder / "records.jsonl").open("a") as file:
        file.write("no record\n")
    with pytest.raises(RdbenchError, match="line 4: not a record"):
        published.publish(folder, packed)
    assert [path.name for path in tmp_path.iterdir()] == ["records.jsonl"]


def test_a_folder_without_records_is_exit_code_2(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(published, "FOLDER", tmp_path)
    assert published.main() == 2
    assert capsys.readouterr().err.startswith("error: no results in ")


def test_a_changed_file_is_noticed(tmp_path, monkeypatch, records):
    copy = tmp_path / "reference"
    shutil.copytree(FOLDER, copy, ignore=shutil.ignore_patterns("figures", "report.html"))
    monkeypatch.setitem(globals(), "FOLDER", copy)
    test_the_manifest_is_of_the_files_beside_it(records)
    with (copy / "records.jsonl").open("a") as file:
        file.write("\n")
    with pytest.raises(AssertionError, match=r"records\.jsonl is stale"):
        test_the_manifest_is_of_the_files_beside_it(records)
