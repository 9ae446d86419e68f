// The state travels in the page's address, behind "#", which browsers don't send to servers.

export const NUMBERS = ["size", "stride", "kernel", "depth", "seed"];

/** A state as the fragment of a link. */
export function toFragment(state) {
  const words = new URLSearchParams();
  for (const [name, value] of Object.entries(state)) {
    if (name === "picture" && !value) continue;
    words.set(name, name === "t" ? value.join(",") : String(value));
  }
  return words.toString();
}

/** The entries of a fragment; what they may be is checked by the server. */
export function fromFragment(fragment) {
  const state = {};
  for (const [name, text] of new URLSearchParams(fragment.replace(/^#/, ""))) {
    if (name === "t") state.t = text.split(",").map(Number);
    else state[name] = NUMBERS.includes(name) ? Number(text) : text;
  }
  return state;
}

/** The state without what the error curve doesn't depend on. */
export function curveKey(state) {
  const [t1, t2] = state.t;
  const through = { diagonal: [], down: [t2], across: [t1] }[state.line];
  return JSON.stringify({ ...state, t: through });
}

/** The state without the translation. */
export function lineKey(state) {
  return JSON.stringify({ ...state, t: 0 });
}

/** The state without the translation, and the line that the curve follows. */
export function settingsKey(state) {
  return JSON.stringify({ ...state, t: 0, line: 0 });
}
