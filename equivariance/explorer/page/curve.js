// The error along a line of translations: drawn, and in words.

import { prepared } from "./panels.js";

const MARGIN = { left: 44, right: 12, top: 12, bottom: 38 };
const [LOWEST, HIGHEST] = [-17, 1]; // powers of ten
const NAMED = 9; // zeros that are named one by one
const INK = "#1a1c1f";
const ACCENT = "#0a4f94";
const BAD = "#9a2a10";

/** Coordinate of a translation along a line, and whether it lies on it. */
export function alongLine(t, line, through) {
  if (line === "diagonal") return [t[0], Math.abs(t[0] - t[1]) < 1e-9];
  if (line === "down") return [t[0], Math.abs(t[1] - through[1]) < 1e-9];
  return [t[1], Math.abs(t[0] - through[0]) < 1e-9];
}

/** Where a horizontal position of the canvas is on the curve's axis. */
export function positionAt(canvas, curve, x) {
  const width = canvas.clientWidth - MARGIN.left - MARGIN.right;
  const [first, last] = ends(curve);
  return first + ((x - MARGIN.left) / width) * (last - first);
}

function ends(curve) {
  return [curve.positions[0], curve.positions[curve.positions.length - 1]];
}

/** Draw the errors along the line, zeros as diamonds, where the user has been, and where the field is now. */
export function drawCurve(canvas, curve, trail, now, line) {
  const { context, width, height } = prepared(canvas);
  const [first, last] = ends(curve);
  const place = {
    x: (p) => MARGIN.left + ((p - first) / (last - first)) * (width - MARGIN.left - MARGIN.right),
    y: (e) => {
      const power = Math.max(LOWEST, Math.min(HIGHEST, Math.log10(Math.max(e, 1e-300))));
      const share = (HIGHEST - power) / (HIGHEST - LOWEST);
      return MARGIN.top + share * (height - MARGIN.top - MARGIN.bottom);
    },
  };
  drawAxes(context, width, height, place, curve);
  drawErrors(context, place, curve);
  for (const [position, error, on] of trail) {
    if (error === null || position < first || position > last) continue;
    context.globalAlpha = on ? 0.75 : 0.3;
    context.fillStyle = "#6b7078";
    context.fillRect(place.x(position) - 1.5, place.y(error) - 1.5, 3, 3);
  }
  context.globalAlpha = 1;
  drawNow(context, height, place, now, first, last, line);
}

function drawAxes(context, width, height, place, curve) {
  context.font = "12px system-ui, sans-serif";
  context.strokeStyle = "#e3e5e1";
  context.fillStyle = INK;
  context.lineWidth = 1;
  context.textAlign = "right";
  for (let power = LOWEST + 1; power <= 0; power += 4) {
    const y = place.y(10 ** power);
    rule(context, MARGIN.left, y, width - MARGIN.right, y);
    context.fillText(power === 0 ? "1" : `10${superscript(power)}`, MARGIN.left - 6, y + 4);
  }
  context.textAlign = "center";
  const [first, last] = ends(curve);
  const step = (last - first) / 4;
  for (let k = 0; k <= 4; k++) {
    const p = first + k * step;
    rule(context, place.x(p), MARGIN.top, place.x(p), height - MARGIN.bottom);
    context.fillText(String(p).replace("-", "−"), place.x(p), height - MARGIN.bottom + 19);
  }
  const middle = (MARGIN.left + width - MARGIN.right) / 2;
  context.fillText("translation, in pixels", middle, height - 4);
}

function drawErrors(context, place, curve) {
  context.strokeStyle = BAD;
  context.lineWidth = 2;
  context.lineJoin = "round";
  context.beginPath();
  curve.positions.forEach((p, i) => {
    const e = curve.errors[i];
    if (e === null) return;
    if (i === 0 || curve.errors[i - 1] === null) context.moveTo(place.x(p), place.y(e));
    else context.lineTo(place.x(p), place.y(e));
  });
  context.stroke();
  context.fillStyle = ACCENT;
  for (const [p, e] of zeros(curve)) diamond(context, place.x(p), place.y(e), 6);
}

function drawNow(context, height, place, now, first, last, line) {
  const [position, error, on] = now;
  if (position < first || position > last) return;
  const x = place.x(position);
  context.strokeStyle = INK;
  context.setLineDash([4, 3]);
  rule(context, x, MARGIN.top, x, height - MARGIN.bottom);
  context.setLineDash([]);
  if (error === null) return;
  context.fillStyle = on ? INK : "#fff";
  context.lineWidth = 2;
  disc(context, x, place.y(error), 5, true);
  if (!on && line === "diagonal") {
    context.fillStyle = INK;
    context.textAlign = position > (first + last) / 2 ? "right" : "left";
    const place = [x + (position > (first + last) / 2 ? -9 : 9), height - MARGIN.bottom - 24];
    context.strokeStyle = "#fff"; // to be read over the curve
    context.lineWidth = 4;
    context.strokeText("off the line", ...place);
    context.fillText("off the line", ...place);
  }
}

/** Positions and errors where the error is zero, but for rounding. */
export function zeros(curve) {
  const pairs = curve.positions.map((p, i) => [p, curve.errors[i]]);
  return pairs.filter(([, e]) => e !== null && e <= curve.rounding);
}

/** The zeros in words, and what they say: the words of `equivariance.verdict`. */
export function zerosInWords(curve) {
  const { verdict } = curve;
  if (verdict === null) return "No relative errors along this line.";
  const [group, there, elsewhere] = Object.values(verdict);
  const errors = [["there", there], ["elsewhere", elsewhere]].filter(([, error]) => error !== "–");
  const said = errors.map(([where, error]) => `${where} ${error}`).join(", ");
  return `${placesInWords(curve)} Commutes with: ${group}; error ${said}.`;
}

function placesInWords(curve) {
  const found = zeros(curve).map(([p]) => p);
  if (found.length === 0) return `Not zero at any of ${curve.positions.length} translations tried.`;
  if (found.length === curve.positions.length) return `Zero at all ${curve.positions.length} translations tried.`;
  if (found.length > NAMED) return `Zero at ${found.length} of ${curve.positions.length} translations tried.`;
  const shown = found.map((p) => String(p).replace("-", "−")).join(", ");
  return `Zero at ${shown} pixels, of ${curve.positions.length} tried.`;
}

/** A power of ten, small and raised. */
export function superscript(power) {
  return String(power).replace(/./g, (c) => (c === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[c]));
}

function rule(context, x1, y1, x2, y2) {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

function disc(context, x, y, radius, outlined = false) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fill();
  if (outlined) context.stroke();
}

function diamond(context, x, y, radius) {
  context.beginPath();
  context.moveTo(x, y - radius);
  context.lineTo(x + radius, y);
  context.lineTo(x, y + radius);
  context.lineTo(x - radius, y);
  context.fill();
}
