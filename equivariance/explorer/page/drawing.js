// The last answer, drawn.

import { alongLine, drawCurve } from "./curve.js";
import { element, setText } from "./elements.js";
import { drawBar, drawPanel, drawPoints, prepared } from "./panels.js";
import { session } from "./session.js";
import { errorInWords, hint, isZero, verdict } from "./words.js";

const PANELS = ["field", "output", "discrete", "moved", "difference"];

/** Draw the last answer, where there is one. */
export function draw() {
  const { shown, view } = session;
  if (view === null) return;
  const zoom = Number(element("zoom").value);
  const periodic = shown.boundary === "periodic";
  for (const name of PANELS) {
    const wraps = periodic || name === "field" || name === "output";
    drawPanel(element(`${name}-panel`), view.panels[name], view.scale, shown.size, zoom, wraps);
  }
  if (element("points").checked) {
    drawPoints(element("field-panel"), view.panels.discrete, shown.size, zoom, periodic);
  }
  drawBar(element("bar"), view.scale);
  element("unknown").hidden = periodic;
  tell();
  drawErrors();
}

/** Draw the curve, and where the field is on it; nothing while the curve isn't known. */
export function drawErrors() {
  const { curve, shown, trail, view } = session;
  if (curve === null) {
    prepared(element("curve"));
    return;
  }
  const place = (t, error) => {
    const [position, on] = alongLine(t, curve.line, curve.through);
    return [position, error, on];
  };
  const passed = trail.map(([t, error]) => place(t, error));
  drawCurve(element("curve"), curve, passed, place(shown.t, view.error), curve.line);
}

function tell() {
  const { shown, view } = session;
  element("result").className = view.error === null ? "" : isZero(view) ? "zero" : "differs";
  const [big, small] = errorInWords(view);
  const place = element("error");
  place.textContent = big;
  if (small) place.append(Object.assign(document.createElement("small"), { textContent: small }));
  place.dataset.value = String(view.error);
  setText("verdict", verdict(view));
  setText("hint", hint(shown, view));
}
