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
  return parts.join(", ") || "all cases";
}

function verdict(answer) {
  const problem = problemText();
  const head = problem[0].toUpperCase() + problem.slice(1);
  if (answer === null)
    return [`${head}: `, el("strong", {}, "nothing stored matches"), ". Choose something wider."];
  const { points, cases, seeds } = answer;
  const on = `${plural(points, "point")} in ${plural(cases, "case")}, ${plural(seeds, "seed")}`;
  const [before, who, after] = leadTexts(answer);
  return [`${head} (${on}): ${before}`, el("strong", {}, who), `${after}.`];
}

function showChoice() {
  const answer = chosenAnswer();
  document.getElementById("verdict").replaceChildren(...verdict(answer));
  const caption = `Estimators by their gaps, ${problemText()}, in ${state.units} per symbol`;
  document
    .getElementById("answer")
    .replaceChildren(...(answer === null ? [] : answerTable(answer, answer.rows, caption)));
  forgetFolds();
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
      changed();
    });
    controls.push(() => (node.value = String(choice[name])));
    return el("div", {}, el("label", { for: node.id }, label), node);
  };
  form.addEventListener("submit", (event) => event.preventDefault());
  form.append(
    ...CHOICES.map(([name, label, options]) => control(name, label, Object.entries(options))),
    ...(DATA.choice.settings.length > 1
      ? [control("settings", "settings", DATA.choice.settings.map((text, k) => [k, text]))]
      : []),
  );
}
