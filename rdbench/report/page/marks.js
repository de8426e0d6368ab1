// The fixed shape of every estimator. Shapes are named as in its registration (matplotlib's names).
const polygon = (n, turn, inner = 1) => {
  const corners = [];
  for (let k = 0; k < n; k++) {
    const angle = turn + (2 * Math.PI * k) / n,
      r = k % 2 ? inner : 1;
    corners.push(`${(r * Math.sin(angle)).toFixed(3)},${(-r * Math.cos(angle)).toFixed(3)}`);
  }
  return `M${corners.join("L")}Z`;
};
const cross = "M-.35,-1H.35V-.35H1V.35H.35V1H-.35V.35H-1V-.35H-.35Z";
const SHAPES = {
  o: "M-1,0A1,1 0 1 1 1,0A1,1 0 1 1 -1,0Z",
  s: "M-.88,-.88H.88V.88H-.88Z",
  "^": polygon(3, 0),
  v: polygon(3, Math.PI),
  "<": polygon(3, -Math.PI / 2),
  ">": polygon(3, Math.PI / 2),
  D: polygon(4, 0),
  d: "M0,-1.1L.65,0L0,1.1L-.65,0Z",
  P: cross,
  "*": polygon(10, 0, 0.42),
  p: polygon(5, 0),
  h: polygon(6, 0),
  H: polygon(6, Math.PI / 6),
  8: polygon(8, Math.PI / 8),
  "+": "M-1,0H1M0,-1V1",
  x: "M-.8,-.8L.8,.8M-.8,.8L.8,-.8",
};
const DASHES = { "-": null, "--": "6 3", ":": "1.5 2.5", "-.": "6 2.5 1.5 2.5" };

function shapeOf(name) {
  if (name === "X") return [SHAPES.P, 45];
  return [SHAPES[name] ?? SHAPES.o, 0];
}

// A point whose q is where its fit began is no result of the method: it is grey.
const lookAt = (i, look) =>
  point.q_is[i] === DATA.start.name ? { ...look, colour: DATA.start.colour } : look;

function mark(look, x, y, size) {
  const [path, turn] = shapeOf(look.marker);
  const open = look.marker === "+" || look.marker === "x";
  return draw("path", {
    d: path,
    class: "mark",
    transform: `translate(${x.toFixed(2)} ${y.toFixed(2)}) rotate(${turn}) scale(${size})`,
    fill: open ? "none" : look.filled ? look.colour : "var(--paper)",
    stroke: look.colour,
    "stroke-width": (look.filled && !open ? 0.6 : 1.5) / size,
  });
}

function swatch(k) {
  const look = series[k];
  return draw(
    "svg",
    { class: "swatch", viewBox: "0 0 26 14", "aria-hidden": "true" },
    draw("line", {
      x1: 1,
      x2: 25,
      y1: 7,
      y2: 7,
      stroke: look.colour,
      "stroke-width": 1.3,
      "stroke-dasharray": DASHES[look.line],
    }),
    mark(look, 13, 7, 4.4),
  );
}
