const MOST_TAGS = 8; // names beside marks; the legend has them anyway

// Accuracy against CPU seconds: of whole ladders, and of checkpoints where a run kept them.
function drawCosts(members, one) {
  const ladders = members.filter(({ cell }) => cell.mean !== null && cell.cpu_s > 0);
  if (!ladders.length) return null;
  const distinct = (list) => new Set(list.map(({ cell }) => cell.series)).size;
  const without = distinct(members) - distinct(ladders);
  const notes = without ? [`${plural(without, "estimator")} without a gap`] : [];
  if (!one.one_ladder) notes.push("ladders of different rates");
  const plot = frame(
    scaleOf(one.axes.seconds),
    scaleOf(one.axes.mean_gap, "rate"),
    "CPU seconds of the ladder",
    `mean gap, ${state.units}`,
    `gap against CPU seconds, ${one.case}`,
    { notes },
  );
  joinBudgets(plot, ladders, one);
  const labels = [];
  ladders.forEach(({ cell }) => {
    const look = series[cell.series],
      { gap, lo, hi, is_upper } = cell.mean,
      [drawn, low, high] = [gap, lo, hi].map(inUnits),
      at = plot.X(cell.cpu_s),
      height = plot.Y(drawn);
    plot.ink.append(
      draw(
        "g",
        { "data-series": cell.series },
        linked(
          cell,
          `${look.label}, seed ${cell.seed}\nmean gap ${is_upper ? "≤ " : ""}${rates(gap, 4)} ${interval(lo, hi, 4)}\n${digits(cell.cpu_s, 4)} CPU s, ${plural(cell.points, "point")}`,
          bar(plot, at, { gap: drawn, lo: low, hi: high }, is_upper, look.colour),
          mark(look, at, height, 5),
        ),
      ),
    );
    if (!labels.some((label) => label.k === cell.series))
      labels.push({ k: cell.series, at, height });
  });
  if (labels.length <= MOST_TAGS) tag(plot, labels);
  return plot.picture;
}

// One line per estimator through its budgets, where there are several: the means over seeds.
function joinBudgets(plot, ladders, one) {
  for (const { series: k, points } of one.race)
    if (ladders.some(({ cell }) => series[cell.series].colour === series[k].colour))
      plot.ink.append(
        draw("path", {
          class: "join",
          stroke: series[k].colour,
          d: path(plot, points.map(([at, gap]) => [at, inUnits(gap)])),
        }),
      );
}

// Names beside their marks, moved down where they would lie on another.
function tag(plot, labels) {
  const placed = [];
  for (const { k, at, height } of labels.sort((a, b) => a.height - b.height)) {
    const text = series[k].label,
      left = at > 0.62 * WIDTH,
      from = left ? at - 9 - 6.2 * text.length : at + 9,
      to = from + 6.2 * text.length;
    let y = height + 4;
    const meets = (one) => from < one.to && one.from < to && Math.abs(y - one.y) < 11;
    while (placed.some(meets)) y += 2;
    placed.push({ from, to, y });
    plot.ink.append(
      draw(
        "text",
        {
          class: "tag",
          fill: series[k].colour,
          x: at + (left ? -9 : 9),
          y: Math.min(y, plot.bottom - 2),
          "text-anchor": left ? "end" : "start",
        },
        text,
      ),
    );
  }
}

function drawTraces(members, one) {
  const inside = new Set(members.map(({ cell }) => cell));
  const lines = groupBy(
    traces.cell
      .map((_, k) => k)
      .filter(
        (k) => inside.has(cells[traces.cell[k]]) && traces.gap?.[k] != null && traces.cpu_s[k] > 0,
      ),
    (k) => `${traces.cell[k]} ${traces.beta[k]}`,
  );
  if (!lines.size) return null;
  const plot = frame(
    scaleOf(one.axes.trace_seconds),
    scaleOf(one.axes.trace_gap, "rate"),
    "CPU seconds since the fit began",
    `gap, ${state.units}`,
    `time to accuracy, ${one.case}`,
  );
  for (const marks of lines.values()) {
    const cell = cells[traces.cell[marks[0]]],
      look = series[cell.series];
    const pairs = marks.map((k) => [traces.cpu_s[k], inUnits(traces.gap[k])]);
    const group = draw(
      "g",
      { "data-series": cell.series },
      draw("path", {
        class: "join",
        stroke: look.colour,
        "stroke-dasharray": DASHES[look.line],
        d: path(plot, pairs),
      }),
    );
    pairs.forEach(([at, gap], n) =>
      group.append(
        linked(
          cell,
          `${look.label}, seed ${cell.seed}, β ${digits(traces.beta[marks[n]], 4)}\n${digits(at, 4)} CPU s: gap ${rates(traces.gap[marks[n]], 4)}`,
          mark(look, plot.X(at), plot.Y(gap), n === pairs.length - 1 ? 4 : 2.4),
        ),
      ),
    );
    plot.ink.append(group);
  }
  return plot.picture;
}
