// Elements. Everything from records enters the page as text or as an attribute, never as HTML.
const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on")
      for (const [event, act] of Object.entries(value)) node.addEventListener(event, act);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  for (const child of children.flat(Infinity)) {
    if (child !== null && child !== undefined && child !== "") node.append(child);
  }
  return node;
}

const el = (tag, attributes = {}, ...children) =>
  fill(document.createElement(tag), attributes, children);

const draw = (tag, attributes = {}, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);

const body = (id) => document.querySelector(`#${id} .body`);

const plural = (n, word) => `${n.toLocaleString("en")} ${word}${n === 1 ? "" : "s"}`;

// As Map.groupBy, which browsers from before 2024 lack.
function groupBy(items, keyOf) {
  const found = new Map();
  for (const item of items) {
    const key = keyOf(item);
    if (!found.has(key)) found.set(key, []);
    found.get(key).push(item);
  }
  return found;
}

const collator = new Intl.Collator("en", { numeric: true });

// What is unknown comes last, whichever way the rest is sorted.
function compare(a, b, direction) {
  const missing = (v) => v === null || v === undefined || v === "";
  if (missing(a) || missing(b)) return missing(a) - missing(b);
  const order = typeof a === "number" && typeof b === "number" ? a - b : collator.compare(a, b);
  return direction * order;
}

const look = (column) =>
  [column.text ? "text" : "", column.screen ? "screen" : ""].join(" ").trim() || null;

// A table with sortable columns. A column is {title, hint, text: set flush left, screen: not
// printed, sort(row): what to sort by, if at all, cell(row): node or text}. `show(tbody, rows,
// column)` draws, and is called again after each sort by a column.
function sortable(columns, caption, show) {
  const order = { column: null, direction: 1, rows: [] };
  const heads = columns.map((column) => {
    if (!column.sort) return el("td", {}, el("span", { class: "unseen" }, column.title));
    const button = el("button", { type: "button", title: column.hint }, column.title);
    const head = el("th", { scope: "col", class: look(column), "aria-sort": "none" }, button);
    button.addEventListener("click", () => {
      order.direction = order.column === column ? -order.direction : 1;
      order.column = column;
      columns.forEach(
        (one, k) =>
          one.sort &&
          heads[k].setAttribute(
            "aria-sort",
            one !== column ? "none" : order.direction > 0 ? "ascending" : "descending",
          ),
      );
      update();
    });
    return head;
  });
  const tbody = el("tbody");
  const table = el(
    "table",
    {},
    el("caption", { class: "unseen" }, caption),
    el("thead", {}, el("tr", {}, heads)),
    tbody,
  );
  function update() {
    const { column, direction } = order;
    const keyed = order.rows.map((row) => [column === null ? null : column.sort(row), row]);
    if (column !== null) keyed.sort((a, b) => compare(a[0], b[0], direction));
    show(
      tbody,
      keyed.map(([, row]) => row),
      column,
    );
  }
  return {
    node: el("div", { class: "scroll", tabindex: 0, role: "region", "aria-label": caption }, table),
    set(rows) {
      order.rows = rows;
      update();
    },
  };
}

const row = (columns, item, attributes = {}) =>
  el(
    "tr",
    attributes,
    columns.map((column) => el("td", { class: look(column) }, column.cell(item))),
  );
