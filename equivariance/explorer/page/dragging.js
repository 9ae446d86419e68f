// Moving the field, by the mouse, by keys, and on the curve.

import { moveTo } from "./changing.js";
import { positionAt } from "./curve.js";
import { element } from "./elements.js";
import { session } from "./session.js";

function step() {
  const { value } = element("step");
  return value === "stride" ? session.state.stride : Number(value);
}

/** The nearest multiple of the step; a quotient where that is a fraction, so that 0.3 is 0.3. */
function snapped(x) {
  const by = step();
  if (by === 0) return x;
  return by >= 1 ? Math.round(x / by) * by : Math.round(x / by) / Math.round(1 / by);
}

export function listenToDrags() {
  const panel = element("field-panel");
  let from = null;
  panel.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    panel.setPointerCapture(event.pointerId);
    panel.classList.add("held");
    from = { x: event.clientX, y: event.clientY, t: session.state.t };
  });
  panel.addEventListener("pointermove", (event) => {
    if (from === null) return;
    const unit = (panel.clientWidth * Number(element("zoom").value)) / session.state.size;
    const moved = [event.clientY - from.y, event.clientX - from.x];
    moveTo(from.t.map((t, axis) => snapped(t + moved[axis] / unit)));
  });
  const release = () => { from = null; panel.classList.remove("held"); };
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) panel.addEventListener(name, release);
  panel.addEventListener("keydown", moveByKey);
}

function moveByKey(event) {
  if (event.altKey || event.ctrlKey || event.metaKey) return; // the browser's own keys
  const ways = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  if (event.key === "Home") moveTo([0, 0]);
  else if (event.key in ways) {
    const by = (step() || 0.01) * (event.shiftKey ? 10 : 1);
    moveTo(session.state.t.map((x, axis) => (ways[event.key][axis] ? tidy(x + ways[event.key][axis] * by) : x)));
  } else return;
  event.preventDefault();
}

/** A sum without the dust of rounding, so that tenths add up to whole pixels. */
function tidy(x) {
  return Number(x.toFixed(9));
}

export function listenToCurve() {
  element("curve").addEventListener("click", (event) => {
    const { curve, state } = session;
    if (curve === null) return;
    const left = element("curve").getBoundingClientRect().left;
    const position = snapped(positionAt(element("curve"), curve, event.clientX - left));
    if (curve.line === "diagonal") moveTo([position, position]);
    else moveTo(curve.line === "down" ? [position, state.t[1]] : [state.t[0], position]);
  });
}
