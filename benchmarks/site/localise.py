"""asv's page asks three hosts for its scripts and a server for its data; here both come with it.

``vendor.json`` says for every address in the page of the pinned asv which file of ``vendor/`` is
loaded instead. Its ``integrity`` is the hash in asv's page, ``file_integrity`` that of our file:
the same, except for five that the npm registry does not have as asv asks for them (four of flot
0.8.3, here not minified, and stupidtable 1.0.1, here 1.1.3).
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
DATA = "data.js"
_LOADED = re.compile(r"""<(?:script|link)\b[^>]*?\b(?:src|href)="(?:https?:)?//[^>]*>""")
_ADDRESS = re.compile(r"""\b(?:src|href)="([^"]*)\"""")
_HASH = re.compile(r"""\bintegrity="([^"]*)\"""")
_TAG_LOADS = re.compile(
    r"""<(?!a\b)[a-z][^>]*\b(?:src|href|data|poster|srcset)\s*=\s*["']?\s*((?:https?:)?//[^"'\s>]*)""",
    re.IGNORECASE,
)
"""All tags with an address elsewhere, but links to follow."""
_CSS_LOADS = re.compile(r"""(?:url\(|@import\s)\s*['"]?(?:https?:)?//[^'")\s]*""")


class NotLocal(Exception):
    """The page would ask the network for something, or is not asv's page."""


@dataclass(frozen=True)
class Asset:
    """The file that is served in place of an address."""

    url: str
    integrity: str
    file: str
    package: str
    path: str
    file_integrity: str


def assets() -> dict[str, Asset]:
    """Every address that there is a copy for."""
    found = (Asset(**entry) for entry in json.loads((HERE / "vendor.json").read_text()))
    return {asset.url: asset for asset in found}


def integrity(content: bytes, like: str) -> str:
    """The hash of ``content`` as HTML writes it, by the algorithm of the hash ``like``."""
    algorithm = like.partition("-")[0]
    return f"{algorithm}-{base64.b64encode(hashlib.new(algorithm, content).digest()).decode()}"


def localise(folder: Path) -> None:
    """Make the page in ``folder`` load nothing from elsewhere, not even from a server.

    A second call brings the data up to date and changes nothing else.

    Raises:
        NotLocal: there is no page of asv's; it asks for something that ``vendor.json`` does not
            know, or expects another content; a copy has been changed; or something would still be
            loaded from elsewhere.
    """
    page = folder / "index.html"
    if not page.is_file():
        raise NotLocal(f"{folder} has no index.html: run `asv publish` first, then name its folder")
    known = assets()
    text = _LOADED.sub(lambda tag: _own(tag[0], known, folder), page.read_text())
    if f'src="{DATA}"' not in text:
        jquery = re.search(r"<script src=\"vendor/jquery-[\d.]+\.min\.js\"[^>]*></script>\n", text)
        if jquery is None:
            raise NotLocal(f"{page} loads no jQuery: is it asv's page?")
        text = f'{text[: jquery.end()]}    <script src="{DATA}"></script>\n{text[jquery.end() :]}'
    page.write_text(text)
    (folder / DATA).write_text(_data(folder))
    left = [f"{path.name} loads {what}" for path, what in _remote(folder)]
    if left:
        raise NotLocal("; ".join(left))


def _own(tag: str, known: dict[str, Asset], folder: Path) -> str:
    """The tag of a script or style sheet, which is put into ``folder``."""
    address, expected = _ADDRESS.search(tag), _HASH.search(tag)
    asset = known.get(address[1]) if address else None
    if address is None or asset is None:
        raise NotLocal(f"there is no copy of {address[1] if address else tag} in {HERE / 'vendor'}")
    if expected is None or expected[1] != asset.integrity:
        raise NotLocal(f"asv expects another content of {asset.url} than vendor.json says")
    source = HERE / "vendor" / asset.file
    if integrity(source.read_bytes(), asset.file_integrity) != asset.file_integrity:
        raise NotLocal(f"{source} is not the file of {asset.package} any more")
    (folder / "vendor").mkdir(exist_ok=True)
    shutil.copy(source, folder / "vendor")
    if asset.file.endswith(".css"):
        return f'<link rel="stylesheet" href="vendor/{asset.file}">'
    return f'<script src="vendor/{asset.file}" onerror="js_load_failure()">'


def _data(folder: Path) -> str:
    """A script with all the JSON: a page that is opened from a disk may not read files."""
    held = {
        path.relative_to(folder).as_posix(): json.loads(path.read_text())
        for path in sorted(folder.rglob("*.json"))
    }
    template = (HERE / "answers.js").read_text()
    return template.replace("HELD", json.dumps(held, separators=(",", ":")).replace("</", "<\\/"))


def _remote(folder: Path) -> list[tuple[Path, str]]:
    """Addresses elsewhere that the pages and style sheets would still load."""
    return [
        (path, address)
        for suffix, loaded in (("html", _TAG_LOADS), ("css", _CSS_LOADS))
        for path in sorted(folder.rglob(f"*.{suffix}"))
        for address in loaded.findall(path.read_text())
    ]
