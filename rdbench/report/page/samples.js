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

// A coordinate within the axis [lo, hi] that Python chose.
const fit = ([lo, hi]) => (v) => 6 + (SIDE - 12) * within((v - lo) / (hi - lo));

function drawPlane(kept, base) {
  const X = fit(kept.axes[0]),
    up = fit(kept.axes[1]),
    Y = (v) => SIDE - up(v);
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
  const X = fit(kept.axes[0]);
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
    ["source", kept.source_bars, "source"],
    ["Y", kept.bars, "image"],
  ].forEach(([label, bars, kind], k) => {
    const floor = below + 30 * k + 18,
      most = Math.max(...bars),
      width = (SIDE - 12) / bars.length;
    bars.forEach(
      (n, b) =>
        n &&
        picture.append(
          draw("rect", {
            class: kind,
            x: 6 + b * width + 0.5,
            width: width - 1,
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
