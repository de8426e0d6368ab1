// What is shown: one state, its controls, and who wants to know when it changes.
const state = {
  units: DATA.units,
  suite: "",
  case: "",
  status: "",
  from: null,
  to: null,
  hidden: new Set(),
};
const controls = []; // each sets a control to what the state says
const setControls = () => controls.forEach((set) => set());
const listeners = [];
const onChange = (listener) => listeners.push(listener);
function shows(cell) {
  return (
    (state.suite === "" || cell.suite === state.suite) &&
    (state.case === "" || cases[cell.place].key === state.case) &&
    !state.hidden.has(cell.series)
  );
}

function chosen(i) {
  if (state.status !== "" && point.state[i] !== state.status) return false;
  const at = inUnits(point.at[i]);
  if (state.from !== null && !(at !== null && at >= state.from)) return false;
  return state.to === null || (at !== null && at <= state.to);
}

// The cells shown, each with its points that pass; a cell without any is there if all points are.
function selection() {
  const found = [];
  for (const cell of cells) {
    if (!shows(cell)) continue;
    const inside = indices(cell).filter(chosen);
    const whole =
      cell.points === 0 &&
      state.from === null &&
      state.to === null &&
      (state.status === "" || state.status === cell.status);
    if (inside.length || whole) found.push({ cell, points: inside });
  }
  return found;
}

// `quiet`: the address is not written, for it is where the change comes from.
function changed({ quiet = false } = {}) {
  const found = selection();
  const shown = found.reduce((n, one) => n + one.points.length, 0);
  const all = found.length === cells.length && shown === count;
  document.getElementById("shown").textContent = all
    ? `all ${plural(count, "point")}`
    : `${shown.toLocaleString("en")} of ${plural(count, "point")}`;
  document.getElementById("clear").disabled = all && state.hidden.size === 0;
  for (const unit of document.querySelectorAll(".unit")) unit.textContent = state.units;
  const out = series.length - state.hidden.size;
  document.getElementById("picked").textContent = `Estimators (${out} of ${series.length}), status, rates`;
  for (const listener of listeners) listener(found);
  if (!quiet) writeAddress();
}

const statuses = [...new Set([...point.state, ...cells.map((cell) => cell.status)])].sort();

function setUpFilters() {
  const form = document.getElementById("filters");
  const option = (value, text) => el("option", { value }, text);
  const select = (name, label, options, then = () => {}) => {
    const node = el("select", { name }, options);
    node.addEventListener("change", () => {
      state[name] = node.value;
      then();
      changed();
    });
    controls.push(() => (node.value = state[name]));
    return el("label", {}, el("span", {}, label), node);
  };
  const limit = (name, label) => {
    const node = el("input", {
      name,
      type: "number",
      min: 0,
      step: "any",
      inputmode: "decimal",
      placeholder: "any",
    });
    node.addEventListener("input", () => {
      const value = node.value === "" ? null : Number(node.value);
      state[name] = value !== null && value >= 0 ? value : null;
      changed();
    });
    controls.push(() => (node.value = state[name] ?? ""));
    return el(
      "label",
      { class: "limit" },
      el("span", {}, label, " ", el("span", { class: "unit" })),
      node,
    );
  };
  const suites = [...new Set(cells.map((cell) => cell.suite))];
  const listCases = () =>
    one
      .querySelector("select")
      .replaceChildren(
        option("", "all"),
        ...cases
          .filter((c) => state.suite === "" || c.suite === state.suite)
          .map((c) =>
            option(
              c.key,
              state.suite === "" && suites.length > 1 ? `${c.suite} / ${c.case}` : c.case,
            ),
          ),
      );
  const names = suites.map((name) => option(name, name));
  const suite = select("suite", "suite", [option("", "all"), names], () => {
    state.case = "";
    listCases();
  });
  controls.push(() => listCases());
  const one = select("case", "case", []);
  const unit = (name) => {
    const node = el("input", {
      type: "radio",
      name: "units",
      value: name,
      checked: name === state.units,
    });
    node.addEventListener("change", () => {
      state.units = name;
      changed();
    });
    controls.push(() => (node.checked = state.units === name));
    return el("label", {}, node, name);
  };
  const chips = series.map((one, k) => {
    const node = el("input", { type: "checkbox", name: "series", value: one.label, checked: true });
    node.addEventListener("change", () => {
      if (node.checked) state.hidden.delete(k);
      else state.hidden.add(k);
      changed();
    });
    controls.push(() => (node.checked = !state.hidden.has(k)));
    return el("label", { class: "chip" }, node, swatch(k), one.label);
  });
  const only = (keep) => () => {
    state.hidden = new Set(keep ? [] : series.map((_, k) => k));
    setControls();
    changed();
  };
  const reset = el("button", { type: "button", id: "clear" }, "reset");
  reset.addEventListener("click", () => {
    // The unit is no filter and stays.
    Object.assign(state, { suite: "", case: "", status: "", from: null, to: null });
    state.hidden.clear();
    setControls();
    changed();
  });
  form.addEventListener("submit", (event) => event.preventDefault());
  // A low bar stays at the top of a large screen; what is jumped to has to stop below it.
  new ResizeObserver(() => {
    form.classList.toggle("low", form.offsetHeight < 0.18 * innerHeight);
    const stays = getComputedStyle(form).position === "sticky";
    document.documentElement.style.scrollPaddingTop = stays ? `${form.offsetHeight + 12}px` : "";
  }).observe(form);
  form.append(
    el(
      "div",
      { class: "line" },
      suite,
      one,
      el(
        "fieldset",
        { class: "units" },
        el("legend", { class: "unseen" }, "units"),
        unit("nats"),
        unit(BITS),
      ),
      el("output", { id: "shown" }),
      reset,
    ),
    el(
      "details",
      { class: "more" },
      el("summary", { id: "picked" }),
      el(
        "div",
        { class: "line" },
        select("status", "status", [
          option("", "all"),
          statuses.map((name) => option(name, words(name))),
        ]),
        limit("from", "R* from"),
        limit("to", "R* to"),
      ),
      el(
        "fieldset",
        { class: "chips" },
        el("legend", { class: "unseen" }, "estimators"),
        chips,
        series.length > 3
          ? [
              el("button", { type: "button", on: { click: only(true) } }, "all"),
              el("button", { type: "button", on: { click: only(false) } }, "none"),
            ]
          : null,
      ),
    ),
  );
}
