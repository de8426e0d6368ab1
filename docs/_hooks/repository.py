"""Files of the repository outside docs/ as pages of the site, and links between the two.

Documents link to one another by their paths in the repository, so that they can be read as plain
files. In the site the contents of docs/ lie at the top, and what is linked from there comes along
under its path in the repository: Markdown as a page, anything else as it is.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from markup import FENCE, between

ROOT = Path(__file__).resolve().parents[2]
HOME = "index.md"
PAGES = ("CONTRIBUTING.md", "CHANGELOG.md")
"""Documents that come along beside those below results/ and all that is linked."""

_LINK = re.compile(r"(\]\()([^)\s#]+)(#[^)\s]*)?(\))")


def documents() -> list[str]:
    """Paths of the Markdown outside docs/ that is always part of the site."""
    found = sorted((ROOT / "results").rglob("*.md"), key=_folder_by_folder)
    return [*PAGES, *(path.relative_to(ROOT).as_posix() for path in found)]


def notebooks() -> list[str]:
    """Paths of the notebooks in docs/."""
    return [path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.ipynb"))]


def page_of(path: str) -> str:
    """The page that a notebook becomes."""
    return f"{path.removesuffix('.ipynb')}.md"


def title(path: str) -> str:
    """The first heading of a document, or its path."""
    heading = re.search(r"^# (.+)$", (ROOT / path).read_text(encoding="utf-8"), re.MULTILINE)
    return heading[1] if heading else path


def gathered(pages: Iterable[str]) -> list[str]:
    """Paths of all files outside docs/ that come along: the documents, and what is linked.

    ``pages`` are the paths of those inside.
    """
    found = documents()
    for page in pages:
        found += [new for new in _outside(page) if new not in found]
    for page in found:  # grows while it is walked: what is linked may link on
        found += [new for new in _outside(page) if new not in found]
    return found


def _outside(page: str) -> Iterator[str]:
    if not page.endswith(".md"):
        return
    for target in dict.fromkeys(targets(page, (ROOT / page).read_text(encoding="utf-8"))):
        if not target.startswith("docs/") and target != "README.md" and (ROOT / target).is_file():
            yield target


def targets(path: str, text: str) -> Iterator[str]:
    """Paths in the repository of everything that the document at ``path`` links to."""
    for match in _LINK.finditer(FENCE.sub("", text)):
        if not _external(match[2]):
            yield _resolved(path, match[2])


def relinked(path: str, text: str) -> str:
    """The text of a document with its links as they are in the site."""

    def replaced(match: re.Match[str]) -> str:
        if _external(match[2]):
            return match[0]
        goal = in_site(_resolved(path, match[2]))
        here = posixpath.dirname(in_site(path))
        return f"{match[1]}{posixpath.relpath(goal, here or '.')}{match[3] or ''}{match[4]}"

    return between(FENCE, text, lambda part: _LINK.sub(replaced, part))


def in_site(path: str) -> str:
    """A path in the repository -> the path among the sources of the site."""
    if path == "README.md":
        return HOME
    return path.removeprefix("docs/")


def in_repository(uri: str) -> str:
    """The other way round: of a source of the site, where it lies in the repository."""
    inside = f"docs/{uri}"
    return inside if (ROOT / inside).is_file() else uri


def _resolved(path: str, link: str) -> str:
    """The path in the repository; of a folder, that of its README."""
    found = posixpath.normpath(posixpath.join(posixpath.dirname(path), link))
    return f"{found}/README.md" if (ROOT / found).is_dir() else found


def _external(link: str) -> bool:
    return "://" in link or link.startswith("mailto:")


def _folder_by_folder(path: Path) -> tuple[str, bool, str]:
    """By folder, the README of each before what else is in it."""
    return path.parent.as_posix(), path.name != "README.md", path.name
