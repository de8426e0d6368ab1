// The gap with its interval against the rate, and what has no gap.
function drawGaps(members, one) {
  const placed = pointsOf(members, (i) => point.at[i] !== null);
  if (!placed.length) return null;
  const present = bySeries(members),
    notes = gapNotes(present, one);
  const y = scaleOf(one.axes.gap, "rate");
  const x = scaleOf(one.axes.true_rate, "rate");
  const plot = frame(
    x,
    y,
    `${one.truth === "truth not known" ? "rate aimed at" : "true rate R*"}, ${state.units}`,
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
    const here = new Set(inside.filter(scored).map((i) => point.at[i]));
    const means = one.joined[k].filter(([at]) => here.has(at));
    group.append(
      draw("path", {
        class: "join",
        stroke: look.colour,
        "stroke-dasharray": DASHES[look.line],
        d: path(plot, means.map((pair) => pair.map(inUnits))),
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
            mark(lookAt(i, look), at, plot.Y(inUnits(drawnGap(i))), 3.6),
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
            `${tell(i)}\n${words(point.state[i])}: ${point.reason[i]}`,
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
function gapNotes(present, one) {
  const notes = present.flatMap(({ k }) => one.missing[k]);
  return notes.length > 5 ? [...notes.slice(0, 4), `and ${notes.length - 4} more`] : notes;
}
