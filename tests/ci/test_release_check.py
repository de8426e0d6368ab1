"""Everything that prevents a release is found, and nothing else."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
GOOD = """# Changelog

## [Unreleased]

## [0.2.0] - 2026-01-31

### Added

- Something.
"""


@pytest.fixture(scope="module")
def check() -> ModuleType:
    spec = importlib.util.spec_from_file_location("release_check", ROOT / ".ci/release_check.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def tree(
    folder: Path,
    version: str = "0.2.0",
    cited: str = "0.2.0",
    deposited: str = "0.2.0",
    published: str = "0.2.0",
    project: str = "",
) -> Path:
    (folder / "rdbench").mkdir()
    (folder / "rdbench/version.py").write_text(f'"""Text."""\n\n__version__ = "{version}"\n')
    (folder / "CITATION.cff").write_text(f"cff-version: 1.2.0\nversion: {cited}\n")
    (folder / "pyproject.toml").write_text(f'[project]\nname = "rdbench"\n{project}\n[tool.x]\n')
    (folder / ".zenodo.json").write_text(json.dumps({"version": deposited}))
    (folder / "results/reference").mkdir(parents=True)
    (folder / "results/reference/manifest.json").write_text(json.dumps({"version": published}))
    return folder


def test_this_tree_is_consistent(check):
    assert check.main(["--any-time"]) == 0


def test_a_consistent_tree_has_no_problems(check, tmp_path):
    root = tree(tmp_path)
    assert check.stated_version(root) == "0.2.0"
    assert check.version_problems(root, "0.2.0") == []
    assert check.changelog_problems(GOOD) == []
    assert check.release_problems(GOOD, "0.2.0") == []


@pytest.mark.parametrize(
    ("planted", "told"),
    [
        ({"cited": "0.1.0"}, "CITATION.cff"),
        ({"deposited": "0.1.0"}, ".zenodo.json: version 0.1.0"),
        ({"published": "0.1.0"}, "results/reference/manifest.json: version 0.1.0"),
        ({"project": 'version = "0.2.0"'}, "second time"),
        ({"version": "two"}, "no version"),
    ],
)
def test_versions_that_disagree_are_found(check, tmp_path, planted, told):
    root = tree(tmp_path, **planted)
    problems = check.version_problems(root, check.stated_version(root))
    assert any(told in problem for problem in problems)


def test_files_that_are_missing_are_found(check, tmp_path):
    root = tree(tmp_path)
    (root / ".zenodo.json").unlink()
    assert check.version_problems(root, "0.2.0") == [
        ".zenodo.json: version nothing, rdbench/version.py says 0.2.0"
    ]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("## [0.2.0] - 2026-01-31", "## 0.2.0", "neither"),
        ("## [0.2.0] - 2026-01-31", "## [0.2.0]", "no date"),
        ("### Added", "### New", "none of"),
        ("### Added", "### Added\n\n### Added", "twice"),
        ("## [Unreleased]\n", "", "first section"),
    ],
)
def test_a_changelog_out_of_form_is_found(check, old, new, told):
    assert any(told in problem for problem in check.changelog_problems(GOOD.replace(old, new)))


def test_a_release_needs_its_section_and_an_empty_unreleased(check):
    assert any("no section" in problem for problem in check.release_problems(GOOD, "0.3.0"))
    left = GOOD.replace("## [Unreleased]\n", "## [Unreleased]\n\n- More.\n")
    assert any("left under" in problem for problem in check.release_problems(left, "0.2.0"))
    empty = GOOD.replace("- Something.\n", "")
    assert any("no entries" in problem for problem in check.release_problems(empty, "0.2.0"))


def test_changes_and_taken_tags_are_found(check, tmp_path):
    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=n", "-c", "user.email=e@e", *arguments],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )

    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "start")
    assert check.git_problems(tmp_path, "0.2.0") == []
    git("tag", "v0.2.0")
    (tmp_path / "file").write_text("new")
    problems = check.git_problems(tmp_path, "0.2.0")
    assert len(problems) == 2
    assert any("not committed" in problem for problem in problems)
    assert any("v0.2.0 exists" in problem for problem in problems)
