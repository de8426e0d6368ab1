// The audited points over the true curve with its bracket. R(D) comes as the figures draw it: lines
// of points (D, R), and bands (D, lower, upper) where it is not known closely. They are made to be
// joined by strokes; nothing is interpolated here.

// The parts of a line or a band within the axes.
function inside(points, x, top) {
  const parts = [[]];
  for (const [d, ...rates] of points) {
    const shown = rates.map(inUnits);
    if (d >= x.lo && d <= x.hi && shown.every((r) => r <= top)) parts.at(-1).push([d, ...shown]);
    else if (parts.at(-1).length) parts.push([]);
  }
  return parts.filter((part) => part.length);
}

function drawTruth(plot, one, x, top) {
  for (const part of one.bands.flatMap((band) => inside(band, x, Infinity))) {
    const edge = [
      ...part.map(([d, lo]) => [d, lo]),
      ...part.map(([d, , hi]) => [d, Math.min(hi, top)]).reverse(),
    ];
    plot.ink.append(draw("path", { class: "band", d: `${path(plot, edge)}Z` }));
  }
  for (const part of one.lines.flatMap((line) => inside(line, x, top)))
    plot.ink.append(
      draw("path", { class: part.length > 1 ? "truth" : "truth dot", d: path(plot, part.length > 1 ? part : [part[0], part[0]]) }),
    );
}

// Between the best bounds that estimators give: the lower one dashed, the upper one dotted.
function drawSides(plot, one, x, top) {
  if (one.sides === null) return;
  const parts = inside(one.sides.band, x, Infinity);
  const under = (points) => points.map(([d, r]) => [d, Math.min(r, top)]);
  for (const part of parts) {
    const lower = under(part);
    const upper = under(part.map(([d, , hi]) => [d, hi]));
    plot.ink.append(
      draw("path", { class: "sides", d: `${path(plot, [...lower, ...[...upper].reverse()])}Z` }),
      draw("path", { class: "side lower", d: path(plot, lower) }),
      draw("path", { class: "side", d: path(plot, upper) }),
    );
  }
  for (const part of inside(one.sides.lower, x, top))
    plot.ink.append(draw("path", { class: "side lower", d: path(plot, part) }));
}

// How wide the band is, in words.
function widthOf(one) {
  if (one.sides.crossing) return `bounds contradict each other: ${one.sides.crossing}`;
  const name = "between the bounds of the estimators";
  if (one.sides.widths === null) return name;
  const [lo, hi] = one.sides.widths.map((w) => rates(w, 2));
  return `${name}, ${lo === hi ? lo : `${lo} to ${hi}`} ${state.units} wide`;
}

const sidesSwatch = () =>
  draw(
    "svg",
    { class: "swatch", viewBox: "0 0 26 14", "aria-hidden": "true" },
    draw("rect", { class: "sides", x: 1, y: 2, width: 24, height: 10 }),
    draw("path", { class: "side", d: "M1,2H25" }),
    draw("path", { class: "side lower", d: "M1,12H25" }),
  );

// The 95% intervals of D and R, where the records hold them.
function crossBars(plot, i, look) {
  const [d, r] = [point.distortion[i], point.rate[i]];
  const [dd, dr] = [point.distortion_half[i], point.rate_half[i]];
  if (dd === null || dr === null) return "";
  const [X, Y] = [(v) => plot.X(v).toFixed(2), (v) => plot.Y(inUnits(v)).toFixed(2)];
  return draw("path", {
    class: "interval thin",
    stroke: look.colour,
    d: `M${X(d - dd)},${Y(r)}H${X(d + dd)}M${X(d)},${Y(r - dr)}V${Y(r + dr)}`,
  });
}

function drawCurve(members, one) {
  const { distortion, rate } = one.axes;
  if (distortion === null) return null;
  const audited = (i) => answered(i) && point.rate[i] !== null && point.distortion[i] !== null;
  const placed = (i) => audited(i) && !point.impossible[i];
  const untrue = pointsOf(members, (i) => audited(i) && point.impossible[i]).length;
  const known = pointsOf(members, placed);
  const x = scaleOf(distortion);
  const top = inUnits(rate.hi);
  const beyond = known.filter((i) => inUnits(point.rate[i]) > top).length;
  const plot = frame(
    x,
    scaleOf(rate, "rate", 5),
    `distortion D, ${words(one.distortion)}`,
    `rate R, ${state.units}`,
    `R(D) curve of ${one.case}`,
    {
      notes: [
        ...(beyond ? [`${plural(beyond, "point")} above ↑`] : []),
        ...(untrue ? [`${plural(untrue, "point")} with impossible R, D not drawn`] : []),
      ],
    },
  );
  drawSides(plot, one, x, top);
  drawTruth(plot, one, x, top);
  const present = bySeries(members);
  present.forEach(({ k, look, members: mine }, rank) => {
    // Those that are right lie on one another: each later one is smaller.
    const size = 5.6 - (2.4 * rank) / Math.max(1, present.length - 1);
    const group = draw("g", { "data-series": k });
    for (const i of pointsOf(mine, placed)) {
      const rate = inUnits(point.rate[i]);
      group.append(
        linked(
          cells[point.cell[i]],
          `${tell(i)}\nR ${rates(point.rate[i], 4)}, D ${digits(point.distortion[i], 4)}${rate > top ? " (above the axis)" : ""}`,
          rate > top
            ? draw("path", {
                class: "beyond",
                stroke: look.colour,
                d: `M${plot.X(point.distortion[i]) - 4},${TOP + 6}l4,-6l4,6`,
              })
            : [
                crossBars(plot, i, look),
                mark(lookAt(i, look), plot.X(point.distortion[i]), plot.Y(rate), size),
              ],
        ),
      );
    }
    plot.ink.append(group);
  });
  return plot.picture;
}
