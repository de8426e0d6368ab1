// The state of the page in its address, so that a link can be shared. What is unknown is ignored.
const caseName = (one) => `${one.suite}/${one.case}`;
const placeOf = (label) => series.findIndex((one) => one.label === label);

// The anchor that an address names: alone, as in #cell-1, or beside the state, as at=cell-1.
function anchorOf(hash) {
  const text = hash.slice(1);
  return text.includes("=") ? (new URLSearchParams(text).get("at") ?? "") : text;
}

function addressText(anchor = "") {
  const given = new URLSearchParams();
  const put = (name, value, usual) => value !== usual && given.append(name, value);
  const usual = DATA.choice.default;
  for (const [name] of CHOICES) put(name, choice[name], usual[name]);
  put("settings", DATA.choice.settings[choice.settings], DATA.choice.settings[usual.settings]);
  put("suite", state.suite, "");
  const one = cases.find(({ key }) => key === state.case);
  if (one) given.append("case", caseName(one));
  put("status", state.status, "");
  put("from", state.from, null);
  put("to", state.to, null);
  put("units", state.units, DATA.units);
  for (const k of state.hidden) given.append("hide", series[k].label);
  if (anchor && ![...given].length) return `#${anchor}`;
  if (anchor) given.append("at", anchor);
  const text = given.toString();
  return text && `#${text}`;
}

function writeAddress(anchor = "", step = "replaceState") {
  const text = addressText(anchor);
  if (text === location.hash) return;
  try {
    history[step](null, "", text || location.href.split("#")[0]);
  } catch {
    // a page inside another may not have an address of its own
  }
}

function readAddress() {
  const text = location.hash.slice(1);
  const given = new URLSearchParams(text.includes("=") ? text : "");
  const one = (name, allowed, usual) => {
    const value = given.get(name);
    return value !== null && allowed(value) ? value : usual;
  };
  const usual = DATA.choice.default;
  for (const [name, , options] of CHOICES)
    choice[name] = one(name, (value) => Object.hasOwn(options, value), usual[name]);
  const settings = DATA.choice.settings.indexOf(given.get("settings") ?? "");
  choice.settings = settings < 0 ? usual.settings : settings;
  state.suite = one("suite", (value) => cells.some((cell) => cell.suite === value), "");
  const chosenCase = cases.find((c) => caseName(c) === given.get("case"));
  const fits = chosenCase && (state.suite === "" || chosenCase.suite === state.suite);
  state.case = fits ? chosenCase.key : "";
  state.status = one("status", (value) => statuses.includes(value), "");
  const number = (value) => value.trim() !== "" && Number.isFinite(Number(value)) && Number(value) >= 0;
  for (const name of ["from", "to"]) {
    const value = one(name, number, null);
    state[name] = value === null ? null : Number(value);
  }
  state.units = one("units", (value) => ["nats", BITS].includes(value), DATA.units);
  state.hidden = new Set(given.getAll("hide").map(placeOf).filter((k) => k >= 0));
  setControls();
}

// A link within the page keeps the state, and goes there again when it is clicked twice.
function setUpAddress() {
  addEventListener("hashchange", () => {
    readAddress();
    changed({ quiet: true });
    if (anchorOf(location.hash)) reveal(anchorOf(location.hash));
  });
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.("a");
    const href = link?.getAttribute("href");
    if (!href?.startsWith("#") || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    writeAddress(href.slice(1), "pushState");
    reveal(href.slice(1));
  });
}
