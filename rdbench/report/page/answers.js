// A table of who does best on a set of cases: the answer to a choice, or the board of a suite.
const STATUSES = {
  unsupported: "refused",
  "no gap": "without a gap",
  "q is its start": "not moved from the start",
};
const told = (status) => STATUSES[status] ?? words(status);

const bounded = (row, value, n) =>
  (row.is_upper && value !== null ? "≤ " : "") + rates(value, n);

// The largest gap: at most, where only its upper end is known; at least, where the audit failed.
const worstText = ({ worst }, n) =>
  worst === null
    ? ABSENT
    : (worst.is_bound ? "≥ " : worst.is_upper ? "≤ " : "") + rates(worst.gap, n);

// What has no gap, as "24/317 refused, 1/317 error".
function lossText(row) {
  const all = row.points.toLocaleString("en");
  const parts = row.missing.map(([status, n]) => `${n.toLocaleString("en")}/${all} ${told(status)}`);
  if (row.not_run) parts.push(`not run on ${plural(row.not_run, "case")}`);
  if (row.lost) parts.push(`${plural(row.lost, "ladder")} lost`);
  return parts.join(", ") || "none";
}

// A swatch and a name that may be broken behind its parts.
const nameOf = (k) => [
  swatch(k),
  el("span", {}, series[k].label.split(/(?<=[:+,])/).flatMap((part) => [part, el("wbr")])),
];

const rankText = (row) =>
  row.rank === null ? ABSENT : row.tied ? `${row.rank} (tie)` : String(row.rank);

function behindText(row) {
  if (row.behind === null) return row.rank === 1 ? "best" : ABSENT;
  const { value, lo, hi, holds } = row.behind;
  return `${rates(value, 2)} ${interval(lo, hi, 2)}${holds === "exact" ? "" : ` (${holds})`}`;
}

function answerColumns(answer) {
  const columns = [
    {
      title: "rank",
      text: true,
      hint: "of those with a gap at every point; who is not significantly worse, by the paired difference on the same symbols, is tied",
      sort: (r) => r.rank,
      cell: rankText,
    },
    {
      title: "estimator",
      text: true,
      sort: (r) => series[r.series].label,
      cell: (r) =>
        el(r.rank === 1 ? "strong" : "span", { class: "name" }, nameOf(r.series)),
    },
    {
      title: "worst gap",
      hint: "95% interval of the largest gap over slopes, cases and seeds; sorted by its upper end",
      sort: (r) => r.worst?.hi ?? r.worst?.gap,
      cell: (r) => (r.worst === null ? ABSENT : interval(r.worst.lo, r.worst.hi, 3)),
    },
    {
      title: "mean gap",
      hint: "mean of F(q) − F* over its points that have one, or the upper end where it is only bounded from above (≤)",
      sort: (r) => r.shown,
      cell: (r) => bounded(r, r.shown, 3),
    },
    {
      title: "CPU s",
      hint: "of the fit of one ladder, mean over the ladders with a gap, without the audit",
      sort: (r) => r.cpu_s,
      cell: (r) => digits(r.cpu_s, 3),
    },
    {
      title: "refused, failed",
      text: true,
      hint: "points without a gap, and points at which the fit has not moved",
      sort: (r) => r.missing.reduce((sum, [, n]) => sum + n, 0),
      cell: (r) => el("span", { class: lossText(r) === "none" ? null : "short" }, lossText(r)),
    },
    {
      title: "its interval",
      hint: "[mean of the lower ends, mean of the upper ends], 95%; sorted by the upper end",
      sort: (r) => r.gap.hi,
      cell: (r) => interval(r.gap.lo, r.gap.hi, 2),
    },
    {
      title: "by seed",
      hint: "the least and the largest mean gap of a seed",
      sort: (r) => r.by_seed?.[1],
      cell: (r) => (r.by_seed === null ? ABSENT : interval(...r.by_seed, 2)),
    },
    {
      title: "behind the best",
      hint: "the gap less that of rank 1, in pairs on the same symbols, at the slopes that both have; negative: it is better there",
      sort: (r) => (r.behind === null && r.rank === 1 ? 0 : r.behind?.value),
      cell: behindText,
    },
    {
      title: "gaps",
      hint: "how many points it has a gap at: what its row rests on",
      sort: (r) => r.scored,
      cell: (r) => r.scored.toLocaleString("en"),
    },
    {
      title: "cases",
      hint: "in how many cases it has a gap, of all",
      sort: (r) => r.cases,
      cell: (r) => `${r.cases}/${answer.cases}`,
    },
  ];
  return columns.filter(({ title }) => title !== "by seed" || answer.rows.some((r) => r.by_seed));
}

