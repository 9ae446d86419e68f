import { alongLine, drawCurve, positionAt, superscript, zerosInWords } from "./curve.js";
import { drawBar, drawPanel, drawPoints, unpacked } from "./panels.js";
import { pageAsPng } from "./picture.js";
import { curveKey, fromFragment, settingsKey, toFragment } from "./state.js";

const SELECTS = ["field", "size", "boundary", "network", "kernel", "depth", "nonlinearity", "method", "stride",
  "place", "line"];
const NUMBERS = ["size", "kernel", "depth", "stride"];
const PANELS = ["field", "output", "discrete", "moved", "difference"];
const CURVE_DELAY = 150; // milliseconds of rest before the curve is asked for
const TRAIL = 400; // points that are remembered
const GONE = "The server doesn't answer: is the command `equivariance explore` still running?";
const element = (id) => document.getElementById(id);

let menus; // what there is to choose from
let defaults;
let state;
let view = null; // the last answer, and the state that it belongs to
let shown = null;
let curve = null;
let trail = [];
let wanted = false; // whether the state has changed since it was last asked about
let asking = false;
let curveTimer = 0;
let curveAsked = "";
let curvesAsked = 0; // that aren't answered yet

// --- asking the server ------------------------------------------------------------------------------------

async function post(path, data, type = "application/json") {
  const answer = await fetch(path, { method: "POST", body: data, headers: { "Content-Type": type } })
    .catch(() => { throw new Error(GONE); });
  if (answer.ok) return answer;
  let reason = `the server answered ${answer.status}`;
  try { reason = (await answer.json()).error; } catch { /* no reason was given */ }
  throw new Error(reason);
}

/** Ask for the newest state, one request at a time: what was passed over in between is never asked for. */
async function update() {
  wanted = true;
  if (asking) return;
  asking = true;
  tellWhetherBusy();
  while (wanted) {
    wanted = false;
    const asked = structuredClone(state);
    const began = performance.now();
    try {
      const answer = await post("/api/view", JSON.stringify(asked));
      accept(asked, unpacked(await answer.arrayBuffer()), performance.now() - began);
    } catch (error) {
      problem(error);
    }
  }
  asking = false;
  tellWhetherBusy();
}

function accept(asked, answer, milliseconds) {
  if (shown === null || settingsKey(asked) !== settingsKey(shown)) trail = [];
  [shown, view] = [asked, answer];
  trail.push([asked.t, answer.error]);
  if (trail.length > TRAIL) trail.shift();
  problem(null);
  draw();
  const { dataset } = document.body;
  dataset.updates = Number(dataset.updates ?? 0) + 1;
  dataset.t = asked.t.join(",");
  dataset.milliseconds = milliseconds.toFixed(1);
  dataset.slowest = Math.max(Number(dataset.slowest ?? 0), milliseconds).toFixed(1);
  clearTimeout(curveTimer);
  curveTimer = setTimeout(() => { curveTimer = 0; updateCurve(); }, CURVE_DELAY);
}

/** Screen readers speak when the page is no longer busy. */
function tellWhetherBusy() {
  document.querySelector("main").setAttribute("aria-busy", String(asking || curveTimer !== 0 || curvesAsked > 0));
}

