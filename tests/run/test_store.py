"""The store: appended whole, synced, shared, and readable after any accident."""

from __future__ import annotations

import errno
import multiprocessing
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from rdbench.run import reading
from rdbench.run.reading import drawn
from rdbench.run.records import (
    OLDEST,
    SCHEMA,
    CellRecord,
    Cost,
    Draws,
    PointRecord,
    Provenance,
)
from rdbench.run.store import RECORDS, Store, StoreError, load
from rdbench.run.texts import decoded
from rdbench.types import RdbenchError


def record(cell: str = "00ff", reason: str = "", points: int = 1) -> CellRecord:
    return CellRecord(
        cell=cell,
        suite="s",
        suite_version=1,
        case="c",
        dim=1,
        distortion="hamming",
        estimator="e",
        preset="default",
        params={},
        fields={},
        seed=0,
        budget="default",
        status="ok",
        reason=reason,
        points=[PointRecord(beta=float(i), status="ok") for i in range(points)],
        cost=Cost(),
        provenance=Provenance(
            commit="", dirty=None, versions={}, processor="", platform="", device="cpu",
            threads=1, jobs=1, started="", finished="2030",
        ),
    )  # fmt: skip


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    yield store
    store.close()


def test_what_is_appended_is_read_back(store: Store, tmp_path: Path) -> None:
    store.append(record("a1", points=3))
    store.append(record("b2"))
    assert load(tmp_path).records == {"a1": record("a1", points=3), "b2": record("b2")}
    other = Store(tmp_path)
    assert list(store.records) == list(other.records) == ["a1", "b2"]
    other.append(record("c3"))
    other.close()
    store.append(record("d4"))  # behind one that this store has not read
    store.refresh()
    assert list(store.records) == ["a1", "b2", "c3", "d4"]
    assert store.records == load(tmp_path).records
    assert store.warnings == []


@pytest.mark.parametrize("how", ["cut", "replaced", "gone", "cut and grown"])
def test_records_that_vanish_are_noticed(store: Store, how: str) -> None:
    for name in ("a1", "b2"):
        store.append(record(name))
    first, second = store.path.read_bytes().splitlines(keepends=True)
    if how == "gone":
        store.path.unlink()
    elif how == "replaced":
        copy = store.path.with_name("copy")
        copy.write_bytes(first + second.replace(b"b2", b"e5"))
        copy.rename(store.path)
    else:
        os.truncate(store.path, len(first))
        if how == "cut and grown":
            with store.path.open("ab") as file:
                file.write(second.replace(b"b2", b"e5") * 2)
    store.append(record("c3"))
    store.refresh()
    kept = {"gone": [], "cut": ["a1"]}.get(how, ["a1", "e5"])
    assert list(store.records) == [*kept, "c3"]
    assert list(load(store.folder).records) == [*kept, "c3"]
    (warning,) = store.warnings
    assert "removed from it" in warning


def test_the_newest_row_of_a_cell_wins(store: Store, tmp_path: Path) -> None:
    for reason in ("old", "new"):
        store.append(record(reason=reason))
    assert load(tmp_path).records["00ff"].reason == "new"


def test_a_torn_line_stays_alone_when_the_next_is_appended(store: Store, tmp_path: Path) -> None:
    store.append(record("a1"))
    with store.path.open("ab") as file:
        file.write(b'{"schema":1,"cell":"torn')
    store.append(record("b2"))
    loaded = load(tmp_path)
    assert list(loaded.records) == ["a1", "b2"]
    assert len(loaded.warnings) == 1
    assert f"{store.path} line 2" in loaded.warnings[0]


@pytest.mark.parametrize(("schema", "age"), [(SCHEMA + 1, "newer"), (OLDEST - 1, "older")])
def test_another_schema_is_named(store: Store, tmp_path: Path, schema: int, age: str) -> None:
    store.append(msgspec.structs.replace(record(), schema=schema))
    loaded = load(tmp_path)
    assert loaded.records == {}
    assert f"schema {schema} is {age}" in loaded.warnings[0]


def test_a_record_of_the_first_schema_is_upgraded(store: Store, tmp_path: Path) -> None:
    old = msgspec.to_builtins(record())
    old["schema"] = 1
    for point in old["points"]:
        del point["draws"]
    with store.path.open("ab") as file:
        file.write(msgspec.json.encode(old) + b"\n")
    loaded = load(tmp_path)
    assert loaded.warnings == []
    assert loaded.records == {"00ff": record()}


