// What the page asks the server for: the view of the newest state, and its curve once the state rests.

import { zerosInWords } from "./curve.js";
import { draw, drawErrors } from "./drawing.js";
import { element, problem } from "./elements.js";
import { unpacked } from "./panels.js";
import { ask } from "./requests.js";
import { session } from "./session.js";
import { showTranslation } from "./settings.js";
import { curveKey, lineKey, settingsKey } from "./state.js";

const CURVE_DELAY = 150; // milliseconds of rest before the curve is asked for
const TRAIL = 400; // points that are remembered

let wanted = false; // whether the state has changed since it was last asked about
let asking = false;
let curveTimer = 0;
let curveState = null; // whose curve was asked for last; null where it has to be asked for anew
let curveRequest = null; // that isn't answered yet, as its AbortController

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
  if (curveState !== null && lineKey(curveState) !== lineKey(asked)) forgetCurve();
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
  document.querySelector("main").setAttribute("aria-busy", String(asking || curveTimer !== 0 || curveRequest !== null));
}

/** What a curve said no longer holds: it belongs to other settings. */
function forgetCurve() {
  curveRequest?.abort();
  curveState = session.curve = null;
  element("zeros").textContent = "…";
  delete document.body.dataset.curve;
}

async function updateCurve() {
  if (asking) return; // the answer that comes brings its own curve
  const asked = session.shown;
  if (curveState === null || curveKey(asked) !== curveKey(curveState)) await askForCurve(asked);
  tellWhetherBusy();
}

async function askForCurve(asked) {
  curveRequest?.abort(); // the server leaves the rest of it
  const request = new AbortController();
  curveRequest = request;
  curveState = asked;
  try {
    const answer = await (await ask("curve", asked, request.signal)).json();
    if (request.signal.aborted) return;
    session.curve = { ...answer, line: asked.line, through: asked.t };
    element("zeros").textContent = zerosInWords(session.curve);
    document.body.dataset.curve = curveKey(asked);
    drawErrors();
  } catch (error) {
    if (request.signal.aborted) return;
    forgetCurve();
    drawErrors();
    problem(error);
  } finally {
    if (curveRequest === request) curveRequest = null;
  }
}
