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

function verdictsOf(inside) {
  return DATA.verdicts
    .map((name) => [name, inside.filter((i) => point.claim[i] === name).length])
    .filter(([, n]) => n > 0);
}

// The summaries of every estimator in one case, the smallest gap first, what has none last.
function standings(members) {
  const rows = [...groupBy(members, ({ cell }) => cell.series)].map(([key, mine]) => ({
    series: key,
    cell: mine[0].cell,
    members: mine,
    ...summarise(mine),
  }));
  rows.sort((a, b) => compare(a.gap, b.gap, 1));
  for (const one of rows) {
    const others = rows.filter((other) => other !== one && other.gap !== null);
    one.best =
      one.hi !== null &&
      one.scored === one.points &&
      others.length > 0 &&
      others.every((other) => other.lo !== null && one.hi < other.lo);
  }
  return rows;
}
