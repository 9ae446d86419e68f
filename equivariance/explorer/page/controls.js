// What the controls do.

import { change, moveTo } from "./changing.js";
import { draw } from "./drawing.js";
import { element, problem } from "./elements.js";
import { send } from "./requests.js";
import { copyLink, saveNetcdf, savePng } from "./saving.js";
import { session } from "./session.js";
import { SELECTS, showTranslation } from "./settings.js";
import { NUMBERS } from "./state.js";

export function listenToControls() {
  for (const name of SELECTS) {
    element(name).addEventListener("change", (event) => change(chosen(name, event.target.value)));
  }
  element("seed").addEventListener("change", (event) => change({ seed: Math.trunc(Number(event.target.value)) }));
  ["t1", "t2"].forEach((id, axis) => {
    element(id).addEventListener("input", (event) => {
      const value = event.target.valueAsNumber;
      if (Number.isFinite(value)) moveTo(session.state.t.map((t, a) => (a === axis ? value : t)));
    });
    element(id).addEventListener("blur", showTranslation);
  });
  element("home").addEventListener("click", () => moveTo([0, 0]));
  for (const id of ["zoom", "points"]) element(id).addEventListener("change", draw);
  element("controls").addEventListener("submit", (event) => event.preventDefault());
  element("file").addEventListener("change", upload);
  element("copy").addEventListener("click", copyLink);
  element("save-netcdf").addEventListener("click", saveNetcdf);
  element("save-png").addEventListener("click", savePng);
  window.addEventListener("resize", draw);
}

let picture = ""; // the last one that was uploaded, for who comes back to it

function chosen(name, value) {
  if (name === "method") return { method: value, place: session.menus.places[value] };
  if (name === "field") {
    picture = session.state.picture || picture;
    return { field: value, picture: value === "upload" ? picture : "" };
  }
  return { [name]: NUMBERS.includes(name) ? Number(value) : value };
}

async function upload() {
  const [file] = element("file").files;
  if (!file) return;
  const wanted = () => element("file").files[0] === file;
  try {
    const answer = await (await send("upload", file)).json();
    if (!wanted()) return;
    ({ picture } = answer);
    if (session.state.field === "upload") change({ picture });
  } catch (error) {
    if (wanted()) problem(error);
  }
}
