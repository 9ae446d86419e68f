// The link in the address bar.

import { session } from "./session.js";
import { fromFragment, toFragment } from "./state.js";

const DELAY = 250; // milliseconds of rest before the address is written

let timer = 0;
let written = "";

/** The state of the page's link; entries that it lacks have their defaults. */
export function linked() {
  const known = Object.entries(fromFragment(location.hash)).filter(([name]) => Object.hasOwn(session.defaults, name));
  return { ...session.defaults, ...Object.fromEntries(known) };
}

/** Write the state to the address, once it rests. */
export function writeLinkSoon() {
  clearTimeout(timer);
  timer = setTimeout(writeLink, DELAY);
}

export function writeLink() {
  clearTimeout(timer);
  written = `#${toFragment(session.state)}`;
  history.replaceState(null, "", written);
}

/** Take over links that are opened in this page. */
export function listenToLinks(change) {
  window.addEventListener("hashchange", () => {
    if (location.hash !== written) change(linked());
  });
}
