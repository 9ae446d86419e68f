// What the user takes away: link, data, picture.

import { element, problem, setText } from "./elements.js";
import { writeLink } from "./link.js";
import { pageAsPng } from "./picture.js";
import { ask } from "./requests.js";
import { session } from "./session.js";
import { short } from "./settings.js";
import { errorInWords, networkInWords } from "./words.js";

export async function copyLink() {
  writeLink();
  try {
    await navigator.clipboard.writeText(location.href);
    setText("said", "The link is copied.");
  } catch {
    setText("said", "The link is in the address bar.");
  }
}

export async function saveNetcdf() {
  setText("said", "The file is being computed …");
  try {
    save(await (await ask("netcdf", session.state)).blob(), "equivariance.nc");
  } catch (error) {
    setText("said", "");
    problem(error);
  }
}

export async function savePng() {
  const { menus, shown, view } = session;
  if (view === null) return;
  const places = [["field", "t▷F", 0, 0], ["output", "N(t▷F)", 0, 1], ["discrete", "L(t▷F)", 1, 0],
    ["moved", "t▷L(F)", 1, 1], ["difference", "L(t▷F) − t▷L(F)", 1, 2]];
  const panels = places.map(([name, title, row, column]) => (
    { canvas: element(`${name}-panel`), title, row, column }));
  const label = (name) => menus[name][shown[name]];
  const lines = [
    `Error ${errorInWords(view).join(" ")}`,
    element("verdict").textContent,
    `t = (${shown.t.map(short).join(", ")}) pixels`,
    `${label("field")}, ${shown.size} × ${shown.size}, ${label("boundary").toLowerCase()}`,
    ...networkInWords(shown, menus),
    `${label("method")}, stride ${shown.stride}, ${label("place").toLowerCase()}`,
    `Seed ${shown.seed}; the curve: ${label("line").toLowerCase()}`,
  ];
  save(await pageAsPng(panels, element("curve"), element("bar"), lines), "equivariance.png");
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  setText("said", `${name} is saved.`);
}
