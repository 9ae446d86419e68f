// The elements of the page, and what it says in them.

export const element = (id) => document.getElementById(id);

/** Set a text, only where it differs: screen readers say what changes. */
export function setText(id, text) {
  if (element(id).textContent !== text) element(id).textContent = text;
}

/** Say why there is no answer; null when there is one again. */
export function problem(error) {
  element("problem").hidden = error === null;
  document.querySelector(".panels").classList.toggle("stale", error !== null);
  if (error !== null) element("problem").textContent = `${error.message}.`.replace(/\.\.$/, ".");
}
