// The state, shown in the controls.

import { element } from "./elements.js";
import { session } from "./session.js";

export const SELECTS = ["field", "size", "boundary", "network", "kernel", "depth", "nonlinearity", "method", "stride",
  "place", "line"];

export function fillMenus() {
  for (const name of SELECTS) {
    const entries = Object.entries(session.menus[name]); // numbers come in their order
    element(name).replaceChildren(...entries.map(([value, label]) => new Option(label, value)));
  }
}

/** Show the state in all controls, and which of them play a part. */
export function showSettings() {
  const { menus, state } = session;
  for (const name of SELECTS) element(name).value = String(state[name]);
  element("seed").value = String(state.seed);
  showTranslation();
  const none = state.network === "identity";
  element("kernel").disabled = none;
  element("depth").disabled = none;
  element("nonlinearity").disabled = !menus.activated.includes(state.network);
  element("upload-row").hidden = state.field !== "upload";
  element("promise").textContent = `Promise: ${menus.promises[state.method] ?? ""}`;
}

export function showTranslation() {
  ["t1", "t2"].forEach((id, axis) => {
    if (document.activeElement !== element(id)) element(id).value = short(session.state.t[axis]);
  });
}

/** A translation without more digits than can be read. */
export function short(x) {
  return String(Math.round(x / 1e-4) / 1e4);
}
