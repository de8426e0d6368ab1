// What several points of one estimator and case amount to, as `rdbench.report.summary` has it.
function summarise(members) {
  const inside = members.flatMap((member) => member.points);
  const known = inside.filter(scored);
  const upper = known.some((i) => point.side[i] === "upper");
  const found = meanGap(known);
  const claimed = inside.filter((i) => answered(i) && point.claimed_gap[i] !== null);
  const cpu = members.map(({ cell }) => cell.cpu_s).filter((s) => s !== null);
  return {
    seeds: new Set(members.map(({ cell }) => cell.seed)).size,
    points: inside.length,
    ok: inside.filter((i) => point.status[i] === "ok").length,
    scored: known.length,
    ...found,
    // of a mean that is bounded from above its upper end: the estimate below it is no bound
    shown: upper && found.gap !== null ? found.hi : found.gap,
    median: medianGap(known),
    worst: worstGap(inside),
    goodTo: leastGood(members.map(({ cell }) => cell)),
    doubt: truthDoubt(known),
    slack: truthWidth(known),
    sides: [...new Set(known.map((i) => point.side[i]).filter(Boolean))].sort(),
    upper,
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

// The one number that stands for the gap of a point: of an upper bound its upper end.
const shownGap = (i) =>
  point.side[i] === "upper" && point.gap[i] !== null ? point.gap_hi[i] : point.gap[i];

function medianGap(known) {
  const values = known.map(shownGap);
  if (!values.length || values.some((v) => v === null)) return null;
  values.sort((a, b) => a - b);
  const half = values.length >> 1;
  return values.length % 2 ? values[half] : 0.5 * values[half - 1] + 0.5 * values[half];
}

// What a point says of the worst gap; of one whose audit failed its gate, its lower end.
function worstOf(i) {
  const upper = point.side[i] === "upper";
  if (upper && point.gap[i] !== null && point.gap_hi[i] !== null)
    return { gap: point.gap_hi[i], at: point.at[i], bound: false };
  if (point.gap[i] !== null) return { gap: point.gap[i], at: point.at[i], bound: false };
  return gapLo(i) === null ? null : { gap: gapLo(i), at: point.at[i], bound: true };
}

// The largest gap, and the interval of the largest true gap: the largest upper end, and the largest
// of the lower ends, each moved down to where they hold for all points at once.
function worstGap(inside) {
  const known = inside.filter((i) => answered(i) && worstOf(i) !== null);
  if (!known.length) return null;
  const worst = known.map(worstOf).reduce((a, b) => (b.gap > a.gap ? b : a));
  const twoSided = known.filter((i) => gapLo(i) !== null);
  const factor = twoSided.length ? DATA.stretch[twoSided.length - 1] : 1;
  const ends = twoSided.map((i) => {
    if (point.gap[i] === null) return gapLo(i);
    const truth =
      point.truth_lo[i] === null || point.truth_hi[i] === null
        ? 0
        : 0.5 * (point.truth_hi[i] - point.truth_lo[i]);
    return gapLo(i) - (factor - 1) * Math.max(point.gap[i] - truth - gapLo(i), 0);
  });
  const tops = known.map((i) => point.gap_hi[i]);
  return {
    ...worst,
    lo: ends.length ? ends.reduce((a, b) => Math.max(a, b)) : null,
    hi: tops.every((v) => v !== null) ? tops.reduce((a, b) => Math.max(a, b)) : null,
  };
}

// The highest rate up to which all gaps of all these ladders are good, whatever the filters.
function leastGood(mine) {
  if (!mine.length || mine.some((cell) => cell.good_to === null)) return null;
  const rate = mine.map((cell) => cell.good_to).reduce((a, b) => Math.min(a, b));
  return {
    rate,
    top: mine.every((cell) => cell.good_to > rate || cell.good_throughout),
  };
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

// Who leads a case and by how much the others are behind, by paired differences over all records,
// whatever the filters say: `rdbench.report.paired` has worked it out.
const places = new Map(
  DATA.standings.map((one) => [`${cells[one.cell].place} ${cells[one.cell].series}`, one]),
);

// The summaries of every estimator in one case, the best first, then by how far they are behind it,
// then by their gaps; what has none comes last. Leaders are marked as such where the row is about
// all of their points.
function standings(members) {
  const rows = [...groupBy(members, ({ cell }) => cell.series)].map(([key, mine]) => ({
    series: key,
    cell: mine[0].cell,
    members: mine,
    place: places.get(`${mine[0].cell.place} ${key}`) ?? null,
    ...summarise(mine),
  }));
  rows.sort(
    (a, b) =>
      compare(a.place?.behind ?? null, b.place?.behind ?? null, 1) || compare(a.shown, b.shown, 1),
  );
  for (const one of rows) {
    const all = cases[one.cell.place].cells
      .map((k) => cells[k])
      .filter((cell) => cell.series === one.series);
    one.best =
      one.place !== null &&
      one.place.leader &&
      one.points === sum(all.map((cell) => cell.points));
  }
  return rows;
}