const isRanked = (r) => r.rank !== null;
const hasGap = (r) => r.worst !== null || r.shown !== null;
const GROUPS = [
  [isRanked, "A gap at every point"],
  [(r) => !isRanked(r), "Not at every point: no rank"],
];

// The rows of an answer: a table of those with a gap, in groups until it is sorted by a column; in
// a line those without; folded the lower bounds.
function answerTable(answer, rows, caption) {
  const parts = [];
  const upper = rows.filter((r) => hasGap(r) && !r.is_lower);
  if (upper.length) parts.push(rankTable(answer, upper, caption, GROUPS));
  const silent = rows.filter((r) => !hasGap(r));
  if (silent.length)
    parts.push(
      el(
        "p",
        { class: "hint silent" },
        "Without any gap: ",
        silent.map((r) => `${series[r.series].label} (${lossText(r)})`).join("; "),
        ".",
      ),
    );
  const lower = rows.filter((r) => hasGap(r) && r.is_lower);
  if (lower.length) {
    const inside = el("div");
    const box = el(
      "details",
      { class: "lower" },
      el("summary", {}, `${plural(lower.length, "lower bound")}: F* less the bound`),
      inside,
    );
    foldable(box, () =>
      inside.replaceChildren(rankTable(answer, lower, `Lower bounds. ${caption}`, [])),
    );
    parts.push(box);
  }
  return parts;
}

function rankTable(answer, rows, caption, kinds) {
  const columns = answerColumns(answer);
  const line = (one) => row(columns, one, { "data-series": series[one.series].label });
  const table = sortable(columns, caption, (tbody, sorted, by) => {
    const groups = kinds
      .map(([belongs, title]) => [title, sorted.filter(belongs)])
      .filter(([, members]) => members.length);
    const bare = by !== null || !kinds.length || (groups.length === 1 && isRanked(sorted[0]));
    tbody.replaceChildren(
      ...(bare
        ? sorted.map(line)
        : groups.flatMap(([title, members]) => [
            el(
              "tr",
              { class: "heading" },
              el("th", { scope: "rowgroup", class: "text", colspan: columns.length }, title),
            ),
            ...members.map(line),
          ])),
    );
  });
  table.set(rows);
  table.node.classList.add("answer");
  return table.node;
}

const names = (rows, most = 4) => {
  const known = rows.slice(0, most).map((r) => series[r.series].label);
  const rest = rows.length - known.length;
  if (rest > 0) known.push(`${rest} more`);
  return known.length < 2 ? known.join("") : `${known.slice(0, -1).join(", ")} and ${known.at(-1)}`;
};

// Who is better than the first where it has a gap, but not at every point.
function rivalText(answer) {
  const first = answer.rows.find((r) => r.rank === 1);
  const better = answer.rows.filter((r) => !isRanked(r) && r.behind !== null && r.behind.hi < 0);
  if (!first || !better.length) return "";
  const [have, are] = better.length > 1 ? ["they have", "are"] : ["it has", "is"];
  return `; where ${have} a gap, ${names(better)} ${are} better than ${series[first.series].label}`;
}

// From so many nats on even the best is no answer.
const USELESS = 0.5;

// That the first is far off, too, where its largest gap is shown to be.
function offText(first) {
  const least = first.worst?.lo ?? null;
  return least === null || least <= USELESS
    ? ""
    : `; but use nobody blindly: its largest gap is at least ${rates(least, 2)} ${state.units}`;
}

// Who leads, in words: before the names, the names, after them.
function leadTexts(answer) {
  const ranked = answer.rows.filter(isRanked);
  const first = ranked.filter((r) => r.rank === 1);
  if (!first.length) return ["", "nobody has a gap at every point", ", so nobody is ranked"];
  if (ranked.length === 1)
    return ["only ", names(first), ` has a gap at every point${rivalText(answer)}${offText(first[0])}`];
  return [
    ranked.length < answer.rows.length ? "of those with a gap at every point, " : "",
    names(first),
    (first.length > 1 ? " have the best mean gaps, which cannot be told apart" : " is best") +
      rivalText(answer) +
      offText(first[0]),
  ];
}

// The same in a few words.
function shortLead(answer) {
  const ranked = answer.rows.filter(isRanked);
  const first = ranked.filter((r) => r.rank === 1);
  if (!first.length) return "nobody has a gap at every point";
  if (ranked.length === 1) return leadTexts(answer).join("");
  return `best ${names(first)}${first.length > 1 ? " (tie)" : ""}${rivalText(answer)}${offText(first[0])}`;
}
