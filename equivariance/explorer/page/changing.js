// Every change of the state goes through here.

import { update } from "./asking.js";
import { writeLinkSoon } from "./link.js";
import { session } from "./session.js";
import { showSettings } from "./settings.js";

/** Take over entries of the state, show them, and ask for what follows. */
export function change(entries) {
  session.state = { ...session.state, ...entries };
  showSettings();
  writeLinkSoon();
  update();
}

/** Translate the field. */
export function moveTo(t) {
  const { state } = session;
  const next = t.map((x) => inside(x, state.size) + 0); // no −0
  if (next[0] === state.t[0] && next[1] === state.t[1]) return;
  session.state = { ...state, t: next };
  writeLinkSoon();
  update();
}

/** The same translation modulo the window, at most half of it either way. */
function inside(x, size) {
  return Math.abs(x) <= size / 2 ? x : x - size * Math.round(x / size);
}