@pytest.mark.parametrize(
    "line", [b"null", b"[]", b"\xff\xfe", b'{"schema":1}', b'{"schema":"x"}', b"\0" * 64]
)
def test_any_rubbish_is_one_warning(store: Store, tmp_path: Path, line: bytes) -> None:
    store.append(record("a1"))
    with store.path.open("ab") as file:
        file.write(line + b"\n")
    store.append(record("b2"))
    loaded = load(tmp_path)
    assert list(loaded.records) == ["a1", "b2"]
    assert len(loaded.warnings) == 1
    assert "line 2: not a record" in loaded.warnings[0]


def spoilt(old: bytes, new: bytes) -> bytes:
    """The line of a record with one thing changed."""
    line = msgspec.json.encode(record(reason="because"))
    assert line.count(old) == 1
    return line.replace(old, new)


@pytest.mark.parametrize(
    "line",
    [
        spoilt(b"because", b"bec\xffause"),
        spoilt(b'"params":{}', b'"params":{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"),
        spoilt(b'"seed":0', b'"seed":18446744073709551616'),
        spoilt(b'"seed":0', b'"seed":-1'),
        spoilt(b'"suite_version":1', b'"suite_version":9223372036854775808'),
        spoilt(b'"dim":1', b'"dim":-1'),
        spoilt(b'"dim":1', b'"dim":0'),
        spoilt(b'"jobs":1', b'"jobs":-2'),
        spoilt(b'"n_train":null', b'"n_train":-5'),
        spoilt(b'"gradient_steps":null', b'"gradient_steps":-5'),
        spoilt(b'"beta":0.0', b'"beta":-1.0'),
        spoilt(b'"draws":null', b'"draws":{"x":[[0]],"y":[],"source":[],"reproduction":[]}'),
        spoilt(b'"draws":null', b'"draws":{"x":[],"y":[],"source":[[0]],"reproduction":[[0,1]]}'),
    ],
    ids=lambda line: line[-1200:-1100].decode(errors="replace")[:20],
)
def test_a_record_with_one_thing_spoilt_is_named_and_the_rest_is_used(
    store: Store, tmp_path: Path, line: bytes
) -> None:
    store.append(record("a1"))
    with store.path.open("ab") as file:
        file.write(line + b"\n")
    store.append(record("b2"))
    loaded = load(tmp_path)
    assert list(loaded.records) == ["a1", "b2"]
    (warning,) = loaded.warnings
    assert "line 2: not a record" in warning
    assert len(warning) < 1000
    store.refresh()
    assert list(store.records) == ["a1", "b2"]


def test_texts_of_a_record_are_printable_however_they_were_written(
    store: Store, tmp_path: Path
) -> None:
    nasty = "\x1b[2J\x07\x7f\x9b\u202e\r\ud800 é β 😀"
    store.append(record("a1", reason=nasty))
    raw = msgspec.json.encode(record("b2", reason="R"))
    for spelling in (b"\\u001b[2J", b"\x7f", b"\xc2\x9b", b"\xe2\x80\xae", b"\\r", b"\\u202E"):
        with store.path.open("ab") as file:
            file.write(raw.replace(b'"R"', b'"' + spelling + b'"').replace(b"b2", b"b3") + b"\n")
        (reason,) = (one.reason for key, one in load(tmp_path).records.items() if key == "b3")
        assert reason.isprintable()
        assert reason.startswith("\\")
    found = load(tmp_path).records["a1"].reason
    assert found == r"\x1b[2J\x07\x7f\x9b\u202e\x0d\ud800 é β 😀"
    # A backslash that was meant is none of them.
    store.append(record("c4", reason="C:\\run β"))
    assert load(tmp_path).records["c4"].reason == "C:\\run β"


def test_rows_may_be_read_without_the_draws_they_keep(store: Store, tmp_path: Path) -> None:
    draws = Draws(x=[[1.0]], y=[[[2.0]]], source=[[3.0]], reproduction=[[4.0]])
    tricky = '"draws":{"x":1}'  # a text that looks like draws is none
    whole = record(reason=tricky)
    kept = PointRecord(beta=2.0, status="ok", reason=tricky, gap=0.5, draws=draws)
    whole = msgspec.structs.replace(whole, points=[kept, *whole.points])
    store.append(whole)
    assert load(tmp_path).records == {"00ff": whole}
    bare = [msgspec.structs.replace(kept, draws=None), *whole.points[1:]]
    found = load(tmp_path, draws=False)
    assert found.records == {"00ff": msgspec.structs.replace(whole, points=bare)}
    assert found.warnings == []


@pytest.mark.parametrize("room", [0, 40])
def test_a_full_disk_is_one_line_and_harms_no_earlier_record(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: int
) -> None:
    store.append(record("a1"))
    before = store.path.read_bytes()
    write = os.write
    left = [room]

    def full(fd: int, data: bytes) -> int:
        taken = data[: left[0]]
        if not taken:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        left[0] -= len(taken)
        return write(fd, taken)

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(StoreError, match="No space left on device; earlier records are intact"):
            store.append(record("b2"))
    assert store.path.read_bytes() == before
    store.append(record("b2"))
    assert list(load(tmp_path).records) == ["a1", "b2"]


def append_many(folder: Path, letter: str) -> None:
    store = Store(folder)
    for i in range(20):
        store.append(record(f"{letter}{i:x}", points=400))  # longer than a pipe or page buffer
    store.close()


def test_many_writers_do_not_mix_their_lines(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=append_many, args=(tmp_path, c)) for c in "ab"]
    for writer in writers:
        writer.start()
    append_many(tmp_path, "c")
    for writer in writers:
        writer.join()
        assert writer.exitcode == 0
    loaded = load(tmp_path)
    assert loaded.warnings == []
    assert len(loaded.records) == 60


