// The records as columns: `point.gap[i]` is the gap of point i, `cells[point.cell[i]]` its cell.
// What is a statistic (means, ranks, verdicts, limits of axes) has been computed in Python.
const DATA = JSON.parse(document.getElementById("data").textContent);
const { cells, series, traces, cases } = DATA;
const scoredStatuses = new Set(DATA.scored);

cases.forEach((one, k) => {
  one.place = k;
  one.key = JSON.stringify([one.suite, one.case]);
  one.anchor = `case-${k}`;
  for (const cell of one.cells) cells[cell].place = k;
});
const point = unpack();
const count = point.cell.length;

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
  return found;
}

const indices = (cell) => Array.from({ length: cell.points }, (_, i) => cell.first + i);
const answered = (i) => scoredStatuses.has(point.status[i]);
const scored = (i) => answered(i) && point.gap[i] !== null;
// The mark stands at the gap as it is printed: of one that is bounded from above, at the bound.
const drawnGap = (i) => point.shown[i] ?? point.gap[i];
