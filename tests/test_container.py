"""The Containerfile copies what exists, all that a build needs, and runs the command."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "Containerfile").read_text().replace("\\\n", " ")
STEPS = re.findall(r"^([A-Z]+) (.+)$", TEXT, re.MULTILINE)
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
COPIED = [
    source
    for word, rest in STEPS
    if word == "COPY" and not rest.startswith("--from")
    for source in rest.split()[:-1]
]


@pytest.mark.parametrize("source", COPIED)
def test_what_is_copied_is_there(source: str) -> None:
    assert (ROOT / source).exists()


def test_all_that_the_package_is_built_of_is_copied() -> None:
    needed = {"pyproject.toml", "rdbench", PROJECT["readme"], *PROJECT["license-files"]}
    needed |= set(PYPROJECT["tool"]["setuptools"]["package-dir"].values())
    assert needed <= set(COPIED)


def test_the_folders_keep_their_names() -> None:
    """The links of rdbench/ lead to them."""
    for word, rest in STEPS:
        if word == "COPY" and (ROOT / rest.split()[0]).is_dir():
            source, goal = rest.split()
            assert source == goal


def test_the_python_is_a_supported_one() -> None:
    images = [rest.split()[0] for word, rest in STEPS if word == "FROM"]
    assert len(set(images)) == 1
    found = re.fullmatch(r"python:(3\.\d+)-slim", images[0])
    assert found is not None
    assert f"Programming Language :: Python :: {found[1]}" in PROJECT["classifiers"]


def test_the_extras_exist_and_the_versions_are_the_pinned_ones() -> None:
    (install,) = (rest for _, rest in STEPS if rest.startswith("pip install"))
    (extras,) = re.findall(r"\.whl\)\[([\w,]+)\]", install)
    assert set(extras.split(",")) <= set(PROJECT["optional-dependencies"])
    assert "--constraint /wheels/constraints.txt" in install


def test_it_runs_the_command_as_nobody_in_particular_in_its_volume() -> None:
    told = dict(STEPS)
    assert told["ENTRYPOINT"] == '["rdbench"]'
    assert "rdbench" in PROJECT["scripts"]
    assert told["VOLUME"] == told["WORKDIR"]
    assert int(told["USER"]) > 0
    (made,) = (rest for _, rest in STEPS if rest.startswith("useradd"))
    assert f"--uid {told['USER']} " in made
    assert f"chown rdbench {told['VOLUME']}" in made


def test_the_page_names_the_file_and_the_volume() -> None:
    page = (ROOT / "docs" / "quickstart.md").read_text().partition("## In a container")[2]
    assert "--file Containerfile" in page
    (volume,) = (rest for word, rest in STEPS if word == "VOLUME")
    assert set(re.findall(r"--volume \S+:(/\w+)", page)) == {volume}
