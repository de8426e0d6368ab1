// All cases, folded: a row per case, a column per estimator, the mean gap in each field.
// How dark a field is, Python says.
function overview(standing) {
  const present = series
    .map((_, k) => k)
    .filter((k) => standing.some(({ rows }) => rows.some((r) => r.series === k)));
  const field = (r) => {
    if (!r) return el("td");
    const place = r.step === null ? "none" : `step-${r.step}${r.veiled ? " veiled" : ""}`;
    const why =
      r.step === null
        ? r.states.map(words).join(", ")
        : (r.is_upper && r.shown !== null ? "≤ " : "") + rates(r.shown, 2);
    const short =
      r.scored < r.points && r.step !== null
        ? el("sup", { title: `${r.scored} of ${r.points} points have a gap` }, "*")
        : null;
    return el(
      "td",
      {
        class: place,
        title:
          `${series[r.series].label}: ${interval(r.gap.lo, r.gap.hi, 3)}` +
          (r.veiled ? `, of which ${rates(r.truth_width, 2)} is the width of what is known of F*` : ""),
      },
      el(r.leader ? "strong" : "span", {}, why),
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
    el(
      "div",
      { class: "scroll", tabindex: 0, role: "region", "aria-label": "Mean gap in every case" },
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

function showOverview(found) {
  const standing = [...groupBy(rowsShown(found), (r) => r.case)].map(([place, rows]) => ({
    one: cases[place],
    rows,
  }));
  document
    .getElementById("by-case")
    .replaceChildren(standing.length ? overview(standing) : nothing());
}
