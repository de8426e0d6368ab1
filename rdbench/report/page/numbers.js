// Numbers as text. toPrecision rounds the exact value once, halves away from zero.
const BITS = "bits";
const ABSENT = "–";

function digits(value, n) {
  if (value === null || value === undefined) return ABSENT;
  if (value === 0) return "0";
  const [mantissa, power] = value
    .toExponential(n - 1)
    .split("e")
    .map(Number);
  const text =
    power < -4 || power >= Math.max(n, 5)
      ? `${mantissa}e${power}`
      : `${Number(value.toPrecision(n))}`;
  return text.replaceAll("-", "−");
}

// What is too large for a number is the largest one: no infinity, hence nothing that is no number.
const finite = (value) => Math.min(Math.max(value, -Number.MAX_VALUE), Number.MAX_VALUE);

// What one unit of rate is in nats; everything stored is in nats.
const perUnit = () => (state.units === BITS ? Math.LN2 : 1);
const inUnits = (value) =>
  value === null || value === undefined ? null : finite(value / perUnit());
const rates = (value, n) => digits(inUnits(value), n);

function interval(lo, hi, n, as = rates) {
  if (lo === null && hi === null) return ABSENT;
  if (lo === null) return `≤ ${as(hi, n)}`;
  if (hi === null) return `≥ ${as(lo, n)}`;
  return `[${as(lo, n)}, ${as(hi, n)}]`;
}

const words = (name) => name.replaceAll("_", " ");
