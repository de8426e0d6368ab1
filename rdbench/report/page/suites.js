// What is told suite by suite: the boards, the race, the field, and who fails where.

// The suites that pass the filters, with their rows that do: rows are of whole ladders.
function suitesShown(found) {
  const keyOf = (suite, k) => JSON.stringify([suite, k]);
  const present = new Set(found.map(({ cell }) => keyOf(cell.suite, cell.series)));
  return DATA.suites
    .map((answer, place) => ({
      answer,
      place,
      title: answer.settings ? `${answer.suite}, ${answer.settings}` : answer.suite,
      rows: answer.rows.filter((r) => present.has(keyOf(answer.suite, r.series))),
    }))
    .filter(({ rows }) => rows.length);
}

// A folded board for every suite, with its leaders in the line that is seen; the first is open
// until a reader opens or closes one.
function showBoards(suites, found) {
  const before = body("leaderboard").childElementCount > 0;
  const open = openOnes("details.board[open]", "id");
  const openCases = openOnes(".by-case[open]", "suite");
  const boards = suites.map(({ answer, place, title, rows }, k) => {
    const inside = el("div", { class: "inside" });
    const all = el("div");
    const cases = el(
      "details",
      { class: "by-case", "data-suite": place },
      el("summary", {}, "Every case, all columns"),
      el(
        "p",
        { class: "hint" },
        "One row per estimator and case, over its rates and seeds. Bold: the best, and whoever is " +
          "not significantly worse by the paired difference on the same symbols. Both have an " +
          "interval at every slope, in every seed; hidden estimators count. Audited values are " +
          "compared: a gap that is only bounded from above (≤) may be smaller than it looks.",
      ),
      all,
    );
    cases.open = openCases.has(String(place));
    const box = el(
      "details",
      { class: "board", "data-suite": answer.suite, id: `suite-${place}` },
      el(
        "summary",
        {},
        el("h3", {}, title),
        el("span", { class: "about" }, `${plural(answer.cases, "case")}: ${shortLead(answer)}`),
      ),
      inside,
      cases,
    );
    box.open = before ? open.has(box.id) : k === 0;
    const inFull = foldable(cases, () => all.replaceChildren(caseBoard(answer.suite, found)));
    foldable(box, () => {
      const caption = `Leaderboard of ${title}, in ${state.units} per symbol`;
      inside.replaceChildren(...answerTable(answer, rows, caption));
      inFull.refresh();
    }).refresh();
    return box;
  });
  body("leaderboard").replaceChildren(...(boards.length ? boards : [nothing()]));
  forgetFolds();
}

const openOnes = (selector, name) =>
  new Set([...document.querySelectorAll(selector)].map((node) => node.dataset[name] ?? node.id));

function matrix(id, caption, suites, lines) {
  return el(
    "div",
    { class: "scroll", tabindex: 0, role: "region", "aria-label": caption },
    el(
      "table",
      { class: "matrix", id },
      el("caption", { class: "unseen" }, caption),
      el(
        "thead",
        {},
        el(
          "tr",
          {},
          el("th", { scope: "col", class: "text" }, "estimator"),
          suites.map(({ place, title }) =>
            el("th", { scope: "col" }, el("a", { href: `#suite-${place}` }, words(title))),
          ),
        ),
      ),
      el("tbody", {}, lines),
    ),
  );
}

// A line per series, with a field for every suite.
function lineOf(k, suites, field) {
  const known = suites.map(({ answer, rows }) => [rows.find((r) => r.series === k), answer]);
  return el(
    "tr",
    { "data-series": series[k].label },
    el("th", { scope: "row", class: "text" }, el("span", { class: "name" }, nameOf(k))),
    known.map(([r, answer]) =>
      r === undefined ? el("td", { class: "none" }, "not run") : field(r, answer),
    ),
  );
}

const seriesIn = (suites, keep) =>
  series.map((_, k) => k).filter((k) =>
    suites.some(({ rows }) => rows.some((r) => r.series === k && keep(r))),
  );

// The field: the worst gap of every estimator in every suite.
function showField(suites) {
  const field = (r, answer) => {
    if (r.worst === null)
      return el("td", { class: "none" }, r.missing.map(([status]) => told(status)).join(", ") || "lost");
    const short = r.scored < r.points || r.lost > 0 || r.run_on < answer.cases;
    return el(
      "td",
      {
        class: `step-${r.step}${r.veiled ? " veiled" : ""}`,
        title: `${series[r.series].label}: ${interval(r.worst.lo, r.worst.hi, 3)}; ${r.cases} of ${plural(answer.cases, "case")}; refused or failed: ${lossText(r)}`,
      },
      el(r.rank === 1 ? "strong" : "span", {}, worstText(r, 2)),
      short ? el("sup", {}, "*") : "",
    );
  };
  const lower = seriesIn(suites, (r) => r.is_lower);
  const upper = seriesIn(suites, () => true).filter((k) => !lower.includes(k));
  const lines = upper.map((k) => lineOf(k, suites, field));
  if (lower.length)
    lines.push(
      el(
        "tr",
        { class: "heading" },
        el("th", { scope: "rowgroup", class: "text", colspan: suites.length + 1 }, "Lower bounds: F* less the bound"),
      ),
      ...lower.map((k) => lineOf(k, suites, field)),
    );
  body("field").replaceChildren(
    ...(lines.length
      ? [matrix("field-table", `Worst gap of every estimator in every suite, in ${state.units} per symbol`, suites, lines)]
      : [nothing()]),
  );
}

// Who fails where: what has no gap, of how many points.
function showFailures(suites) {
  const failing = seriesIn(suites, (r) => r.scored < r.points || r.lost > 0);
  const field = (r) => {
    const missing = r.missing.filter(([status]) => status !== "q is its start");
    if (!missing.length && !r.lost) return el("td", { class: "none" }, "none");
    return el("td", { class: "short" }, lossText({ ...r, missing }));
  };
  document.getElementById("failing").replaceChildren(
    failing.length
      ? matrix(
          "failing-table",
          "Points without a gap, by estimator and suite",
          suites,
          failing.map((k) => lineOf(k, suites, field)),
        )
      : el("p", {}, "Nobody: every point shown has a gap."),
  );
}
