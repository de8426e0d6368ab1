// Draws of p(y|x) where records keep them: a small picture per rate and estimator.
const SYMBOLS = ["o", "^", "s", "D"];
const SYMBOL_COLOURS = ["#0072B2", "#D55E00", "#009E73", "#CC79A7"];
const SIDE = 190;

const samplesOf = (members) => {
  const inside = new Map(members.map((one) => [one.cell, new Set(one.points)]));
  return DATA.draws.points.filter((kept) =>
    inside.get(cells[kept.cell])?.has(cells[kept.cell].first + kept.point),
  );
};

function fit(all) {
  const values = all.map(tame);
  const lo = Math.min(...values),
    hi = Math.max(...values),
    pad = 0.05 * (hi - lo || 1);
  return (v) => 6 + (SIDE - 12) * within((v - lo + pad) / (hi - lo + 2 * pad));
}

function drawPlane(kept, base) {
  const all = [...base.source, ...base.x, ...kept.y.flat(), ...kept.reproduction];
  const X = fit(all.map((v) => v[0])),
    flip = fit(all.map((v) => -v[1])),
    Y = (v) => flip(-v);
  const picture = draw("svg", {
    viewBox: `0 0 ${SIDE} ${SIDE}`,
    role: "img",
    "aria-label": "draws of p(y|x) in the plane",
  });
  const dot = (v) => draw("circle", { class: "source", cx: X(v[0]), cy: Y(v[1]), r: 1.7 });
  picture.append(...base.source.map(dot));
  picture.append(
    ...kept.reproduction.map((v) =>
      draw("path", {
        class: "image",
        d: `M${X(v[0]) - 2.4},${Y(v[1])}h4.8M${X(v[0])},${Y(v[1]) - 2.4}v4.8`,
      }),
    ),
  );
  kept.y.forEach((ys, k) =>
    picture.append(
      ...ys.map((v) =>
        mark(
          { marker: SYMBOLS[k % 4], colour: SYMBOL_COLOURS[k % 4], filled: false },
          X(v[0]),
          Y(v[1]),
          2.6,
        ),
      ),
    ),
  );
  base.x.forEach((v, k) =>
    picture.append(
      mark(
        { marker: SYMBOLS[k % 4], colour: SYMBOL_COLOURS[k % 4], filled: true },
        X(v[0]),
        Y(v[1]),
        5.2,
      ),
    ),
  );
  return picture;
}

function drawLine(kept, base) {
  const X = fit(
    [...base.source, ...base.x, ...kept.y.flat(), ...kept.reproduction].map((v) => v[0]),
  );
  const picture = draw("svg", {
    viewBox: `0 0 ${SIDE} ${SIDE - 10}`,
    role: "img",
    "aria-label": "draws of p(y|x) on the line",
  });
  base.x.forEach((v, k) => {
    const height = 16 + 27 * k,
      look = { marker: SYMBOLS[k % 4], colour: SYMBOL_COLOURS[k % 4] };
    picture.append(draw("line", { class: "rail", x1: 6, x2: SIDE - 6, y1: height, y2: height }));
    for (const y of kept.y[k])
      picture.append(
        draw("line", {
          x1: X(y[0]),
          x2: X(y[0]),
          y1: height - 6,
          y2: height + 6,
          stroke: look.colour,
          "stroke-width": 1,
          opacity: 0.75,
        }),
      );
    picture.append(mark({ ...look, filled: true }, X(v[0]), height - 9, 3.8));
  });
  const below = 16 + 27 * base.x.length;
  [
    ["source", base.source, "source"],
    ["Y", kept.reproduction, "image"],
  ].forEach(([label, values, kind], k) => {
    const floor = below + 30 * k + 18,
      bins = new Array(24).fill(0);
    for (const v of values) bins[Math.min(23, Math.max(0, Math.floor((24 * X(v[0])) / SIDE)))] += 1;
    const most = Math.max(...bins);
    bins.forEach(
      (n, b) =>
        n &&
        picture.append(
          draw("rect", {
            class: kind,
            x: (b * SIDE) / 24 + 0.5,
            width: SIDE / 24 - 1,
            y: floor - (22 * n) / most,
            height: (22 * n) / most,
          }),
        ),
    );
    picture.append(draw("text", { class: "note", x: 4, y: floor - 12 }, label));
  });
  return picture;
}

function sampleFigures(members) {
  const rows = groupBy(
    samplesOf(members),
    (kept) => point.beta[cells[kept.cell].first + kept.point],
  );
  const ordered = [...rows].sort((a, b) => a[0] - b[0]);
  return ordered.map(([beta, kept]) => {
    const i = cells[kept[0].cell].first + kept[0].point;
    kept.sort((a, b) => cells[a.cell].series - cells[b.cell].series);
    return el(
      "div",
      {},
      el("h5", {}, `R* = ${rates(point.at[i], 3)} ${state.units}, β = ${digits(beta, 3)}`),
      el(
        "div",
        { class: "small-multiples" },
        kept.map((one) => {
          const cell = cells[one.cell],
            base = DATA.draws.bases[one.base];
          return el(
            "figure",
            {},
            base.x[0]?.length === 1 ? drawLine(one, base) : drawPlane(one, base),
            el(
              "figcaption",
              {},
              el(
                "a",
                { href: `#${cell.anchor}`, class: "name" },
                swatch(cell.series),
                series[cell.series].label,
              ),
            ),
          );
        }),
      ),
    );
  });
}
