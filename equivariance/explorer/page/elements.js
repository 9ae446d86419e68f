// The elements of the page, and what it says in them.

import { session } from "./session.js";

export const element = (id) => document.getElementById(id);

/** Set a text, only where it differs: screen readers say what changes. */
export function setText(id, text) {
  if (element(id).textContent !== text) element(id).textContent = text;
}

/** Say what went wrong, null when all is well again; what is shown is dimmed where it isn't what is wanted. */
export function problem(error) {
  const { shown, state } = session;
  element("problem").hidden = error === null;
  const stale = error !== null && JSON.stringify(shown) !== JSON.stringify(state);
  document.querySelector(".panels").classList.toggle("stale", stale);
  if (error !== null) element("problem").textContent = `${error.message}.`.replace(/\.\.$/, ".");
}
