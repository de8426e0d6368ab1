// What went wrong, grouped: reasons that differ in their numbers alone are one row.
const troubleColumns = [
  { title: "status", text: true, sort: (t) => t.status, cell: (t) => words(t.status) },
  { title: "estimator", text: true, sort: (t) => t.estimator, cell: (t) => t.estimator },
  { title: "points", sort: (t) => t.points, cell: (t) => String(t.points) },
  {
    title: "cases",
    text: true,
    sort: (t) => t.cases.join(", "),
    cell: (t) => el("span", { class: "reason" }, t.cases.join(", ")),
  },
  {
    title: "R*",
    hint: "from the least to the largest rate",
    sort: (t) => t.rates?.[0],
    cell: (t) =>
      t.rates === null ? ABSENT : [...new Set(t.rates)].map((r) => rates(r, 3)).join(" to "),
  },
  { title: "seeds", text: true, sort: (t) => t.seeds.length, cell: (t) => t.seeds.join(", ") },
  {
    title: "reason",
    text: true,
    sort: (t) => t.reason,
    cell: (t) => el("span", { class: "reason wide" }, t.reason || ABSENT),
  },
];

function showTroubles() {
  const place = document.getElementById("reasons");
  if (!DATA.troubles.length) {
    place.replaceChildren(el("p", {}, "None: every point has a gap."));
    return;
  }
  const table = sortable(
    troubleColumns,
    "What has no plain gap, by estimator and reason",
    (tbody, sorted) => tbody.replaceChildren(...sorted.map((one) => row(troubleColumns, one))),
  );
  table.set(DATA.troubles);
  const byText = groupBy(
    cells.filter((cell) => cell.traceback !== null),
    (cell) => cell.traceback,
  );
  place.replaceChildren(
    el(
      "p",
      { class: "hint" },
      "Of all records, whatever the filters say. A point that was refused (unsupported) or cut " +
        "short is listed, and never part of a mean; one that did not converge is, with its numbers.",
    ),
    table.node,
    byText.size ? el("h3", {}, "Tracebacks") : "",
    ...[...byText].map(([text, same]) =>
      el(
        "details",
        { class: "traceback" },
        el(
          "summary",
          {},
          `${words(same[0].status)}: ${series[same[0].series].label}, ${plural(same.length, "cell")}`,
        ),
        el(
          "p",
          {},
          same.map((cell) => [
            el("a", { href: `#${cell.anchor}` }, `${cell.case}, seed ${cell.seed}`),
            " ",
          ]),
        ),
        el("pre", {}, DATA.tracebacks[text]),
      ),
    ),
  );
}
