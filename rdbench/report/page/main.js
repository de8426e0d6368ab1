// Provenance, printing, and the order of things.
function showProvenance() {
  const columns = [
    ["commit", (e) => `${e.commit.slice(0, 12)}${e.dirty ? " with changes" : ""}`],
    ["versions", (e) => shown(e.versions)],
    ["processor", (e) => e.processor],
    ["platform", (e) => e.platform],
    ["device", (e) => e.device],
    ["threads", (e) => String(e.threads)],
    ["jobs", (e) => String(e.jobs)],
    ["cells", (e) => String(e.cells)],
    ["from", (e) => e.from],
    ["to", (e) => e.to],
  ];
  const table = el(
    "table",
    {},
    el("caption", { class: "unseen" }, "Provenance"),
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        columns.map(([title]) => el("th", { scope: "col", class: "text" }, title)),
      ),
    ),
    el(
      "tbody",
      {},
      DATA.environments.map((one) =>
        el(
          "tr",
          {},
          columns.map(([, text]) => el("td", { class: "text wrap" }, text(one))),
        ),
      ),
    ),
  );
  body("provenance").append(
    el(
      "p",
      { class: "hint" },
      "Where and by what the records were made. CPU seconds compare within one row only.",
    ),
    el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": "Provenance" }, table),
  );
}

// On paper everything is there: all pictures, all sections open, the points up to a bound.
function setUpPrinting(points) {
  let before = null;
  const start = () => {
    if (before !== null) return;
    drawFolds();
    before = [...document.querySelectorAll("details:not([open]):not(.cell)")];
    for (const node of before) node.open = true;
    points.print(true);
    drawEverything();
  };
  const end = () => {
    if (before === null) return;
    for (const node of before) node.open = false;
    before = null;
    points.print(false);
  };
  addEventListener("beforeprint", start);
  addEventListener("afterprint", end);
  matchMedia("print").addEventListener("change", (event) => (event.matches ? start() : end()));
}

// A folded section is drawn when it is open, of what passes the filters by then.
function foldSection(id, show) {
  let latest = [];
  const fold = foldable(foldOf(id), () => show(latest));
  onChange((found) => {
    latest = found;
    fold.refresh();
  });
}

if (cells.length) {
  setUpChooser();
  setUpFilters();
  const points = setUpPoints();
  onChange(showChoice);
  onChange((found) => {
    const suites = suitesShown(found);
    showBoards(suites, found);
    showRace(suites);
    showField(suites);
    showFailures(suites);
  });
  foldSection("overview", showOverview);
  foldSection("troubles", showTroubles);
  foldSection("cases", showCases);
  foldSection("points", points.show);
  foldSection("cells", showCells);
  foldable(foldOf("provenance"), showProvenance);
  setUpPrinting(points);
  setUpAddress();
  readAddress();
  changed({ quiet: true });
  if (anchorOf(location.hash)) reveal(anchorOf(location.hash));
}
performance.mark("ready");
