"""The history of results/asv as asv publishes it, in a browser without a network."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

ROOT = Path(__file__).resolve().parents[2]
BENCHMARK = "accuracy.Gap.track_upper"
POINTS = """() => {
    const plot = $('#main-graph').data('plot');
    return plot ? plot.getData().map(s => s.data.filter(p => p && p[1] !== null).length) : [];
}"""


def is_shallow() -> bool:
    """Whether git has only the last commits: asv looks for all those of results/asv."""
    asked = ["git", "rev-parse", "--is-shallow-repository"]
    return subprocess.check_output(asked, cwd=ROOT, text=True).strip() == "true"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The steps of docs/tracking.md, with the page somewhere else."""
    import json5  # comes with asv; other runs of the tests read this file without either

    if is_shallow():
        pytest.fail("this clone is shallow: git fetch --unshallow", pytrace=False)
    folder = tmp_path_factory.mktemp("asv")
    shutil.copytree(ROOT / "results" / "asv", folder / "results")
    config = json5.loads((ROOT / "asv.conf.json").read_text())
    config |= {
        "repo": str(ROOT),
        "benchmark_dir": str(ROOT / "benchmarks"),
        "results_dir": "results",
        "html_dir": "html",
        "env_dir": "env",
        "branches": ["HEAD"],  # a checkout for testing may have no branch of a name
    }
    (folder / "asv.conf.json").write_text(json.dumps(config))
    for command in (
        ["asv", "publish", "--no-pull", "--config", str(folder / "asv.conf.json")],
        ["benchmarks.site", str(folder / "html")],
    ):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html"


@pytest.fixture
def tab(browser, site):
    """An offline tab; at the end nothing may have been asked for or gone wrong."""
    problems: list[str] = []
    context = browser.new_context(viewport={"width": 1400, "height": 1000})
    context.set_offline(True)
    opened = context.new_page()

    def request(seen):
        if not seen.url.startswith(("file://", "data:")):
            problems.append(f"asked for {seen.url}")

    def console(seen):
        if seen.type == "error":
            problems.append(seen.text)

    opened.on("request", request)
    opened.on("requestfailed", lambda seen: problems.append(f"not found: {seen.url}"))
    opened.on("pageerror", lambda error: problems.append(str(error)))
    opened.on("console", console)
    yield opened
    context.close()
    assert not problems


def test_the_grid_shows_every_suite(tab, site):
    tab.goto((site / "index.html").as_uri())
    tab.wait_for_selector("#summarygrid-display .benchmark-group canvas")
    shown = tab.inner_text("#summarygrid-display").split()
    names = json.loads((site / "index.json").read_text())["benchmarks"]
    suites = {name.partition(".")[0] for name in names}
    assert suites == {path.stem for path in (ROOT / "benchmarks").glob("[a-z]*.py")}
    for name in names:
        suite, _, rest = name.partition(".")
        assert suite in shown
        assert rest in shown


def test_a_graph_of_accuracy_shows_at_least_five_commits(tab, site, tmp_path):
    tab.goto((site / "index.html").as_uri() + f"#{BENCHMARK}")
    tab.wait_for_function(f"() => ({POINTS})().length > 0")
    points = tab.evaluate(POINTS)
    assert max(points) >= 5, points
    assert tab.locator("#main-graph canvas.flot-base").bounding_box()["width"] > 400
    drawn = tab.evaluate(
        """() => {
            const canvas = document.querySelector('#main-graph canvas.flot-base');
            const held = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            const colours = new Set();
            for (let i = 0; i < held.data.length; i += 4) {
                if (held.data[i + 3] > 200) colours.add(held.data.slice(i, i + 3).join());
            }
            return colours.size;
        }"""
    )
    assert drawn > 5
    text = tab.inner_text("#graph-display")
    assert "estimator" in text
    assert "band" in text


def test_the_lists_open(tab, site):
    tab.goto((site / "index.html").as_uri() + "#/summarylist")
    tab.wait_for_selector("#summarylist-body table tbody tr")
    assert BENCHMARK in tab.inner_text("#summarylist-body")
    tab.goto((site / "index.html").as_uri() + "#/regressions")
    tab.wait_for_function(
        "() => !document.querySelector('#regressions-body').innerText.includes('Loading')"
    )
