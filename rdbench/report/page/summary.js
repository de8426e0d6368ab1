// What several points of one estimator and case amount to, as `rdbench.report.summary` has it.
function summarise(members) {
  const inside = members.flatMap((member) => member.points);
  const known = inside.filter(scored);
  const claimed = inside.filter((i) => answered(i) && point.claimed_gap[i] !== null);
  const cpu = members.map(({ cell }) => cell.cpu_s).filter((s) => s !== null);
  return {
    seeds: new Set(members.map(({ cell }) => cell.seed)).size,
    points: inside.length,
    ok: inside.filter((i) => point.status[i] === "ok").length,
    scored: known.length,
    ...meanGap(known),
    worst: worstGap(inside),
    doubt: truthDoubt(known),
    slack: truthWidth(known),
    sides: [...new Set(known.map((i) => point.side[i]).filter(Boolean))].sort(),
    upper: known.some((i) => point.side[i] === "upper"),
    claimed: mean(claimed.map((i) => point.claimed_gap[i])),
    verdicts: verdictsOf(inside.filter(answered)),
    cpu_s: mean(cpu),
  };
}

// [mean of gap_lo, mean of gap_hi]: valid however the errors of the points hang together.
function meanGap(known) {
  const ends = (of) => {
    const values = known.map(of);
    return known.length && values.every((v) => v !== null) ? mean(values) : null;
  };
  return { gap: ends((i) => point.gap[i]), lo: ends(gapLo), hi: ends((i) => point.gap_hi[i]) };
}

// The largest gap; of a point whose audit failed its gate, that it is at least its lower end.
function worstGap(inside) {
  let worst = null;
  for (const i of inside) {
    if (!answered(i)) continue;
    const bound = point.gap[i] === null;
    const value = bound ? gapLo(i) : point.gap[i];
    if (value === null || (worst !== null && value <= worst.gap)) continue;
    worst = {
      gap: value,
      at: point.at[i],
      sign: bound ? "≥ " : point.side[i] === "upper" ? "≤ " : "",
    };
  }
  return worst;
}

function truthDoubt(known) {
  if (!known.some((i) => point.truth_kind[i] === "bounds")) return null;
  const widths = known
    .filter((i) => point.truth_lo[i] !== null && point.truth_hi[i] !== null)
    .map((i) => point.truth_hi[i] - point.truth_lo[i]);
  return widths.length ? 0.5 * mean(widths) : null;
}

// The mean width of the brackets of F*: that much of the interval of a gap is the truth's alone.
function truthWidth(known) {
  const widths = known.map((i) =>
    point.truth_lo[i] === null || point.truth_hi[i] === null
      ? 0
      : point.truth_hi[i] - point.truth_lo[i],
  );
  return mean(widths) ?? 0;
}

function verdictsOf(inside) {
  return DATA.verdicts
    .map((name) => [name, inside.filter((i) => point.claim[i] === name).length])
    .filter(([, n]) => n > 0);
}

// The intervals of the gap by slope; slopes that differ by rounding alone are one.
const slopeKey = (i) => point.beta[i].toPrecision(9);
const bounded = (i) => scored(i) && point.gap_hi[i] !== null;

// The series of each case whose interval lies below every other's, if there is one, of all records
// whatever the filters say. Two series are compared by their means over the slopes at which both
// have an interval, every slope weighing the same however many seeds there are; the best one has
// an interval at every slope, in every seed; one without any takes no part, and nothing can be
// shown to lie below one without a lower end.
const winners = cases.map((one) => {
  const mine = one.cells.map((k) => cells[k]);
  const every = new Set(mine.flatMap(indices).map(slopeKey));
  const entrants = [...groupBy(mine, (cell) => cell.series)]
    .map(([key, own]) => ({
      key,
      whole: own.every((cell) => cell.points > 0 && indices(cell).every(bounded)),
      slopes: groupBy(own.flatMap(indices).filter(bounded), slopeKey),
    }))
    .filter(({ slopes }) => slopes.size > 0);
  const wins = (a) =>
    a.whole &&
    a.slopes.size === every.size &&
    entrants.length > 1 &&
    entrants.every((b) => b === a || below(a.slopes, b.slopes));
  return entrants.find(wins)?.key ?? null;
});

function below(a, b) {
  const common = [...a.keys()].filter((slope) => b.has(slope));
  const over = (of, end) => mean(common.map((slope) => mean(of.get(slope).map(end))));
  const known = common.every((slope) => b.get(slope).every((i) => gapLo(i) !== null));
  return common.length > 0 && known && over(a, (i) => point.gap_hi[i]) < over(b, gapLo);
}

// The summaries of every estimator in one case, the smallest gap first, what has none last. The
// best one is marked as such where the row is about all of its points.
function standings(members) {
  const rows = [...groupBy(members, ({ cell }) => cell.series)].map(([key, mine]) => ({
    series: key,
    cell: mine[0].cell,
    members: mine,
    ...summarise(mine),
  }));
  rows.sort((a, b) => compare(a.gap, b.gap, 1));
  for (const one of rows) {
    const all = cases[one.cell.place].cells
      .map((k) => cells[k])
      .filter((cell) => cell.series === one.series);
    one.best =
      winners[one.cell.place] === one.series &&
      one.points === sum(all.map((cell) => cell.points));
  }
  return rows;
}