async function updateCurve() {
  const asked = structuredClone(state);
  const key = curveKey(asked);
  if (key === curveAsked) {
    tellWhetherBusy();
    return;
  }
  curveAsked = key;
  curvesAsked += 1;
  try {
    const answer = await (await post("/api/curve", JSON.stringify(asked))).json();
    if (key !== curveAsked) return; // another one has been asked for
    curve = { ...answer, line: asked.line, through: asked.t };
    element("zeros").textContent = zerosInWords(curve);
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

function problem(error) {
  element("problem").hidden = error === null;
  document.querySelector(".panels").classList.toggle("stale", error !== null);
  if (error !== null) element("problem").textContent = `${error.message}.`.replace(/\.\.$/, ".");
}

// --- drawing ----------------------------------------------------------------------------------------------

function draw() {
  const zoom = Number(element("zoom").value);
  const periodic = shown.boundary === "periodic";
  for (const name of PANELS) {
    const wraps = periodic || name === "field" || name === "output";
    drawPanel(element(`${name}-panel`), view.panels[name], view.scale, shown.size, zoom, wraps);
  }
  if (element("points").checked) {
    drawPoints(element("field-panel"), view.panels.discrete, shown.size, zoom, periodic);
  }
  drawBar(element("bar"), view.scale);
  element("unknown").hidden = periodic;
  tell();
  drawErrors();
}

function drawErrors() {
  if (curve === null || view === null) return;
  const place = (t, error) => {
    const [position, on] = alongLine(t, curve.line, curve.through);
    return [position, error, on];
  };
  const passed = trail.map(([t, error]) => place(t, error));
  drawCurve(element("curve"), curve, passed, place(shown.t, view.error), curve.line);
}

function tell() {
  const { error, rounding, approximate } = view;
  const zero = error !== null && error <= rounding;
  element("result").className = error === null ? "" : zero ? "zero" : "broken";
  const [big, small] = inWords(error, zero);
  const place = element("error");
  place.textContent = big;
  if (small) place.append(Object.assign(document.createElement("small"), { textContent: small }));
  place.dataset.value = String(error);
  setText("verdict", error === null
    ? "The output vanishes: no relative error."
    : zero ? "The diagram commutes." : "The diagram does not commute.");
  setText("hint", approximate
    ? "Between the points the output was interpolated by cubic splines: errors below some percent mean little."
    : hint());
}

function inWords(error, zero) {
  if (error === null) return ["–", ""];
  const [digits, power] = error.toExponential(1).split("e");
  const exact = `${digits}·10${superscript(power)}`;
  if (zero) return ["0", error === 0 ? "bit for bit" : `to rounding: ${exact}`];
  const percent = Number((100 * error).toPrecision(2));
  return [error >= 1e-5 ? `${percent} %` : exact, "of the output's norm"];
}

/** Why a method may fail at what it promises. */
function hint() {
  const bends = !["identity", "convolution"].includes(shown.network);
  if (shown.network === "unshared") return "The bias depends on the place: no subsampling can mend that.";
  if (shown.boundary !== "periodic") return "At the border the network sees values that are made up.";
  const real = ["comoving", "lowpass"].includes(shown.method);
  const clean = shown.nonlinearity === "polynomial" && shown.network !== "maxpool";
  if (real && bends && !clean && shown.place === "behind") {
    return "The nonlinearity makes waves above Nyquist before the subsampling sees them: put it in front.";
  }
  if (shown.method === "lowpass" && bends && !clean) {
    return "The nonlinearity acts on points that stand still, and makes waves above their Nyquist frequency.";
  }
  if (real && ["sprites", "gaussians"].includes(shown.field)) {
    return "This field has waves above Nyquist itself: sampling it is no longer exact.";
  }
  return "";
}

/** Set a text, only where it differs: screen readers say what changes. */
function setText(id, text) {
  if (element(id).textContent !== text) element(id).textContent = text;
}

// --- the controls -----------------------------------------------------------------------------------------

function fillMenus() {
  for (const name of SELECTS) {
    const entries = Object.entries(menus[name]);
    if (name !== "line") entries.sort((a, b) => NUMBERS.includes(name) ? a[0] - b[0] : 0);
    element(name).replaceChildren(...entries.map(([value, label]) => new Option(label, value)));
  }
}

function showState() {
  for (const name of SELECTS) element(name).value = String(state[name]);
  element("seed").value = String(state.seed);
  showTranslation();
  const none = state.network === "identity";
  const bends = ["cnn", "residual", "unshared"].includes(state.network);
  element("kernel").disabled = none;
  element("depth").disabled = none;
  element("nonlinearity").disabled = !bends;
  element("upload-row").hidden = state.field !== "upload";
  element("promise").textContent = `Promise: ${menus.promises[state.method] ?? ""}`;
}

function showTranslation() {
  ["t1", "t2"].forEach((id, axis) => {
    if (document.activeElement !== element(id)) element(id).value = String(rounded(state.t[axis], 1e-4));
  });
}

function change(entries) {
  state = { ...state, ...entries };
  showState();
  writeLink();
  if (state.field === "upload" && !state.picture) {
    problem(new Error("Choose an image file: PNG, JPEG or WebP, at most 8 MiB"));
    return;
  }
  update();
}

let linkTimer = 0;
let written = "";
function writeLink() {
  clearTimeout(linkTimer);
  linkTimer = setTimeout(() => {
    written = `#${toFragment(state)}`;
    history.replaceState(null, "", written);
  }, 250);
}

function chosen(name, value) {
  if (name === "method") return { method: value, place: menus.places[value] };
  if (name === "field" && value !== "upload") return { field: value, picture: "" };
  return { [name]: NUMBERS.includes(name) ? Number(value) : value };
}

// --- moving -----------------------------------------------------------------------------------------------

function rounded(x, step) {
  return step === 0 ? x : Math.round(x / step) / Math.round(1 / step);
}

function step() {
  const { value } = element("step");
  return value === "stride" ? state.stride : Number(value);
}

function snapped(x) {
  const by = step();
  return by === 0 ? x : by >= 1 ? Math.round(x / by) * by : rounded(x, by);
}

/** The same translation modulo the window, at most half of it either way. */
function inside(x) {
  const size = state.size;
  return x > size / 2 ? x - size : x < -size / 2 ? x + size : x;
}

function moveTo(t) {
  const next = t.map((x) => inside(x) + 0);
  if (next[0] === state.t[0] && next[1] === state.t[1]) return;
  state = { ...state, t: next };
  showTranslation();
  writeLink();
  update();
}

function listenToDrags() {
  const panel = element("field-panel");
  let from = null;
  panel.addEventListener("pointerdown", (event) => {
    panel.setPointerCapture(event.pointerId);
    panel.classList.add("held");
    from = { x: event.clientX, y: event.clientY, t: state.t };
  });
  panel.addEventListener("pointermove", (event) => {
    if (from === null) return;
    const unit = (panel.clientWidth * Number(element("zoom").value)) / state.size;
    const moved = [event.clientY - from.y, event.clientX - from.x];
    moveTo(from.t.map((t, axis) => snapped(t + moved[axis] / unit)));
  });
  const release = () => { from = null; panel.classList.remove("held"); };
  panel.addEventListener("pointerup", release);
  panel.addEventListener("pointercancel", release);
  panel.addEventListener("keydown", moveByKey);
}

function moveByKey(event) {
  const ways = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
  if (event.key === "Home") moveTo([0, 0]);
  else if (event.key in ways) {
    const by = (step() || 0.01) * (event.shiftKey ? 10 : 1);
    moveTo(ways[event.key].map((way, axis) => (way ? tidy(state.t[axis] + way * by) : state.t[axis])));
  } else return;
  event.preventDefault();
}

/** A sum without the dust of rounding, so that tenths add up to whole pixels. */
function tidy(x) {
  return Number(x.toFixed(9));
}

function listenToCurve() {
  element("curve").addEventListener("click", (event) => {
    if (curve === null) return;
    const left = element("curve").getBoundingClientRect().left;
    const position = snapped(positionAt(element("curve"), curve, event.clientX - left));
    if (curve.line === "diagonal") moveTo([position, position]);
    else moveTo(curve.line === "down" ? [position, state.t[1]] : [state.t[0], position]);
  });
}

function listenToControls() {
  for (const name of SELECTS) {
    element(name).addEventListener("change", (event) => change(chosen(name, event.target.value)));
  }
  element("seed").addEventListener("change", (event) => change({ seed: Math.trunc(Number(event.target.value)) }));
  ["t1", "t2"].forEach((id, axis) => {
    element(id).addEventListener("input", (event) => {
      const value = event.target.valueAsNumber;
      if (Number.isFinite(value)) moveTo(state.t.map((t, a) => (a === axis ? value : t)));
    });
    element(id).addEventListener("blur", showTranslation);
  });
  element("home").addEventListener("click", () => moveTo([0, 0]));
  for (const id of ["zoom", "points"]) element(id).addEventListener("change", () => view && draw());
  element("controls").addEventListener("submit", (event) => event.preventDefault());
  element("file").addEventListener("change", upload);
  element("copy").addEventListener("click", copyLink);
  element("save-netcdf").addEventListener("click", saveNetcdf);
  element("save-png").addEventListener("click", savePng);
  window.addEventListener("resize", () => view && draw());
  window.addEventListener("hashchange", () => {
    if (location.hash !== written) change(linked());
  });
}

// --- in and out -------------------------------------------------------------------------------------------

async function upload() {
  const [file] = element("file").files;
  if (!file) return;
  try {
    const answer = await post("/api/upload", file, "application/octet-stream");
    change({ field: "upload", picture: (await answer.json()).picture });
  } catch (error) {
    problem(error);
  }
}

async function copyLink() {
  written = `#${toFragment(state)}`;
  history.replaceState(null, "", written);
  try {
    await navigator.clipboard.writeText(location.href);
    setText("said", "The link is copied.");
  } catch {
    setText("said", "The link is in the address bar.");
  }
}

async function saveNetcdf() {
  try {
    save(await (await post("/api/netcdf", JSON.stringify(state))).blob(), "equivariance.nc");
  } catch (error) {
    problem(error);
  }
}

async function savePng() {
  if (view === null) return;
  const places = [["field", "t▷F", 0, 0], ["output", "N(t▷F)", 0, 1], ["discrete", "L(t▷F)", 1, 0],
    ["moved", "t▷L(F)", 1, 1], ["difference", "L(t▷F) − t▷L(F)", 1, 2]];
  const panels = places.map(([name, title, row, column]) => (
    { canvas: element(`${name}-panel`), title, row, column }));
  const label = (name) => menus[name][shown[name]];
  const lines = [
    `Error ${inWords(view.error, view.error !== null && view.error <= view.rounding).join(" ")}`,
    element("verdict").textContent,
    `t = (${shown.t.map((x) => rounded(x, 1e-4)).join(", ")}) pixels`,
    `${label("field")}, ${shown.size} × ${shown.size}, ${label("boundary").toLowerCase()}`,
    label("network"), `${label("method")}, stride ${shown.stride}`,
  ];
  save(await pageAsPng(panels, element("curve"), lines), "equivariance.png");
}

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  setText("said", `${name} is saved.`);
}

/** The state of the page's link; entries that it lacks have their defaults. */
function linked() {
  const known = Object.entries(fromFragment(location.hash)).filter(([name]) => name in defaults);
  return { ...defaults, ...Object.fromEntries(known) };
}

// --- begin ------------------------------------------------------------------------------------------------

async function begin() {
  try {
    const choices = await (await fetch("/api/choices")).json();
    [menus, defaults] = [choices.menus, choices.state];
  } catch {
    problem(new Error(GONE));
    return;
  }
  state = linked();
  fillMenus();
  listenToControls();
  listenToDrags();
  listenToCurve();
  change({});
}

begin();
