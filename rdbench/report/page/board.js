// The board of a suite in full: one row per estimator and case, with every column.
function boardColumns(axis) {
  const upper = (row, value) => (row.is_upper && value !== null ? "≤ " : "") + rates(value, 3);
  return [
    {
      title: "case",
      text: true,
      sort: (r) => r.cell.case,
      cell: (r) => el("a", { href: `#${cases[r.cell.place].anchor}` }, r.cell.case),
    },
    {
      title: "estimator",
      text: true,
      sort: (r) => series[r.series].label,
      cell: (r) =>
        el(
          "a",
          { href: `#${r.cell.anchor}`, class: "name" },
          swatch(r.series),
          series[r.series].label,
        ),
    },
    {
      title: "mean gap",
      hint:
        "mean of the audited F(q) − F*, or its upper end where it is only bounded from above (≤); " +
        "± half the width of F* where it is known within bounds only",
      sort: (r) => r.shown,
      cell: (r) =>
        el(
          r.leader ? "strong" : "span",
          {},
          upper(r, r.shown),
          r.truth_doubt === null || r.step === null ? "" : ` ± ${rates(r.truth_doubt, 3)}`,
          r.scored !== 0 && r.scored !== r.ok ? ` (of ${r.scored})` : "",
        ),
    },
    { title: "its interval, drawn", text: true, cell: (r) => whisker(r, axis) },
    {
      title: "95% interval",
      hint: "[mean of the lower ends, mean of the upper ends]; sorted by the upper end",
      sort: (r) => r.gap.hi,
      cell: (r) => (r.step === null ? ABSENT : interval(r.gap.lo, r.gap.hi, 3)),
    },
    {
      title: "behind the best",
      hint:
        "the gap less that of the best, in pairs on the same symbols, with its 95% interval; over " +
        "the slopes that both have. Of audited values: what is only bounded " +
        "from above may be better than it looks",
      sort: (r) => r.behind?.value,
      cell: behindCell,
    },
    {
      title: "good to R*",
      hint:
        "the highest rate up to which every gap is good, by its upper end at most 0.05 nats; ≥ " +
        "where the ladder ends there",
      sort: (r) => r.good_to?.rate,
      cell: (r) => (r.good_to?.is_top ? "≥ " : "") + rates(r.good_to?.rate, 3),
    },
    {
      title: "median gap",
      hint: "which no single rate rules; of upper bounds by their upper ends",
      sort: (r) => r.median?.gap,
      cell: (r) => upper(r, r.median?.gap ?? null),
    },
    {
      title: "claimed",
      hint: "mean gap by the estimator's own formula",
      sort: (r) => r.claims.mean_gap,
      cell: (r) => rates(r.claims.mean_gap, 3),
    },
    {
      title: "claim",
      text: true,
      hint: "the most alarming verdict on a claim, and on how many points",
      sort: (r) => (r.claims.verdicts.length ? DATA.verdicts.indexOf(r.claims.verdicts[0][0]) : null),
      cell: verdictCell,
    },
    {
      title: "worst gap",
      hint: "95% interval of the largest gap on the ladder of rates; sorted by its upper end",
      sort: (r) => r.worst?.hi ?? r.worst?.gap,
      cell: (r) => (r.worst === null ? ABSENT : interval(r.worst.lo, r.worst.hi, 3)),
    },
    {
      title: "at R*",
      hint: "the true rate at which the gap is largest",
      sort: (r) => r.worst?.rate,
      cell: (r) => rates(r.worst?.rate, 3),
    },
    {
      title: "q is",
      text: true,
      hint: "the family of q; the points whose q is where the fit began have no rank",
      sort: (r) => r.q_is.join(", "),
      cell: (r) => r.q_is.join(", ") || ABSENT,
    },
    {
      title: "gain over start",
      hint: "mean of F(start) − F(q), with its 95% interval; sorted by its lower end",
      sort: (r) => r.gain.lo,
      cell: (r) => interval(r.gain.lo, r.gain.hi, 3),
    },
    {
      title: "side",
      text: true,
      hint: "of what the interval is",
      sort: (r) => r.sides.join(", "),
      cell: (r) => r.sides.join(", ") || ABSENT,
    },
    {
      title: "CPU s",
      hint: "of the fit of one ladder, mean over seeds, without the audit",
      sort: (r) => r.cpu_s,
      cell: (r) => digits(r.cpu_s, 3),
    },
    {
      title: "ok",
      hint: "points that ended ok, of all",
      sort: (r) => (r.points ? r.ok / r.points : null),
      cell: (r) =>
        el("span", { class: r.ok < r.points || !r.points ? "short" : null }, `${r.ok}/${r.points}`),
    },
    { title: "seeds", sort: (r) => r.seeds, cell: (r) => String(r.seeds) },
  ];
}

