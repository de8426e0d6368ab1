"""asv's page made local: nothing may be left that asks the network, whatever asv changes."""

import json

import pytest

from benchmarks.site import __main__ as command
from benchmarks.site import localise as site

ASSETS = list(site.assets().values())


def tag(asset):
    if asset.file.endswith(".css"):
        return f'<link rel="stylesheet" href="{asset.url}" integrity="{asset.integrity}">'
    return f'<script src="{asset.url}" integrity="{asset.integrity}" onerror="f()"></script>'


@pytest.fixture
def page(tmp_path):
    """A folder as asv publish leaves it: a page that loads everything from elsewhere, and data."""
    tags = "\n".join(f"    {tag(asset)}" for asset in ASSETS)
    link = '<a href="https://example.org/">to be followed, not loaded</a>'
    (tmp_path / "index.html").write_text(f"<html><head>\n{tags}\n</head><body>{link}</body></html>")
    (tmp_path / "asv.css").write_text("body {background: url(swallow.png)}")
    graph = tmp_path / "graphs" / "cpu-AMD EPYC"
    graph.mkdir(parents=True)
    (graph / "a.json").write_text('[[1, 0.5], [2, "</script>"]]')
    (tmp_path / "index.json").write_text('{"project": "rdbench"}')
    return tmp_path


@pytest.mark.parametrize("asset", ASSETS, ids=lambda asset: asset.file)
def test_the_copies_are_the_files_that_were_taken(asset):
    content = (site.HERE / "vendor" / asset.file).read_bytes()
    assert site.integrity(content, asset.file_integrity) == asset.file_integrity


def test_only_flot_and_stupidtable_differ_from_what_asv_asks_for():
    other = {asset.package for asset in ASSETS if asset.file_integrity != asset.integrity}
    assert other == {"flot@0.8.3", "stupid-table-plugin@1.1.3"}


def test_every_copy_is_used_and_every_package_has_its_licence():
    present = {path.name for path in (site.HERE / "vendor").iterdir()}
    licences = {name for name in present if name.endswith("-LICENSE.txt")}
    assert present - licences == {asset.file for asset in ASSETS}
    for asset in ASSETS:
        package = asset.package.partition("@")[0]
        if package == "flot-orderbars":  # its licence is told at the top of the file
            assert "MIT license" in (site.HERE / "vendor" / asset.file).read_text()[:200]
        else:
            assert f"{package}-LICENSE.txt" in licences


def test_the_page_loads_its_copies(page):
    site.localise(page)
    text = (page / "index.html").read_text()
    for asset in ASSETS:
        assert asset.url not in text
        assert f'"vendor/{asset.file}"' in text
        assert (page / "vendor" / asset.file).is_file()
    assert 'href="https://example.org/"' in text
    assert text.count("</script>") == text.count("<script")


def test_the_data_comes_with_the_page_after_jquery(page):
    site.localise(page)
    text = (page / "index.html").read_text()
    assert text.index("vendor/jquery-3") < text.index("data.js") < text.index("vendor/jquery.flot")
    script = (page / "data.js").read_text()
    start = script.index('{"graphs')
    held, _ = json.JSONDecoder().raw_decode(script[start:])
    assert held == {
        "graphs/cpu-AMD EPYC/a.json": [[1, 0.5], [2, "</script>"]],
        "index.json": {"project": "rdbench"},
    }
    assert "</script>" not in script


def test_again_brings_the_data_up_to_date_and_changes_nothing_else(page):
    site.localise(page)
    before = (page / "index.html").read_text()
    (page / "index.json").write_text('{"project": "another"}')
    site.localise(page)
    assert (page / "index.html").read_text() == before
    assert '"another"' in (page / "data.js").read_text()


HEAD = "</head>"


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        # what has no copy
        (HEAD, '<script src="https://cdn.example.org/new.js"></script>', "no copy of https://cdn"),
        (HEAD, '<script src="//cdn.example.org/new.js"></script>', "no copy of //cdn"),
        (HEAD, '<link rel="stylesheet" href="https://fonts.org/a">', "no copy of https://fonts"),
        (HEAD, '<img src="https://example.org/a.png">', "index.html loads https://example.org/a"),
        (HEAD, "<script src='https://example.org/b.js'></script>", "loads https://example.org/b"),
        # a newer version, or another content than was taken
        ("jquery-3.3.1", "jquery-3.7.1", r"no copy of \S*jquery-3\.7\.1"),
        (ASSETS[0].integrity, "sha256-AAAA", "expects another content"),
    ],
)
def test_what_is_not_the_page_that_is_known_is_refused(page, before, after, message):
    index = page / "index.html"
    index.write_text(index.read_text().replace(before, after))
    with pytest.raises(site.NotLocal, match=message):
        site.localise(page)


def test_a_copy_that_was_changed_is_refused(page, tmp_path, monkeypatch):
    here = tmp_path / "here"
    (here / "vendor").mkdir(parents=True)
    for path in [*site.HERE.glob("*.js*"), *(site.HERE / "vendor").iterdir()]:
        (here / path.relative_to(site.HERE)).write_bytes(path.read_bytes())
    with (here / "vendor" / ASSETS[3].file).open("a") as file:
        file.write("\n")
    monkeypatch.setattr(site, "HERE", here)
    with pytest.raises(site.NotLocal, match=f"{ASSETS[3].file} is not the file"):
        site.localise(page)


@pytest.mark.parametrize(
    "css",
    ["@font-face {src: url('https://example.org/f')}", '@import "//example.org/a.css";'],
)
def test_a_style_sheet_that_loads_something_is_refused(page, css):
    (page / "asv.css").write_text(css)
    with pytest.raises(site.NotLocal, match=r"asv\.css loads"):
        site.localise(page)


def test_the_command_says_what_to_open_or_in_one_line_what_is_wrong(page, tmp_path, capsys):
    assert command.main([str(page)]) == 0
    assert str(page / "index.html") in capsys.readouterr().out
    for text, words in ((None, "asv publish"), ("<html><head></head></html>", "asv's page")):
        folder = tmp_path / words.partition(" ")[2]
        folder.mkdir()
        if text is not None:
            (folder / "index.html").write_text(text)
        assert command.main([str(folder)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
        assert words in err
        assert len(err.splitlines()) == 1
