// What few read is folded, and drawn when it is opened for the first time.
const folds = [];

// Draws `node`, a details element, whenever it is open and what it shows is out of date.
function foldable(node, drawIt) {
  const fold = {
    node,
    stale: true,
    draw() {
      if (!fold.stale) return;
      fold.stale = false;
      drawIt();
    },
    refresh() {
      fold.stale = true;
      if (node.open) fold.draw();
    },
  };
  node.addEventListener("toggle", () => node.open && fold.draw());
  folds.push(fold);
  return fold;
}

// Those that were taken out of the page are no longer drawn.
function forgetFolds() {
  folds.splice(0, folds.length, ...folds.filter(({ node }) => node.isConnected));
}

// All but the cells: of those there may be thousands.
function drawFolds() {
  for (let k = 0; k < folds.length; k++) // one may bring others
    if (!folds[k].node.matches(".cell")) folds[k].draw();
}

function unfold(node) {
  node.open = true;
  folds.find((fold) => fold.node === node)?.draw();
}

const foldOf = (id) => document.querySelector(`#${id} > details`);

// Open whatever holds the element with this id, and go there; what is not there is ignored.
function reveal(id) {
  if (id.startsWith("case-")) unfold(foldOf("cases"));
  if (id.startsWith("cell-")) unfold(foldOf("cells"));
  const target = document.getElementById(id);
  if (target === null) return;
  target.hidden = false;
  const own = target.tagName === "DETAILS" ? target : target.querySelector(":scope > details");
  for (let node = own ?? target; node !== null; node = node.parentElement)
    if (node.tagName === "DETAILS") unfold(node);
  target.scrollIntoView();
}
