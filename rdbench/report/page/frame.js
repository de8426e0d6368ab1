// Axes of a picture, and what all pictures of a case have in common.
const WIDTH = 320,
  HEIGHT = 250,
  LEFT = 62,
  RIGHT = 12,
  TOP = 10,
  BOTTOM = 40,
  STRIP = 16;

// Axes with room for a strip of failures below the data and for lines of notes above.
function frame(x, y, xLabel, yLabel, name, { strip = 0, notes = [] } = {}) {
  const top = TOP + (notes.length ? 6 + 12 * notes.length : 0);
  const right = WIDTH - RIGHT,
    bottom = HEIGHT - BOTTOM;
  const X = (v) => LEFT + (right - LEFT) * within(x.at(v));
  const Y = (v) => bottom - strip - (bottom - strip - top) * within(y.at(v));
  const picture = draw("svg", {
    viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
    role: "img",
    "aria-label": name,
  });
  const axes = draw("g", { class: "axes" });
  const kind = (scale, tick) => (tick === 0 && scale.kind === "symlog" ? "zero" : "grid");
  for (const tick of apart(x.ticks, X, (text) => 6.4 * text.length + 8)) {
    axes.append(
      draw("line", { class: kind(x, tick), x1: X(tick), x2: X(tick), y1: TOP, y2: bottom }),
      draw("text", { x: X(tick), y: bottom + 15, "text-anchor": "middle" }, tickLabel(tick)),
    );
  }
  for (const tick of apart(y.ticks, Y, () => 15)) {
    axes.append(
      draw("line", { class: kind(y, tick), x1: LEFT, x2: right, y1: Y(tick), y2: Y(tick) }),
      draw("text", { x: LEFT - 6, y: Y(tick) + 4, "text-anchor": "end" }, tickLabel(tick)),
    );
  }
  axes.append(
    draw("path", { class: "spine", d: `M${LEFT},${TOP}V${bottom}H${right}` }),
    draw(
      "text",
      { class: "label", x: (LEFT + right) / 2, y: HEIGHT - 6, "text-anchor": "middle" },
      xLabel,
    ),
    draw(
      "text",
      {
        class: "label",
        transform: `translate(9 ${(TOP + bottom) / 2}) rotate(-90)`,
        "text-anchor": "middle",
      },
      yLabel,
    ),
  );
  const ink = draw("g");
  notes.forEach((text, k) =>
    axes.append(
      draw("text", { class: "note", x: right, y: TOP + 8 + 12 * k, "text-anchor": "end" }, text),
    ),
  );
  picture.append(axes, ink);
  return { picture, ink, X, Y, right, bottom };
}

// The ticks whose labels do not touch; zero comes first, then the large ones.
function apart(ticks, place, size) {
  const kept = [];
  for (const tick of [...ticks].sort((a, b) =>
    a === 0 ? -1 : b === 0 ? 1 : Math.abs(b) - Math.abs(a),
  )) {
    const half = size(tickLabel(tick)) / 2;
    if (kept.every((other) => Math.abs(place(tick) - place(other.tick)) >= half + other.half))
      kept.push({ tick, half });
  }
  return kept.map(({ tick }) => tick);
}

const linked = (cell, title, ...children) =>
  draw("a", { href: `#${cell.anchor}`, tabindex: -1 }, draw("title", {}, title), children);

const who = (i) =>
  `${series[cells[point.cell[i]].series].label}, seed ${cells[point.cell[i]].seed}`;

const tell = (i) =>
  `${who(i)}\nR* ${rates(point.at[i], 4)} ${state.units}, β ${digits(point.beta[i], 4)}\n` +
  `gap ${point.side[i] === "upper" ? "≤ " : ""}${rates(point.shown[i], 4)}, interval ${interval(point.lower[i], point.gap_hi[i], 4)}\n` +
  `claimed ${rates(point.claimed_gap[i], 4)}: ${point.claim[i]}`;

const ARROW_LEFT = "h-11m3.5,-2.5l-3.5,2.5l3.5,2.5";

// The interval of a gap: a bar, and from an upper bound an arrow that says that it may be less.
function bar(plot, x, { gap, lo, hi }, upper, colour) {
  const height = plot.Y(gap);
  return draw("path", {
    class: "interval",
    stroke: colour,
    d:
      `M${x},${plot.Y(Math.min(lo ?? gap, gap))}V${plot.Y(Math.max(hi ?? gap, gap))}` +
      (upper ? `M${x},${height}v11m-2.5,-3.5l2.5,3.5l2.5,-3.5` : ""),
  });
}

// The series present, in fixed order, each with its members.
function bySeries(members) {
  return series
    .map((look, k) => ({ k, look, members: members.filter(({ cell }) => cell.series === k) }))
    .filter((one) => one.members.length);
}

const pointsOf = (members, keep) => members.flatMap((one) => one.points).filter(keep);

const path = (plot, pairs) =>
  pairs
    .map(([x, y], k) => `${k ? "L" : "M"}${plot.X(x).toFixed(2)},${plot.Y(y).toFixed(2)}`)
    .join("");

const spread = (i) => ({
  gap: inUnits(drawnGap(i)),
  lo: inUnits(point.lower[i]),
  hi: inUnits(point.gap_hi[i]),
});
