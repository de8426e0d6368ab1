// The pictures of every case, drawn when they are scrolled to.
const PLOTS = [
  ["R(D): truth and audited points", drawCurve],
  ["Gap against rate", drawGaps],
  ["Gap against CPU seconds", drawCosts],
  ["Claimed against audited gap", drawClaims],
  ["Time to accuracy", drawTraces],
];
const pending = new Map();
const watcher = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) if (entry.isIntersecting) drawNow(entry.target);
  },
  { rootMargin: "400px" },
);

function drawNow(node) {
  watcher.unobserve(node);
  const make = pending.get(node);
  pending.delete(node);
  if (make) make();
}

function later(node, make) {
  pending.set(node, make);
  watcher.observe(node);
}

function drawEverything() {
  for (const node of [...pending.keys()]) drawNow(node);
}

function plotFigure(title, make, members, one) {
  const canvas = el("div", { class: "canvas" });
  later(canvas, () => {
    const picture = make(members, one);
    canvas.replaceChildren(picture ?? el("p", { class: "nothing" }, "nothing to draw"));
  });
  return el("figure", { class: "plot" }, el("figcaption", {}, title), canvas);
}

function caseBlock(one, members) {
  const traced = traces.cell.some((k) => members.some(({ cell }) => cells[k] === cell));
  const figures = PLOTS.filter(([, make]) => make !== drawTraces || traced).map(([title, make]) =>
    plotFigure(title, make, members, one),
  );
  const legend = el(
    "p",
    { class: "legend" },
    one.lines.length || one.bands.length
      ? el("span", { class: "name" }, truthSwatch(), "truth")
      : "",
    one.sides === null ? "" : el("span", { class: "name" }, sidesSwatch(), widthOf(one)),
    bySeries(members).map(({ k, look }) =>
      el("span", { class: "name", "data-key": k }, swatch(k), look.label),
    ),
  );
  const kept = samplesOf(members);
  const box = el(
    "details",
    { class: "case", id: one.anchor },
    el(
      "summary",
      {},
      el("h4", {}, one.case),
      el(
        "span",
        { class: "about" },
        `d = ${one.dim}, ${words(one.distortion)}, ${one.truth}`,
      ),
    ),
    one.explained ? el("p", { class: "hint" }, one.explained) : "",
    legend,
    el("div", { class: "plots" }, figures),
  );
  // Over a name in the legend, the others step back.
  const single = (key) =>
    box
      .querySelectorAll("g[data-series]")
      .forEach((group) =>
        group.classList.toggle("dim", key !== undefined && group.dataset.series !== key),
      );
  legend.addEventListener("pointerover", (event) =>
    single(event.target.closest("[data-key]")?.dataset.key),
  );
  legend.addEventListener("pointerleave", () => single());
  if (kept.length) {
    const inside = el("div", { class: "samples" });
    later(inside, () => inside.replaceChildren(...sampleFigures(members)));
    box.append(
      el(
        "details",
        { class: "conditional" },
        el("summary", {}, "Conditional samples p(y|x)"),
        el(
          "p",
          { class: "hint" },
          "Filled: a few symbols x, each with a shape of its own; hollow, on the line strokes: draws " +
            "of p(y|x) at them. Grey: the source; crosses, on the line dark bars: draws of Y. " +
            `The page holds a few rates of one seed, ${DATA.draws.shown} of ${DATA.draws.of} ` +
            "points with draws; the records hold all.",
        ),
        inside,
      ),
    );
  }
  return box;
}

const truthSwatch = () =>
  draw(
    "svg",
    { class: "swatch", viewBox: "0 0 26 14", "aria-hidden": "true" },
    draw("rect", { class: "band", x: 1, y: 3, width: 24, height: 8 }),
    draw("line", { class: "truth", x1: 1, x2: 25, y1: 7, y2: 7 }),
  );

function showCases(found) {
  watcher.disconnect();
  pending.clear();
  const open = (selector) =>
    new Set([...document.querySelectorAll(selector)].map((node) => node.closest(".case").id));
  const [opened, sampled] = [open("details.case[open]"), open("details.case > details[open]")];
  const groups = groupBy(found, ({ cell }) => cell.place);
  const parts = [];
  let suite = null;
  cases.forEach((one) => {
    const members = groups.get(one.place);
    if (!members) return;
    if (one.suite !== suite) parts.push(el("h3", {}, (suite = one.suite)));
    const box = caseBlock(one, members);
    box.open = groups.size === 1 || opened.has(box.id);
    if (sampled.has(box.id)) box.querySelector("details").open = true;
    parts.push(box);
  });
  body("cases").replaceChildren(...(parts.length ? parts : [nothing()]));
}
