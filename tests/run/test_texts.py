"""Texts of strangers: whatever they are, they can be kept, read back and printed."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rdbench.run.records import PointRecord
from rdbench.run.spool import End, Point, SpoolWriter, read_spool
from rdbench.run.texts import (
    MOST_REASON,
    MOST_TRACEBACK,
    bounded,
    decoded,
    encoded,
    one_line_of,
    printable,
    said,
)

# Surrogates, too, which st.text leaves out.
ANY = st.text(st.characters(exclude_categories=()), max_size=20)


class Text(msgspec.Struct):
    text: str
    more: dict[str, list[str]] = {}


@given(ANY)
def test_any_text_is_kept_and_can_be_printed(text: str) -> None:
    raw = encoded(Text(text, {text: [text]}))
    found = decoded(raw, Text)
    assert found.text == printable(text)
    assert found.more == {printable(text): [printable(text)]}
    assert "\x1b" not in found.text
    found.text.encode()
    assert printable(found.text) == found.text
    assert not set("\t\r\n\x0b\x0c\x1c\x85") & set(one_line_of(text))


@given(ANY, st.integers(10, 30))
def test_a_long_text_keeps_its_ends(text: str, most: int) -> None:
    long = text * 50
    short = bounded(long, most)
    assert len(short) <= max(most, most + 60)
    assert short == long or (short[: most // 2], short[-(most // 2) :]) == (
        long[: most // 2], long[-(most // 2) :],
    )  # fmt: skip


@pytest.mark.parametrize(
    "raw", [b"", b"\xff", b'{"text":"\xff"}', b"[" * 300_000, b'{"text":' + b"[" * 300_000, b"{}"]
)
def test_what_is_no_record_is_one_kind_of_error(raw: bytes) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  the words are msgspec's
        decoded(raw, Text)
    assert 0 < len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)


def test_exceptions_are_said_whatever_they_hold() -> None:
    class Mute(Exception):
        def __str__(self) -> str:
            raise KeyboardInterrupt

    assert said(Mute()) == "Mute: (its message cannot be read: KeyboardInterrupt)"
    assert said(ValueError("a\n\x1b[2J\ud800")) == r"ValueError: a \x1b[2J\ud800"
    assert len(said(ValueError("x" * 10**7))) <= 500
    assert said(ValueError()) == "ValueError"


def test_the_spool_holds_any_text_and_no_long_one(tmp_path) -> None:
    path = tmp_path / "spool"
    writer = SpoolWriter(path)
    point = PointRecord(beta=1.0, status="ok", reason="\ud800" * 10**6, q_is="\ud800" * 10**6)
    writer.write(Point(point))
    writer.write(End("error", "\x1b" + "r" * 10**6, "t" * 10**7 + "\udfff"))
    writer.close()
    with path.open("ab") as file:
        file.write(b'{"type":"point","point":{"beta":2,"status":"ok","reason":"\xff"}}\n')
        file.write(b'{"type":"end","traceback":' + b"[" * 300_000 + b"\n")
    assert path.stat().st_size < 2 * MOST_TRACEBACK + 20 * MOST_REASON + 300_000
    spool = read_spool(path)
    assert list(spool.points) == [1.0]
    assert spool.end is not None
    assert spool.end.traceback is not None
    assert spool.end.traceback.endswith(r"\udfff")