def test_a_folder_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(RdbenchError, match="cannot write in the results folder"):
        Store(tmp_path / "file" / "below")


def test_a_folder_without_records_has_no_results(tmp_path: Path) -> None:
    with pytest.raises(RdbenchError, match=f"no results in .*{RECORDS}"):
        load(tmp_path)


def test_a_line_is_decoded_once_and_draws_for_whom_they_are_wanted(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    draws = Draws(x=[[0.5]], y=[[[1.0]]], source=[[0.25]], reproduction=[[1.0]])
    plain = [record(f"a{k}", points=2) for k in range(5)]
    rich = [
        msgspec.structs.replace(
            one, points=[msgspec.structs.replace(point, draws=draws) for point in one.points]
        )
        for one in plain
    ]
    for one in [*plain[:1], *rich, *plain[4:]]:
        store.append(one)
    calls: list[type] = []

    def counted(raw: bytes, kind: type[msgspec.Struct]) -> msgspec.Struct:
        calls.append(kind)
        return decoded(raw, kind)

    monkeypatch.setattr(reading, "decoded", counted)
    loaded = load(tmp_path, draws=False)
    assert calls == [CellRecord] * 7
    assert list(loaded.records.values()) == plain
    assert drawn(tmp_path, loaded, ["a1", "a3", "a4", "other"]) == {"a1": rich[1], "a3": rich[3]}
    assert calls == [CellRecord] * 9
    assert loaded.warnings == []


def test_a_store_without_draws_writes_those_that_it_is_given(tmp_path: Path) -> None:
    draws = Draws(x=[[0.5]], y=[[[1.0]]], source=[[0.25]], reproduction=[[1.0]])
    plain = record("a1")
    rich = msgspec.structs.replace(
        plain, points=[msgspec.structs.replace(point, draws=draws) for point in plain.points]
    )
    store = Store(tmp_path, draws=False)
    store.append(plain, msgspec.json.encode(rich))
    other = Store(tmp_path, draws=False)
    assert store.records == other.records == {"a1": plain}
    assert load(tmp_path).records == {"a1": rich}
    for one in (store, other):
        one.close()


def test_draws_that_cannot_be_read_cost_a_page_no_row(store: Store, tmp_path: Path) -> None:
    line = msgspec.json.encode(record("a1")).replace(
        b'"draws":null', b'"draws":{"x":[[1.0]],"y":[],"source":[],"reproduction":[]}'
    )
    (tmp_path / RECORDS).write_bytes(line + b"\n")
    loaded = load(tmp_path, draws=False)
    assert list(loaded.records) == ["a1"]
    assert drawn(tmp_path, loaded, ["a1"]) == {}
    assert "draws of cell a1: not a record (draws of unequal numbers" in loaded.warnings[0]


def test_without_blocks_and_draws_the_rest_of_a_record_is_read(tmp_path: Path) -> None:
    draws = Draws(x=[[0.5]], y=[[[1.0]]], source=[[0.25]], reproduction=[[0.5]])
    sly = 'a "gap_blocks":[1] and "draws":{2} of a text'
    point = PointRecord(
        beta=1.0, status="ok", reason=sly, gap_blocks=[0.5, 1.5], gap=0.5, draws=draws
    )
    kept = msgspec.structs.replace(record(), points=[point, point])
    (tmp_path / RECORDS).write_bytes(msgspec.json.encode(kept) + b"\n")
    bare = msgspec.structs.replace(point, draws=None)
    assert load(tmp_path, draws=False).records["00ff"].points == [bare, bare]
    least = load(tmp_path, draws=False, blocks=False).records["00ff"]
    assert least.points == [msgspec.structs.replace(bare, gap_blocks=[])] * 2
    assert load(tmp_path).records["00ff"] == kept
