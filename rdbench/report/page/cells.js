// One block per cell, filled when it is opened, with every field of its record.
const blocks = [];

const shown = (value) =>
  value === null || value === undefined || value === ""
    ? ABSENT
    : typeof value === "object"
      ? Object.entries(value)
          .map(([k, v]) => `${k} = ${typeof v === "object" ? JSON.stringify(v) : v}`)
          .join(", ") || "none"
      : String(value);

const facts = (pairs) =>
  el(
    "dl",
    { class: "fields" },
    pairs.map(([key, value]) =>
      el("div", {}, el("dt", {}, words(key)), el("dd", {}, shown(value))),
    ),
  );

function cellContent(cell) {
  const made = DATA.environments[cell.environment];
  const known = DATA.columns.filter(({ name }) =>
    indices(cell).some((i) => point[name][i] !== null && point[name][i] !== ""),
  );
  const value = ({ name, unit, kind }, i) => {
    const found = point[name][i];
    if (kind !== "number" || found === null) return shown(found);
    return unit === "nats" ? rates(found, 6) : digits(found, 6);
  };
  const table =
    cell.points === 0
      ? el("p", {}, "It has no points.")
      : el(
          "div",
          { class: "scroll", tabindex: 0, role: "region", "aria-label": "points of the cell" },
          el(
            "table",
            {},
            el(
              "thead",
              {},
              el(
                "tr",
                {},
                known.map(({ title, kind }) =>
                  el("th", { scope: "col", class: kind === "text" ? "text" : null }, title),
                ),
              ),
            ),
            el(
              "tbody",
              {},
              indices(cell).map((i) =>
                el(
                  "tr",
                  {},
                  known.map((one) => el("td", { class: one.kind === "text" ? "text" : null }, value(one, i))),
                ),
              ),
            ),
          ),
        );
  return [
    facts([
      ["status", cell.status],
      ["reason", cell.reason],
      ["cell", cell.cell],
      ["suite", `${cell.suite}, version ${cell.suite_version}`],
      ["case", `${cell.case}, d = ${cell.dim}, ${cell.distortion}`],
      ["estimator", cell.estimator],
      ["preset", cell.preset],
      ["overrides", cell.params],
      ["hyper-parameters", cell.fields],
      ["seed", cell.seed],
      ["budget", cell.budget],
      ["training points", cell.n_train ?? "fresh draws"],
      ["CPU s", digits(cell.cpu_s, 6)],
      ["wall s", digits(cell.wall_s, 6)],
      ["peak memory, MB", digits(cell.peak_rss_mb, 6)],
      ["source samples", cell.n_source_samples],
      ["gradient steps", cell.gradient_steps],
      ["parameters", cell.n_parameters],
      ["checkpoints", traces.cell.filter((k) => cells[k] === cell).length],
      ["started", cell.started],
      ["finished", cell.finished],
      ["commit", `${made.commit}${made.dirty ? " with changes" : ""}`],
      ["versions", made.versions],
      [
        "machine",
        `${made.processor}, ${made.platform}, ${made.device}, ${plural(made.threads, "thread")}, ${plural(made.jobs, "job")}`,
      ],
      ["schema", cell.schema],
    ]),
    table,
    cell.traceback === null ? null : el("pre", {}, DATA.tracebacks[cell.traceback]),
  ].filter(Boolean);
}

function setUpCells() {
  const list = body("cells");
  for (const cell of cells) {
    const inside = el("div", { class: "inside" });
    const block = el(
      "details",
      { class: "cell", id: cell.anchor },
      el(
        "summary",
        {},
        swatch(cell.series),
        el(
          "span",
          {},
          `${cell.suite} / ${cell.case} / ${series[cell.series].label}, seed ${cell.seed}`,
        ),
        el("span", { class: "about" }, `${words(cell.status)}, ${plural(cell.points, "point")}`),
      ),
      inside,
    );
    const fold = foldable(block, () => inside.replaceChildren(...cellContent(cell)));
    blocks.push({ cell, block, fold });
    list.append(block);
  }
}

function showCells(found) {
  if (!blocks.length) setUpCells();
  const visible = new Set(found.map((one) => one.cell));
  for (const { cell, block, fold } of blocks) {
    block.hidden = !visible.has(cell);
    fold.refresh();
  }
}
