// The race: the mean gap of every estimator against its CPU seconds, over a set of cases.
function drawRace(answer, rows, name) {
  const running = rows.filter((r) => r.cpu_s > 0 && r.shown !== null && !r.is_lower);
  if (answer.axes === null || !running.length) return null;
  const plot = frame(
    scaleOf(answer.axes.seconds),
    scaleOf(answer.axes.gap, "rate"),
    "CPU seconds of a ladder",
    `mean gap, ${state.units}`,
    name,
  );
  const labels = [];
  for (const r of running) {
    const look = series[r.series],
      [gap, lo, hi] = [r.shown, r.gap.lo, r.gap.hi].map(inUnits),
      [at, height] = [plot.X(r.cpu_s), plot.Y(gap)];
    const part = r.rank === null;
    plot.ink.append(
      draw(
        "g",
        { "data-series": r.series },
        draw(
          "title",
          {},
          `${look.label}\nmean gap ${bounded(r, r.shown, 3)} ${interval(r.gap.lo, r.gap.hi, 3)}\n` +
            `${digits(r.cpu_s, 3)} CPU s; rank ${rankText(r)}; refused or failed: ${lossText(r)}`,
        ),
        bar(plot, at, { gap, lo, hi }, r.is_upper, look.colour),
        mark(look, at, height, 4.4),
        part ? draw("circle", { class: "part", cx: at, cy: height, r: 8 }) : "",
      ),
    );
    labels.push({ k: r.series, at, height });
  }
  if (labels.length <= MOST_TAGS) tag(plot, labels);
  return plot.picture;
}

// Pictures beside one another: of the problem that was chosen, and of every suite.
function showRace(suites) {
  const own = chosenAnswer();
  const fields = suites.map(({ answer, rows, title }) => ({ answer, rows, title }));
  if (own !== null) fields.unshift({ answer: own, rows: own.rows, title: `My problem: ${problemText()}` });
  const pictures = fields.map(({ answer, rows, title }) => {
    const picture = drawRace(answer, rows, `gap against CPU seconds, ${title}`);
    return picture && el("figure", { class: "plot" }, el("figcaption", {}, title), picture);
  });
  const known = pictures.filter(Boolean);
  const present = series.map((_, k) => k).filter((k) =>
    fields.some(({ rows }) => rows.some((r) => r.series === k && r.shown !== null && !r.is_lower)),
  );
  body("race").replaceChildren(
    ...(known.length
      ? [
          el(
            "p",
            { class: "legend" },
            present.map((k) => el("span", { class: "name" }, swatch(k), series[k].label)),
          ),
          el("div", { class: "strip", tabindex: 0, role: "region", "aria-label": "Race" }, known),
        ]
      : [nothing()]),
  );
}
