// What the page asks the server for: the view of the newest state, and its curve once the state rests.

import { zerosInWords } from "./curve.js";
import { draw, drawErrors } from "./drawing.js";
import { element, problem } from "./elements.js";
import { unpacked } from "./panels.js";
import { ask } from "./requests.js";
import { session } from "./session.js";
import { showTranslation } from "./settings.js";
import { curveKey, settingsKey } from "./state.js";

const CURVE_DELAY = 150; // milliseconds of rest before the curve is asked for
const TRAIL = 400; // points that are remembered

let wanted = false; // whether the state has changed since it was last asked about
let asking = false;
let curveTimer = 0;
let curveAsked = "";
let curvesAsked = 0; // that aren't answered yet

/** Ask for the newest state, one request at a time: what was passed over in between is never asked for. */
export async function update() {
  wanted = true;
  if (asking) return;
  asking = true;
  tellWhetherBusy();
  while (wanted) {
    wanted = false;
    const asked = structuredClone(session.state);
    showTranslation(); // not at every move of the mouse: it lays the page out anew
    const began = performance.now();
    try {
      const answer = await ask("view", asked);
      accept(asked, unpacked(await answer.arrayBuffer()), performance.now() - began);
    } catch (error) {
      problem(error);
    }
  }
  asking = false;
  tellWhetherBusy();
}

function accept(asked, answer, milliseconds) {
  const { shown } = session;
  if (shown === null || settingsKey(asked) !== settingsKey(shown)) session.trail = [];
  Object.assign(session, { shown: asked, view: answer });
  session.trail.push([asked.t, answer.error]);
  if (session.trail.length > TRAIL) session.trail.shift();
  problem(null);
  draw();
  count(asked, milliseconds);
  clearTimeout(curveTimer);
  curveTimer = setTimeout(() => { curveTimer = 0; updateCurve(); }, CURVE_DELAY);
}

/** What there is to measure: how many answers were drawn, and how long they took. */
function count(asked, milliseconds) {
  const { dataset } = document.body;
  dataset.updates = Number(dataset.updates ?? 0) + 1;
  dataset.t = asked.t.join(",");
  dataset.milliseconds = milliseconds.toFixed(1);
  dataset.slowest = Math.max(Number(dataset.slowest ?? 0), milliseconds).toFixed(1);
}

/** Screen readers speak when the page is no longer busy. */
function tellWhetherBusy() {
  document.querySelector("main").setAttribute("aria-busy", String(asking || curveTimer !== 0 || curvesAsked > 0));
}

async function updateCurve() {
  const asked = structuredClone(session.state);
  const key = curveKey(asked);
  if (key === curveAsked) {
    tellWhetherBusy();
    return;
  }
  curveAsked = key;
  curvesAsked += 1;
  try {
    const answer = await (await ask("curve", asked)).json();
    if (key !== curveAsked) return; // another one has been asked for
    session.curve = { ...answer, line: asked.line, through: asked.t };
    element("zeros").textContent = zerosInWords(session.curve);
    document.body.dataset.curve = key;
    drawErrors();
  } catch (error) {
    curveAsked = "";
    problem(error);
  } finally {
    curvesAsked -= 1;
    tellWhetherBusy();
  }
}
