"""Columns and JSON: nothing is lost, and nothing in it can end the script that holds it."""

from __future__ import annotations

import json

import pytest

from rdbench.report.page.pack import Pool, numbers, script_json, texts

HOSTILE = (
    "</script><script>alert(1)</script>",
    "<!-- <script>",
    "]]>&amp;&lt;",
    "a\u2028b\u2029c",
    "\"'`\\",
    "\ud800",
    "é β 🙂",
)


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_comes_back_and_cannot_leave_the_script(text):
    packed = script_json({text: [text]})
    assert not set(packed) & set("<>&\u2028\u2029")
    assert packed.isascii()
    assert json.loads(packed) == {text: [text]}


def test_numbers_keep_every_digit():
    values = [0.1 + 0.2, 1e-300, -1 / 3, 2.0**-1074, None]
    assert json.loads(script_json(numbers(values))) == values


def test_what_is_no_number_in_json_becomes_unknown():
    assert numbers([float("nan"), float("inf"), 1.0]) == [None, None, 1.0]


def test_a_column_in_which_nothing_is_known_takes_no_room():
    assert numbers([None, None]) is None


def test_texts_are_kept_once_and_come_back():
    column = ["ok", None, "crashed", "ok"]
    packed = texts(column)
    assert packed["values"] == ["ok", "crashed"]
    back = [None if code is None else packed["values"][code] for code in packed["codes"]]
    assert back == column


def test_a_pool_tells_values_apart_by_their_key():
    pool = Pool()
    assert [pool.place({"a": 1}, "x"), pool.place({"a": 2}, "y"), pool.place({}, "x")] == [0, 1, 0]
    assert pool.values == [{"a": 1}, {"a": 2}]
