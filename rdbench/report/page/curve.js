// The audited points over the true curve with its bracket.
const HEADROOM = 1.35; // the rate axis ends at this multiple of the largest true rate

// The true curve: its slope is known at every point, dR/dD = -beta, hence a cubic through both.
function truthOf(members) {
  const seen = new Map();
  for (const i of pointsOf(members, () => true)) {
    if (
      [point.rate_lo[i], point.rate_hi[i], point.dist_lo[i], point.dist_hi[i]].every(
        (v) => v !== null,
      )
    )
      seen.set(point.beta[i], i);
  }
  return [...seen]
    .sort((a, b) => b[0] - a[0])
    .map(([beta, i]) => ({
      beta,
      rate: [point.rate_lo[i], point.rate_hi[i]].map((v) => tame(inUnits(v))),
      dist: [point.dist_lo[i], point.dist_hi[i]].map(tame),
    }));
}

function curvePoints(truth, logarithmic) {
  const nodes = truth
    .map(({ beta, rate, dist }) => {
      const d = (dist[0] + dist[1]) / 2;
      return {
        x: logarithmic ? Math.log(d) : d,
        r: (rate[0] + rate[1]) / 2,
        s: -(beta / perUnit()) * (logarithmic ? d : 1),
      };
    })
    .filter((node, k, all) => k === 0 || node.x > all[k - 1].x);
  const found = [];
  for (let k = 0; k + 1 < nodes.length; k++) {
    const a = nodes[k],
      b = nodes[k + 1],
      h = b.x - a.x;
    for (let j = 0; j < 16; j++) {
      const t = j / 16,
        u = 1 - t;
      found.push([
        a.x + t * h,
        u * u * (1 + 2 * t) * a.r +
          t * u * u * h * a.s +
          t * t * (3 - 2 * t) * b.r -
          t * t * u * h * b.s,
      ]);
    }
  }
  if (nodes.length) found.push([nodes.at(-1).x, nodes.at(-1).r]);
  const falls = found.every(
    ([, r], k) => k === 0 || r <= found[k - 1][1] + 1e-9 * Math.abs(found[0][1]),
  );
  const shown = falls ? found : nodes.map((n) => [n.x, n.r]);
  return shown.map(([x, r]) => [logarithmic ? Math.exp(x) : x, r]);
}

function drawCurve(members, truths, one) {
  const truth = truthOf(truths);
  const placed = (i) => answered(i) && point.rate[i] !== null && point.distortion[i] !== null;
  const known = pointsOf(members, placed);
  if (!known.length && !truth.length) return null;
  const x = positiveScale([
    ...known.map((i) => point.distortion[i]),
    ...truth.flatMap((t) => t.dist),
  ]);
  const largest = Math.max(0, ...known.map((i) => inUnits(point.rate[i])));
  const highest = Math.max(0, ...truth.map((t) => t.rate[1]));
  const top =
    1.08 * (truth.length ? Math.min(Math.max(largest, highest), HEADROOM * highest) : largest) || 1;
  const beyond = known.filter((i) => inUnits(point.rate[i]) > top).length;
  const plot = frame(
    x,
    linearScale(0, top, 5),
    `distortion D, ${words(one.distortion)}`,
    `rate R, ${state.units}`,
    `R(D) curve of ${one.case}`,
    { notes: beyond ? [`${plural(beyond, "point")} above ↑`] : [] },
  );
  if (truth.length) {
    const band = [
      ...truth.map((t) => [t.dist[0], t.rate[0]]),
      ...truth.map((t) => [t.dist[1], t.rate[1]]).reverse(),
    ];
    plot.ink.append(draw("path", { class: "band", d: `${path(plot, band)}Z` }));
    // Of mere bounds the middle means nothing: the band stands alone.
    if (truth.every(({ dist }) => dist[1] - dist[0] <= 0.25 * (dist[0] + dist[1]))) {
      plot.ink.append(
        draw("path", { class: "truth", d: path(plot, curvePoints(truth, x.kind === "log")) }),
      );
    }
  }
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
            : mark(look, plot.X(point.distortion[i]), plot.Y(rate), size),
        ),
      );
    }
    plot.ink.append(group);
  });
  return plot.picture;
}