function behindCell(r) {
  if (r.best) return "best";
  if (r.behind === null) return ABSENT;
  const { value, lo, hi, holds } = r.behind;
  return `${rates(value, 3)} ${interval(lo, hi, 3)}${holds === "exact" ? "" : ` (${holds})`}`;
}

function verdictCell(r) {
  const { verdicts } = r.claims;
  if (!verdicts.length) return ABSENT;
  const total = verdicts.reduce((n, [, k]) => n + k, 0);
  const [name, n] = verdicts[0];
  const all = verdicts.map(([word, k]) => `${word} ${k}/${total}`).join(", ");
  return el(
    "span",
    { title: all, class: r.calm ? null : "alarm" },
    r.calm && n === total ? name : `${name} ${n}/${total}`,
  );
}

// A small picture of the mean gap and its interval; of a mean that may be less, one end of it, and
// an arrow, as in the large pictures.
function whisker(r, axis) {
  if (r.shown === null) return "";
  const width = 130,
    room = 14, // for an arrow
    at = (value) => room + (width - room - 4) * within(axis.at(value));
  const picture = draw("svg", {
    class: "whisker",
    viewBox: `0 0 ${width} 16`,
    "aria-hidden": "true",
  });
  if (axis.zero)
    picture.append(draw("line", { x1: at(0), x2: at(0), y1: 1, y2: 15, class: "zero" }));
  const look = series[r.series];
  picture.append(
    draw("path", {
      class: "interval",
      stroke: look.colour,
      d:
        `M${at(r.gap.lo ?? r.shown)},8H${at(r.gap.hi ?? r.shown)}` +
        (r.is_upper ? `M${at(r.shown)},8${ARROW_LEFT}` : ""),
    }),
  );
  picture.append(mark(look, at(r.shown), 8, 3.4));
  return picture;
}

// The rows are of whole ladders; filters hide those of which no point passes.
function rowsShown(found) {
  const keyOf = (place, k) => `${place} ${k}`;
  const present = new Set(found.map(({ cell }) => keyOf(cell.place, cell.series)));
  return DATA.rows
    .filter((r) => present.has(keyOf(r.case, r.series)))
    .map((r) => ({ ...r, cell: cells[r.cells[0]] }));
}

function caseBoard(suite, found) {
  const axis = scaleOf(DATA.boards[suite], "rate", 4);
  const scale = { zero: axis.kind === "symlog", at: (v) => axis.at(inUnits(v)) };
  const columns = boardColumns(scale);
  const table = sortable(
    columns,
    `Every case of ${suite}, in ${state.units} per symbol`,
    (tbody, sorted, by) => {
      const grouped = by === null || by.title === "case";
      tbody.replaceChildren(
        ...sorted.map((one, k) =>
          row(columns, one, {
            class: grouped && k > 0 && sorted[k - 1].cell.case !== one.cell.case ? "group" : null,
            "data-series": series[one.series].label,
            "data-case": one.cell.case,
          }),
        ),
      );
    },
  );
  table.set(rowsShown(found).filter(({ cell }) => cell.suite === suite));
  return table.node;
}

const nothing = () => el("p", { class: "nothing" }, "Nothing passes the filters.");
