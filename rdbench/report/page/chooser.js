// Which estimator for my problem: a few choices, and the answer that Python has for them.
const CHOICES = [
  ["dim", "dimension", DATA.choice.dims],
  ["kind", "kind of source", DATA.choice.kinds],
  ["rate", "rate", DATA.choice.rates],
];
const choice = { ...DATA.choice.default };

const chosenAnswer = () => {
  const place = DATA.choice.places[`${choice.dim} ${choice.kind} ${choice.rate} ${choice.settings}`];
  return place === undefined ? null : DATA.choice.answers[place];
};

// In words what was chosen, such as "dimension 2, continuous".
function problemText() {
  const parts = CHOICES.filter(([name]) => choice[name] !== "any").map(
    ([name, label, options]) =>
      name === "kind" ? options[choice.kind] : `${label} ${options[choice[name]]}`,
  );
  if (DATA.choice.settings.length > 1) parts.push(DATA.choice.settings[choice.settings]);
  return parts.length ? parts.join(", ") : "all cases";
}

function verdict(answer) {
  const head = `${problemText()}: `;
  if (answer === null)
    return [head, el("strong", {}, "nothing stored matches."), " Choose something wider."];
  const on = `${plural(answer.points, "point")} in ${plural(answer.cases, "case")}, ${plural(answer.seeds, "seed")}. `;
  const first = answer.rows.filter(({ rank }) => rank === 1);
  const better = answer.rows.filter((r) => r.rank === null && r.behind !== null && r.behind.hi < 0);
  if (!first.length)
    return [head, on, el("strong", {}, "No estimator has a gap at every point,"),
      " so nobody is ranked: a mean over the easy part is no rival of one over all. A narrower choice may have a ranking."];
  return [
    head,
    on,
    "Of those with a gap at every point ",
    el("strong", {}, names(first)),
    first.length > 1 ? " are best, and cannot be told apart." : " is best.",
    better.length
      ? ` Where they have a gap, ${names(better)} ${better.length > 1 ? "are" : "is"} better than ${names(first.slice(0, 1))}.`
      : "",
  ];
}

function showChoice() {
  const answer = chosenAnswer();
  const place = document.getElementById("answer");
  document.getElementById("verdict").replaceChildren(...verdict(answer).filter(Boolean));
  if (answer === null) {
    place.replaceChildren();
    return;
  }
  const caption = `Estimators by their gaps, ${problemText()}, in ${state.units} per symbol`;
  const picture = drawRace(answer, answer.rows, "gap against CPU seconds of this choice");
  place.replaceChildren(
    answerTable(answer, answer.rows, caption),
    ...(picture === null
      ? []
      : [el("figure", { class: "plot" }, el("figcaption", {}, "Mean gap against CPU seconds"), picture)]),
  );
}

function setUpChooser() {
  const form = document.getElementById("chooser");
  const control = (name, label, options) => {
    const node = el(
      "select",
      { name, id: `choose-${name}` },
      options.map(([value, text]) => el("option", { value }, text)),
    );
    node.addEventListener("change", () => {
      choice[name] = name === "settings" ? Number(node.value) : node.value;
      showChoice();
      writeAddress();
    });
    controls.push(() => (node.value = String(choice[name])));
    return el("label", {}, el("span", {}, label), node);
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  form.append(
    ...CHOICES.map(([name, label, options]) => control(name, label, Object.entries(options))),
    ...(DATA.choice.settings.length > 1
      ? [control("settings", "settings", DATA.choice.settings.map((text, k) => [k, text]))]
      : []),
  );
}
