"""Whether this commit can be released: one line for everything that is in the way.

    python .ci/release_check.py [--any-time]

The version is stated in rdbench/version.py. What else names it (CITATION.cff, .zenodo.json,
CHANGELOG.md, the wheel, the manifest of the reference run) has to agree. ``--any-time`` asks only
for what has to hold on every commit; without it the changelog needs a dated section of this
version, the tree no changes, and the tag must be free.
"""

from __future__ import annotations

import argparse
import ast
import json
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")
_JSON = {
    ".zenodo.json": "",
    "results/reference/manifest.json": "; python -m benchmarks.published makes it again",
}
_VERSION = re.compile(r"\d+\.\d+\.\d+(?:(?:a|b|rc)\d+|\.dev\d+)?")
_HEADING = re.compile(r"^## \[(?P<name>[^\]]+)\](?: - (?P<date>\d{4}-\d{2}-\d{2}))?$")


def stated_version(root: Path) -> str:
    """The string in rdbench/version.py, read without importing it."""
    tree = ast.parse((root / "rdbench" / "version.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant):
            return str(node.value.value)
    return ""


def version_problems(root: Path, version: str) -> list[str]:
    """Places that disagree with the version, or state it a second time."""
    found = []
    if not _VERSION.fullmatch(version):
        found.append(f"rdbench/version.py: {version!r} is no version such as 0.2.0 or 0.2.0rc1")
    cited = re.search(r"^version: (.+)$", (root / "CITATION.cff").read_text(), re.MULTILINE)
    if cited is None or cited[1].strip("\"'") != version:
        told = cited[1] if cited else "nothing"
        found.append(f"CITATION.cff: version {told}, rdbench/version.py says {version}")
    for name, made_by in _JSON.items():
        path = root / name
        told = json.loads(path.read_text()).get("version") if path.is_file() else "nothing"
        if told != version:
            found.append(f"{name}: version {told}, rdbench/version.py says {version}{made_by}")
    project = (root / "pyproject.toml").read_text().partition("[project]")[2].partition("\n[")[0]
    if re.search(r"^version\s*=", project, re.MULTILINE):
        found.append("pyproject.toml: the version is stated a second time")
    return found


def sections(text: str) -> dict[str, tuple[str | None, list[str]]]:
    """The changelog's releases: their date and their lines."""
    found: dict[str, tuple[str | None, list[str]]] = {}
    lines: list[str] = []
    for line in text.splitlines():
        heading = _HEADING.match(line)
        if heading:
            lines = []
            found[heading["name"]] = (heading["date"], lines)
        else:
            lines.append(line)
    return found


def changelog_problems(text: str) -> list[str]:
    """Faults in the form of the changelog, at any time."""
    found = [
        f"CHANGELOG.md: {line!r} is neither '## [Unreleased]' nor '## [X.Y.Z] - YYYY-MM-DD'"
        for line in text.splitlines()
        if line.startswith("## ") and not _HEADING.match(line)
    ]
    for name, (date, lines) in sections(text).items():
        if name != "Unreleased" and date is None:
            found.append(f"CHANGELOG.md: {name} has no date")
        kinds = [line[4:] for line in lines if line.startswith("### ")]
        found += [
            f"CHANGELOG.md: {name}: '{kind}' is none of {', '.join(KINDS)}"
            for kind in kinds
            if kind not in KINDS
        ]
        found += [
            f"CHANGELOG.md: {name}: '{kind}' occurs twice"
            for kind in sorted({kind for kind in kinds if kinds.count(kind) > 1})
        ]
    if next(iter(sections(text)), None) != "Unreleased":
        found.append("CHANGELOG.md: the first section has to be [Unreleased]")
    return found


def release_problems(text: str, version: str) -> list[str]:
    """Entries that the changelog lacks for a release of this version."""
    found = []
    date, lines = sections(text).get(version, (None, []))
    if date is None:
        found.append(f"CHANGELOG.md: no section '## [{version}] - YYYY-MM-DD'")
    elif not any(line.startswith("- ") for line in lines):
        found.append(f"CHANGELOG.md: {version} has no entries")
    if any(line.startswith("- ") for line in sections(text).get("Unreleased", (None, []))[1]):
        found.append("CHANGELOG.md: entries are left under [Unreleased]")
    return found


def git_problems(root: Path, version: str) -> list[str]:
    """Changes that are not committed, a tag that is taken."""

    def git(*arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=root, capture_output=True, text=True, check=True
        )
        return done.stdout.strip()

    found = []
    if git("status", "--porcelain"):
        found.append("git: there are changes that are not committed")
    if git("tag", "--list", f"v{version}"):
        found.append(f"git: the tag v{version} exists already")
    return found


def main(arguments: list[str] | None = None) -> int:
    """Print the problems; 1 if there are any."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--any-time", action="store_true", help="only what always has to hold")
    given = parser.parse_args(arguments)
    version = stated_version(ROOT)
    changelog = (ROOT / "CHANGELOG.md").read_text()
    found = version_problems(ROOT, version) + changelog_problems(changelog)
    if not given.any_time:
        found += release_problems(changelog, version) + git_problems(ROOT, version)
    ready = "consistent" if given.any_time else "ready to be released"
    print("\n".join(found) if found else f"rdbench {version}: {ready}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
