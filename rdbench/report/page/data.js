// The records as columns: `point.gap[i]` is the gap of point i, `cells[point.cell[i]]` its cell.
const DATA = JSON.parse(document.getElementById("data").textContent);
const { cells, series, traces } = DATA;
const scoredStatuses = new Set(DATA.scored);

const point = unpack();
const count = point.cell.length;
const cases = groupCases();

function column(packed, n) {
  if (packed === null) return new Array(n).fill(null);
  if (Array.isArray(packed)) return packed;
  return packed.codes.map((code) => (code === null ? null : packed.values[code]));
}

function unpack() {
  const n = DATA.points.truth.length;
  const found = {};
  for (const [name, packed] of Object.entries(DATA.points)) found[name] = column(packed, n);
  for (const [name, packed] of Object.entries(DATA.truths)) {
    const known = packed === null ? null : column(packed);
    found[name] = found.truth.map((k) => (known === null ? null : known[k]));
  }
  found.cell = [];
  cells.forEach((cell, k) => {
    cell.first = found.cell.length;
    for (let i = 0; i < cell.points; i++) found.cell.push(k);
  });
  // Where a point stands: the true rate at its slope, else the one aimed at, else the one found.
  found.at = found.truth.map((_, i) =>
    found.rate_lo[i] !== null && found.rate_hi[i] !== null
      ? 0.5 * found.rate_lo[i] + 0.5 * found.rate_hi[i]
      : (found.target_rate[i] ?? found.rate[i]),
  );
  return found;
}

function groupCases() {
  const found = new Map();
  cells.forEach((cell, k) => {
    const key = JSON.stringify([cell.suite, cell.case]);
    if (!found.has(key)) {
      found.set(key, {
        key,
        anchor: `case-${found.size}`,
        place: found.size,
        suite: cell.suite,
        case: cell.case,
        dim: cell.dim,
        distortion: cell.distortion,
        cells: [],
      });
    }
    found.get(key).cells.push(k);
    cell.place = found.get(key).place;
  });
  return [...found.values()];
}

const indices = (cell) => Array.from({ length: cell.points }, (_, i) => cell.first + i);
const answered = (i) => scoredStatuses.has(point.status[i]);
const scored = (i) => answered(i) && point.gap[i] !== null;
// Of a gap bounded from above the mark stands at the bound: the estimate below it says little.
const drawnGap = (i) =>
  point.side[i] === "upper" && point.gap_hi[i] !== null ? point.gap_hi[i] : point.gap[i];
// Of a gap bounded from above only, the lower end is not meant.
const gapLo = (i) => (point.side[i] === "upper" ? null : point.gap_lo[i]);
