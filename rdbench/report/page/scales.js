// Axes: a scale maps a value to [0, 1] and has few ticks.
const SUPERSCRIPT = {
  "-": "⁻",
  0: "⁰",
  1: "¹",
  2: "²",
  3: "³",
  4: "⁴",
  5: "⁵",
  6: "⁶",
  7: "⁷",
  8: "⁸",
  9: "⁹",
};
const LARGEST = 1e150; // a picture ends here, so that sums, products and ratios stay numbers

const tame = (value) => Math.min(Math.max(value, -LARGEST), LARGEST);
// Below this a logarithmic axis does not go.
const above = (value) => Math.max(tame(value), 1 / LARGEST);
// A part of an axis; what lies beyond it is drawn at its end.
const within = (part) => (part > 0 ? Math.min(1, part) : 0);

function tickLabel(value) {
  if (value === 0) return "0";
  const power = Math.log10(Math.abs(value));
  const whole = Math.round(power);
  if (Math.abs(power - whole) < 1e-9 && (whole < -3 || whole > 3)) {
    return `${value < 0 ? "−" : ""}10${[...String(whole)].map((c) => SUPERSCRIPT[c]).join("")}`;
  }
  return digits(value, 3);
}

function linearScale(lo, hi, most = 6) {
  [lo, hi] = [tame(lo), tame(hi)];
  const least = 1e-9 * Math.max(Math.abs(lo), Math.abs(hi));
  if (!(hi - lo > least)) [lo, hi] = [lo - (1e6 * least || 1), hi + (1e6 * least || 1)];
  const raw = (hi - lo) / most,
    unit = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * unit).find((s) => s >= raw * 0.999);
  const ticks = [];
  for (let k = Math.ceil(lo / step - 1e-9); k * step <= hi + 1e-9 * step; k++)
    ticks.push(Number((k * step).toPrecision(12)));
  return { kind: "linear", lo, hi, ticks, at: (v) => (v - lo) / (hi - lo) };
}

function decades(lo, hi, most) {
  const first = Math.ceil(Math.log10(lo) - 1e-9),
    last = Math.floor(Math.log10(hi) + 1e-9);
  const step = Math.max(1, Math.ceil((last - first + 1) / most));
  const found = [];
  for (let k = first; k <= last; k += step) found.push(10 ** k);
  return found;
}

function logScale(lo, hi, most = 6) {
  lo = above(lo);
  hi = Math.max(above(hi), lo * (1 + 1e-6));
  const a = Math.log(lo),
    b = Math.log(hi);
  let ticks = decades(lo, hi, most);
  if (ticks.length < 3) {
    ticks = [];
    for (let k = Math.floor(Math.log10(lo)); k <= Math.log10(hi); k++) {
      for (const m of [1, 2, 5])
        if (m * 10 ** k >= lo * 0.999 && m * 10 ** k <= hi * 1.001)
          ticks.push(Number((m * 10 ** k).toPrecision(6)));
    }
  }
  if (ticks.length < 2) ticks = linearScale(lo, hi, 4).ticks.filter((v) => v > 0);
  return { kind: "log", lo, hi, ticks, at: (v) => (Math.log(Math.max(v, lo)) - a) / (b - a) };
}

// Linear around zero up to `linear`, logarithmic beyond.
function symlogScale(lo, hi, linear, most = 6) {
  [lo, hi] = [tame(lo), tame(hi)];
  const bend = (v) => {
    const size = Math.abs(v);
    return (
      Math.sign(v) * (size <= linear ? (0.8 * size) / linear : 0.8 + Math.log10(size / linear))
    );
  };
  const a = bend(lo),
    b = bend(hi),
    total = b - a;
  // Ticks keep their distance in the picture, on either side of zero.
  const share = (end) => Math.max(1, Math.round((most * Math.abs(bend(end))) / total));
  const start = 10 ** Math.ceil(Math.log10(linear) - 1e-9);
  const side = (end, sign) =>
    sign * end >= start ? decades(start, sign * end, share(end)).map((v) => sign * v) : [];
  return {
    kind: "symlog",
    lo,
    hi,
    linear,
    ticks: [...side(lo, -1).reverse(), 0, ...side(hi, 1)],
    at: (v) => (bend(v) - a) / total,
  };
}

// The scale of an axis that Python computed in nats; `of` says what it is of: rates are converted.
function scaleOf(axis, of, most = 6) {
  const [lo, hi] = of === "rate" ? [inUnits(axis.lo), inUnits(axis.hi)] : [axis.lo, axis.hi];
  if (axis.kind === "log") return logScale(lo, hi, most);
  if (axis.kind === "linear") return linearScale(lo, hi, most);
  // A round number in whatever unit, as in the figures.
  return symlogScale(lo, hi, 10 ** Math.round(Math.log10(inUnits(axis.linear))), most);
}
