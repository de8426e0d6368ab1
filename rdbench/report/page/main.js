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

if (cells.length) {
  setUpFilters();
  const points = setUpPoints();
  const showFailures = setUpFailures();
  onChange(showBoards);
  onChange((found) => showPoints(found));
  onChange(showCases);
  onChange(showFailures);
  onChange(showCells);
  setUpCells();
  showProvenance();
  setUpPrinting(points);
  changed();
  addEventListener("hashchange", follow);
  // A second click on the same link goes there again.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a");
    if (link && link.getAttribute("href") === location.hash) follow();
  });
  if (location.hash) follow();
}
performance.mark("ready");
