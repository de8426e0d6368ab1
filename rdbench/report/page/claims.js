// What is claimed against what the audit finds.
function drawClaims(members, one) {
  const known = pointsOf(members, (i) => scored(i) && point.claimed_gap[i] !== null);
  if (!known.length) return null;
  const scale = scaleOf(one.axes.claims, "rate");
  const slack = inUnits(one.tolerance);
  const plot = frame(
    scale,
    scale,
    `audited gap, ${state.units}`,
    `claimed gap, ${state.units}`,
    `claimed against audited gap, ${one.case}`,
  );
  // Where scale is not straight a line has to be drawn through many points.
  const steps = Array.from({ length: 121 }, (_, k) => unscale(scale, k / 120));
  plot.ink.append(
    draw("path", {
      class: "slack",
      d: `${path(plot, [...steps.map((v) => [v, v + slack]), ...steps.map((v) => [v, v - slack]).reverse()])}Z`,
    }),
    draw("path", {
      class: "truth thin",
      d: path(
        plot,
        steps.map((v) => [v, v]),
      ),
    }),
  );
  for (const { k, look, members: mine } of bySeries(members)) {
    const group = draw("g", { "data-series": k });
    for (const i of pointsOf(mine, (j) => scored(j) && point.claimed_gap[j] !== null)) {
      const { gap, lo, hi } = spread(i),
        claimed = plot.Y(inUnits(point.claimed_gap[i]));
      group.append(
        linked(
          cells[point.cell[i]],
          tell(i),
          draw("path", {
            class: "interval thin",
            stroke: look.colour,
            d:
              `M${plot.X(Math.min(lo ?? gap, gap))},${claimed}H${plot.X(Math.max(hi ?? gap, gap))}` +
              (point.side[i] === "upper" ? `M${plot.X(gap)},${claimed}${ARROW_LEFT}` : ""),
          }),
          mark(look, plot.X(gap), claimed, 3.8),
        ),
      );
    }
    plot.ink.append(group);
  }
  return plot.picture;
}

function unscale(scale, part) {
  let lo = scale.lo,
    hi = scale.hi;
  for (let k = 0; k < 60; k++) {
    const middle = (lo + hi) / 2;
    if (scale.at(middle) < part) lo = middle;
    else hi = middle;
  }
  return (lo + hi) / 2;
}
