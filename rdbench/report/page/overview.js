// All cases at a glance: a row per case, a column per estimator, the mean gap in each field.
const STEPS = [1e-3, 1e-2, 1e-1, 1]; // nats; each is a darker field

const step = (gap) => STEPS.filter((least) => gap > least).length;
const veiled = (r) => r.gap !== null && step(r.hi ?? r.gap) > step((r.hi ?? r.gap) - r.slack);

function overview(standing) {
  const present = series
    .map((_, k) => k)
    .filter((k) => standing.some(({ rows }) => rows.some((r) => r.series === k)));
  const field = (r) => {
    if (!r) return el("td");
    // Only what is known of the gap is painted: of what the truth's own bracket may add, nothing.
    const high = (r.hi ?? r.gap) - r.slack;
    const place = r.gap === null ? "none" : `step-${step(high)}${veiled(r) ? " veiled" : ""}`;
    const why =
      r.gap === null
        ? [
            ...new Set([
              ...r.members.flatMap((m) => m.points).map(statusOf),
              ...(r.points ? [] : [r.cell.status]),
            ]),
          ]
            .map(words)
            .join(", ")
        : (r.upper && r.shown !== null ? "≤ " : "") + rates(r.shown, 2);
    const short =
      r.scored < r.points && r.gap !== null
        ? el("sup", { title: `${r.scored} of ${r.points} points have a gap` }, "*")
        : null;
    return el(
      "td",
      {
        class: place,
        title:
          `${series[r.series].label}: ${interval(r.lo, r.hi, 3)}` +
          (veiled(r) ? `, of which ${rates(r.slack, 2)} is the width of what is known of F*` : ""),
      },
      el(r.best ? "strong" : "span", {}, why),
      short,
    );
  };
  let suite = null;
  const lines = standing.flatMap(({ one, rows }) => {
    const head =
      one.suite === suite
        ? []
        : [
            el(
              "tr",
              { class: "suite" },
              el(
                "th",
                { scope: "rowgroup", class: "text", colspan: present.length + 1 },
                (suite = one.suite),
              ),
            ),
          ];
    return [
      ...head,
      el(
        "tr",
        {},
        el("th", { scope: "row", class: "text" }, el("a", { href: `#${one.anchor}` }, one.case)),
        present.map((k) => field(rows.find((r) => r.series === k))),
      ),
    ];
  });
  return el(
    "section",
    { class: "overview" },
    el("h3", {}, "At a glance", el("small", {}, `mean gap, ${state.units} per symbol`)),
    el(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": "At a glance" },
      el(
        "table",
        {},
        el(
          "caption",
          { class: "unseen" },
          `Mean gap of every estimator in every case, in ${state.units} per symbol`,
        ),
        el(
          "thead",
          {},
          el(
            "tr",
            {},
            el("td"),
            present.map((k) =>
              el("th", { scope: "col" }, el("span", { class: "name" }, swatch(k), series[k].label)),
            ),
          ),
        ),
        el("tbody", {}, lines),
      ),
    ),
    el(
      "p",
      { class: "hint" },
      "The field darkens where the upper end of the interval, less the width of the truth's own " +
        "bracket, exceeds 0.001, 0.01, 0.1 and 1 nats. Hatched: it may be worse by that width. " +
        "*: not every point has a gap.",
    ),
  );
}
