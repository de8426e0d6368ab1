// All points that pass, a page of rows at a time.
const PER_PAGE = 50;
const MOST_PRINTED = 500;

const pointColumns = [
  {
    title: "suite",
    text: true,
    sort: (i) => cells[point.cell[i]].suite,
    cell: (i) => cells[point.cell[i]].suite,
  },
  {
    title: "case",
    text: true,
    sort: (i) => cells[point.cell[i]].case,
    cell: (i) => cells[point.cell[i]].case,
  },
  {
    title: "estimator",
    text: true,
    sort: (i) => series[cells[point.cell[i]].series].label,
    cell: (i) => {
      const cell = cells[point.cell[i]];
      return el(
        "a",
        { href: `#${cell.anchor}`, class: "name" },
        swatch(cell.series),
        series[cell.series].label,
      );
    },
  },
  {
    title: "seed",
    sort: (i) => cells[point.cell[i]].seed,
    cell: (i) => String(cells[point.cell[i]].seed),
  },
  {
    title: "R*",
    hint: "the true rate at this slope",
    sort: (i) => point.at[i],
    cell: (i) => rates(point.at[i], 4),
  },
  {
    title: "β",
    hint: "the slope, nats per unit of distortion",
    sort: (i) => point.beta[i],
    cell: (i) => digits(point.beta[i], 4),
  },
  { title: "status", text: true, sort: (i) => point.state[i], cell: (i) => words(point.state[i]) },
  {
    title: "gap",
    hint: "audited F(q) − F*",
    sort: (i) => point.shown[i],
    cell: (i) =>
      (point.side[i] === "upper" && point.shown[i] !== null ? "≤ " : "") + rates(point.shown[i], 4),
  },
  {
    title: "95% interval",
    hint: "sorted by its upper end",
    sort: (i) => point.gap_hi[i],
    cell: (i) => interval(point.lower[i], point.gap_hi[i], 4),
  },
  { title: "side", text: true, sort: (i) => point.side[i], cell: (i) => point.side[i] ?? ABSENT },
  {
    title: "claimed gap",
    hint: "C − F*",
    sort: (i) => point.claimed_gap[i],
    cell: (i) => rates(point.claimed_gap[i], 4),
  },
  {
    title: "claim",
    text: true,
    sort: (i) => DATA.verdicts.indexOf(point.claim[i]),
    cell: (i) => point.claim[i],
  },
  {
    title: "q is",
    text: true,
    hint: "the family of q; its start where the fit moved nothing",
    sort: (i) => point.q_is[i],
    cell: (i) => point.q_is[i] ?? ABSENT,
  },
  {
    title: "gain over start",
    hint: "F(start) − F(q), with its 95% interval; sorted by its lower end",
    sort: (i) => point.gain_lo[i],
    cell: (i) => interval(point.gain_lo[i], point.gain_hi[i], 4),
  },
  {
    title: "R",
    hint: "the audited rate",
    sort: (i) => point.rate[i],
    cell: (i) => rates(point.rate[i], 4),
  },
  {
    title: "D",
    hint: "the audited distortion, summed over dimensions",
    sort: (i) => point.distortion[i],
    cell: (i) => digits(point.distortion[i], 4),
  },
  {
    title: "p(y|x) error",
    hint: "energy distance to the optimal conditional, as a fraction of its spread",
    sort: (i) => point.conditional_error[i],
    cell: (i) => digits(point.conditional_error[i], 4),
  },
  {
    title: "ESS",
    screen: true,
    hint: "effective sample size of the audit, as a fraction",
    sort: (i) => point.ess[i],
    cell: (i) => digits(point.ess[i], 4),
  },
  {
    title: "reason",
    text: true,
    screen: true,
    sort: (i) => point.reason[i],
    cell: (i) => el("span", { class: "reason", title: point.reason[i] }, point.reason[i]),
  },
];

const pager = { page: 0, size: PER_PAGE, rows: [], printing: false };

function setUpPoints() {
  const label = el("output", { id: "rows" });
  const button = (text, name, step) =>
    el(
      "button",
      { type: "button", "aria-label": name, on: { click: () => turn(pager.page + step()) } },
      text,
    );
  const pages = () => Math.max(1, Math.ceil(pager.rows.length / pager.size));
  const first = button("«", "first page", () => -pager.page);
  const back = button("‹", "page before", () => -1);
  const next = button("›", "next page", () => 1);
  const last = button("»", "last page", () => pages() - 1 - pager.page);
  const size = el(
    "select",
    { "aria-label": "rows on a page" },
    [50, 200, 1000].map((n) => el("option", { value: n }, `${n} rows`)),
  );
  size.addEventListener("change", () => {
    pager.size = Number(size.value);
    turn(0);
  });
  let place = null;
  const table = sortable(pointColumns, "All points", (tbody, sorted) => {
    place = tbody;
    pager.rows = sorted;
    turn(0);
  });
  function turn(page) {
    pager.page = Math.min(Math.max(page, 0), pages() - 1);
    const start = pager.printing ? 0 : pager.page * pager.size;
    const end = Math.min(pager.rows.length, pager.printing ? MOST_PRINTED : start + pager.size);
    place.replaceChildren(
      ...pager.rows.slice(start, end).map((i) => row(pointColumns, i, { "data-point": i })),
    );
    const [from, to, all] = [start + 1, end, pager.rows.length].map((n) => n.toLocaleString("en"));
    const rest = pager.printing && end < pager.rows.length ? "; rdbench export has the rest" : "";
    label.textContent = pager.rows.length ? `${from}–${to} of ${all}${rest}` : "no rows";
    first.disabled = back.disabled = pager.page === 0;
    next.disabled = last.disabled = pager.page === pages() - 1;
  }
  const unit = el(
    "p",
    { class: "hint" },
    "Every row of ",
    el("code", {}, "rdbench export"),
    ", failed ones too; rates and gaps in ",
    el("span", { class: "unit" }),
    " per symbol. All columns of a point are in its cell.",
  );
  body("points").append(
    unit,
    table.node,
    el("div", { class: "pager" }, first, back, label, next, last, size),
  );
  return {
    show: (found) => table.set(found.flatMap((one) => one.points)),
    print(on) {
      pager.printing = on;
      turn(pager.page);
    },
  };
}
