"""Size of the report page and time to its first paint at 10,000 points, in Chromium.

    python benchmarks/studies/page.py [POINTS]

Needs the extra `browser` and a Chromium on the path.
"""

from __future__ import annotations

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

from _page_records import make_records
from playwright.sync_api import sync_playwright

from rdbench.report.page import render, write

REPEATS = 5
_TIMES = """() => ({
  paint: performance.getEntriesByName("first-contentful-paint")[0].startTime,
  ready: performance.getEntriesByName("ready")[0].startTime,
})"""


def main(points: int) -> None:
    """Print one line: points, size, seconds to write, and in the browser to paint and to work."""
    records = make_records(points, draws=True)
    began = time.process_time()
    page = render(records)
    took = time.process_time() - began
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "page.html"
        size = write(page, out)
        found = [_visit(out) for _ in range(REPEATS)]
    count = sum(len(record.points) for record in records)
    paint, ready = (statistics.median(one[key] for one in found) for key in ("paint", "ready"))
    print(
        f"{count} points, {len(records)} cells: {size / 1e6:.2f} MB, rendered in {took:.1f} CPU s; "
        f"first paint {paint / 1e3:.2f} s, all tables ready {ready / 1e3:.2f} s "
        f"(median of {REPEATS} fresh browsers)"
    )


def _visit(page: Path) -> dict[str, float]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        tab = browser.new_context(offline=True, viewport={"width": 1280, "height": 900}).new_page()
        tab.goto(page.as_uri())
        while not tab.evaluate("performance.getEntriesByName('ready').length"):
            tab.wait_for_timeout(20)
        times: dict[str, float] = tab.evaluate(_TIMES)
        browser.close()
    return times


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000)
