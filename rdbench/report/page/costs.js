const MOST_TAGS = 8; // names beside marks; the legend has them anyway

// Accuracy against CPU seconds: of whole ladders, and of checkpoints where a run kept them.
function drawCosts(members, _, one) {
  const ladders = members
    .map(({ cell, points }) => ({ cell, points, ...meanGap(points.filter(scored)) }))
    .filter((r) => r.gap !== null && r.cell.cpu_s > 0);
  if (!ladders.length) return null;
  const items = ladders.map((r) => ({ gap: inUnits(r.gap), lo: inUnits(r.lo), hi: inUnits(r.hi) }));
  const seconds = ladders.map((r) => r.cell.cpu_s);
  const x = logScale(Math.min(...seconds) / 1.6, Math.max(...seconds) * 1.6);
  const distinct = (list) => new Set(list).size;
  const without =
    distinct(members.map(({ cell }) => cell.series)) - distinct(ladders.map((r) => r.cell.series));
  const notes = without ? [`${plural(without, "estimator")} without a gap`] : [];
  if (distinct(ladders.map((r) => r.points.map((i) => point.beta[i]).join())) > 1)
    notes.push("ladders of different rates");
  const plot = frame(
    x,
    gapScale(items),
    "CPU seconds of the ladder",
    `mean gap, ${state.units}`,
    `gap against CPU seconds, ${one.case}`,
    { notes },
  );
  const labels = [];
  ladders.forEach((r, n) => {
    const look = series[r.cell.series],
      at = plot.X(r.cell.cpu_s),
      height = plot.Y(items[n].gap);
    plot.ink.append(
      draw(
        "g",
        { "data-series": r.cell.series },
        linked(
          r.cell,
          `${look.label}, seed ${r.cell.seed}\nmean gap ${rates(r.gap, 4)} ${interval(r.lo, r.hi, 4)}\n${digits(r.cell.cpu_s, 4)} CPU s, ${plural(r.points.length, "point")}`,
          bar(
            plot,
            at,
            items[n],
            r.points.some((i) => scored(i) && point.side[i] === "upper"),
            look.colour,
          ),
          mark(look, at, height, 5),
        ),
      ),
    );
    if (!labels.some((label) => label.k === r.cell.series))
      labels.push({ k: r.cell.series, at, height });
  });
  if (labels.length <= MOST_TAGS) tag(plot, labels);
  return plot.picture;
}

// Names beside their marks, moved apart where they would touch.
function tag(plot, labels) {
  labels.sort((a, b) => a.height - b.height);
  let last = -Infinity;
  for (const label of labels) {
    const left = label.at > 0.62 * WIDTH;
    const height = Math.max(label.height + 4, last + 12);
    last = height;
    plot.ink.append(
      draw(
        "text",
        {
          class: "tag",
          fill: series[label.k].colour,
          x: label.at + (left ? -9 : 9),
          y: Math.min(height, plot.bottom - 2),
          "text-anchor": left ? "end" : "start",
        },
        series[label.k].label,
      ),
    );
  }
}

function drawTraces(members, _, one) {
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
  const all = [...lines.values()].flat();
  const items = all.map((k) => ({ gap: inUnits(traces.gap[k]), lo: null, hi: null }));
  const seconds = all.map((k) => traces.cpu_s[k]);
  const x = logScale(Math.min(...seconds) / 1.2, Math.max(...seconds) * 1.2);
  const plot = frame(
    x,
    gapScale(items),
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
