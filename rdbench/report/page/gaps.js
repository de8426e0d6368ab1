// The gap with its interval against the rate, and what has no gap.
function drawGaps(members, _, one) {
  const placed = pointsOf(members, (i) => point.at[i] !== null);
  if (!placed.length) return null;
  const present = bySeries(members),
    notes = gapNotes(present);
  const y = gapScale(placed.filter(scored).map(spread));
  const x = positiveScale(placed.map((i) => inUnits(point.at[i])));
  const plot = frame(
    x,
    y,
    `true rate R*, ${state.units}`,
    `gap, ${state.units}`,
    `gap against rate, ${one.case}`,
    { strip: STRIP, notes },
  );
  present.forEach(({ k, look, members: mine }, rank) => {
    const shift = 2.6 * (rank - (present.length - 1) / 2); // side by side: intervals overlap
    const group = draw("g", { "data-series": k, transform: `translate(${shift.toFixed(2)} 0)` });
    const inside = pointsOf(mine, (i) => point.at[i] !== null).sort(
      (a, b) => point.at[a] - point.at[b],
    );
    const good = inside.filter(scored);
    const means = [...groupBy(good, (i) => point.at[i])].map(([at, same]) => [
      inUnits(at),
      inUnits(mean(same.map(drawnGap))),
    ]);
    group.append(
      draw("path", {
        class: "join",
        stroke: look.colour,
        "stroke-dasharray": DASHES[look.line],
        d: path(plot, means),
      }),
    );
    for (const i of inside) {
      const at = plot.X(inUnits(point.at[i])),
        cell = cells[point.cell[i]];
      if (scored(i)) {
        group.append(
          linked(
            cell,
            tell(i),
            bar(plot, at, spread(i), point.side[i] === "upper", look.colour),
            mark(look, at, plot.Y(inUnits(drawnGap(i))), 3.6),
          ),
        );
      } else if (answered(i) && point.gap_hi[i] !== null) {
        const { lo, hi } = spread(i);
        group.append(
          linked(
            cell,
            `${tell(i)}\n${point.reason[i]}`,
            draw("line", {
              class: "bracket",
              x1: at,
              x2: at,
              y1: plot.Y(lo ?? y.lo),
              y2: plot.Y(hi),
              stroke: look.colour,
            }),
          ),
        );
      } else {
        group.append(
          linked(
            cell,
            `${tell(i)}\n${words(statusOf(i))}: ${point.reason[i]}`,
            mark({ marker: "x", colour: look.colour }, at, plot.bottom - 7, 3.4),
          ),
        );
      }
    }
    plot.ink.append(group);
  });
  return plot.picture;
}

// What of each series has no gap, in words.
function gapNotes(present) {
  const notes = present.flatMap(({ look, members }) => {
    const all = pointsOf(members, () => true),
      missing = all.filter((i) => !scored(i));
    const kinds = [...new Set(missing.map(statusOf))].map(words).join(", ");
    return missing.length
      ? [
          `${look.label}: ${missing.length === all.length ? "all" : `${missing.length} of ${all.length}`} ${kinds}`,
        ]
      : [];
  });
  return notes.length > 5 ? [...notes.slice(0, 4), `and ${notes.length - 4} more`] : notes;
}
