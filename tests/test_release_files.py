"""What others read of a release agrees: CITATION.cff, .zenodo.json, the metadata, the licences."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

import rdbench

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
DEPOSIT: dict[str, Any] = json.loads((ROOT / ".zenodo.json").read_text())
CITATION = (ROOT / "CITATION.cff").read_text()
LICENCES = (ROOT / "DATA_LICENSES.md").read_text()
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def cited(key: str) -> str:
    """A value of CITATION.cff on one line, or folded over indented lines after ``>-``."""
    found = re.search(rf"^{key}: (>-\n(?:  .+\n)+|.+\n)", CITATION, re.MULTILINE)
    assert found is not None, key
    return " ".join(found[1].removeprefix(">-").split()).strip('"')


def test_all_say_the_same() -> None:
    assert DEPOSIT["version"] == cited("version") == rdbench.__version__
    assert DEPOSIT["title"] == cited("title")
    assert DEPOSIT["title"].startswith(f"{PROJECT['name']}: ")
    assert re.sub("</?p>", "", DEPOSIT["description"]) == cited("abstract")
    assert DEPOSIT["license"] == cited("license") == PROJECT["license"]
    assert DEPOSIT["upload_type"] == cited("type") == "software"
    names = [author["name"] for author in PROJECT["authors"]]
    assert [one["name"] for one in DEPOSIT["creators"]] == names
    assert re.findall(r'^  - name: "(.+)"$', CITATION, re.MULTILINE) == names
    keywords = re.findall(r"^  - (?!name:)(.+)$", CITATION, re.MULTILINE)
    assert DEPOSIT["keywords"] == PROJECT["keywords"] == keywords


def test_the_classifiers_fit_the_version_and_the_oldest_python() -> None:
    stages = [line for line in PROJECT["classifiers"] if line.startswith("Development Status")]
    assert stages == ["Development Status :: 5 - Production/Stable"]
    assert int(rdbench.__version__.partition(".")[0]) >= 1
    minors = re.findall(r":: 3\.(\d+)$", "\n".join(PROJECT["classifiers"]), re.MULTILINE)
    assert PROJECT["requires-python"] == f">=3.{minors[0]}"
    assert [int(minor) for minor in minors] == sorted(map(int, minors))


def test_what_pypi_shows_links_nothing_that_pypi_does_not_have() -> None:
    text = (ROOT / PROJECT["readme"]).read_text()
    assert text.startswith("# rdbench\n")
    assert [link for link in LINK.findall(text) if "://" not in link] == []
    assert re.search(r"\]:|<img|<a ", text) is None  # links of other forms


def test_the_notice_of_licences_ships() -> None:
    assert {"LICENSE", "DATA_LICENSES.md"} <= set(PROJECT["license-files"])


SUITES = sorted(
    path.stem
    for path in (ROOT / "docs" / "suites").glob("*.md")
    if path.stem != "index" and re.search("licen[cs]e", path.read_text(), re.IGNORECASE)
)


def test_the_suites_of_real_data_are_found() -> None:
    assert {"real_data", "noisy_images", "mnist_rows", "photographs", "elevation"} <= set(SUITES)


@pytest.mark.parametrize("suite", SUITES)
def test_the_data_of_every_suite_have_their_licences_in_the_notice(suite: str) -> None:
    assert f"`{suite}`" in LICENCES
    page = (ROOT / "docs" / "suites" / f"{suite}.md").read_text()
    for link in re.findall(r"https://creativecommons\.org/[\w./-]+", page):
        assert link in LICENCES


def test_every_shipped_table_that_holds_data_of_others_is_in_the_notice() -> None:
    """Tables that hold points hold rows of somebody's data."""
    holders = [
        path.name
        for path in sorted((ROOT / "rdbench/references/data").glob("*.json"))
        if '"family": "points"' in path.read_text() or '"family":"points"' in path.read_text()
    ]
    assert len(holders) >= 2
    for name in holders:
        assert f"`{name}`" in LICENCES
