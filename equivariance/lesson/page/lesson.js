// The lesson. It is put behind colours.js of the explorer, in one module.
const data = JSON.parse(document.getElementById("frames").textContent);
const byId = (id) => document.getElementById(id);
const ABOUT = {
  stride: "It always keeps the same places. A picture that has moved by less than s meets them at other spots.",
  blurpool: "A blur before the stride removes the finest detail: less goes wrong in between, but zeros lie where they lay.",
  xu: "The brightest spot of the output decides which places are kept, so that they jump along, by whole pixels.",
  comoving: "The picture's own waves say where the grid begins, at any real number: it goes along, by half pixels, too.",
};
const VERDICTS = {
  always: "The weights are shared, but the kept points are not: they stand still while the picture moves.",
  whole: "Whole pixels are not enough: the kept points must fall on the same spots of the picture again.",
  multiples: "As you predicted.",
  never: "There are zeros: after s pixels the kept points fall on the same spots of the picture again.",
};

const { positions } = data;
const [first, last] = [positions[0], positions[positions.length - 1]];
const step = positions[1] - first;

let puzzle = draw();
let method = "stride";
let t = 0;
let seen = new Map();
let predicted = null;
let solved = false;

function draw() {
  return data.strides[Math.floor(Math.random() * data.strides.length)];
}

function bytes(text) {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

function now() {
  return data.outputs[`${method} ${puzzle}`][positions.indexOf(t)];
}

function prepared(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const [width, height] = [canvas.clientWidth, canvas.clientHeight];
  canvas.width = Math.round(width * ratio);
  canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  return { context, width, height };
}

/** Values at their places: points `spacing` apart from `origin` on, in a periodic window. */
function paint(id, text, shape, origin, spacing) {
  const { context, width } = prepared(byId(id));
  const values = bytes(text);
  const image = new ImageData(shape[1], shape[0]);
  const words = new Uint32Array(image.data.buffer);
  values.forEach((v, i) => { words[i] = colour((v - 128) / 127, 1); });
  const small = new OffscreenCanvas(shape[1], shape[0]);
  small.getContext("2d").putImageData(image, 0, 0);
  context.imageSmoothingEnabled = false;
  const unit = width / data.size;
  const [top, left] = origin.map((o) => o - spacing / 2 + 0.5);
  for (const down of [-data.size, 0, data.size]) {
    for (const right of [-data.size, 0, data.size]) {
      context.drawImage(small, (left + right) * unit, (top + down) * unit, width, width);
    }
  }
  return { context, unit };
}

function show() {
  const frame = now();
  const fine = data.picture.shape[0];
  const { context, unit } = paint("picture", data.picture.frames[positions.indexOf(t)], data.picture.shape,
    [0, 0], data.size / fine);
  if (solved) rings(context, unit, frame);
  for (const id of ["one", "other", "difference"]) {
    paint(id, frame[id], frame.shape, frame.origin, spacing(frame));
  }
  seen.set(t, frame.error);
  const zero = frame.error <= data.rounding;
  byId("error").className = `big ${zero ? "zero" : "differs"}`;
  byId("error").textContent = zero ? "Error 0: both ways agree." : `Error ${percent(frame.error)}: both ways differ.`;
  byId("t").value = String(t);
  byId("t-out").textContent = `${words(t)} pixels`;
  byId("seen").textContent = `Tried: ${seen.size} of ${positions.length} translations. Zero at: ${zeros()}.`;
  byId("guess").hidden = !solved && seen.size < 6;
  chart();
}

/** How far apart kept points lie, in pixels. */
function spacing(frame) {
  return data.size / frame.shape[0];
}

function rings(context, unit, frame) {
  const h = spacing(frame);
  context.fillStyle = "#fff";
  context.strokeStyle = "#000";
  context.lineWidth = 1;
  for (let i = -1; i <= frame.shape[0]; i++) {
    for (let j = -1; j <= frame.shape[1]; j++) {
      context.beginPath();
      const [y, x] = [frame.origin[0] + i * h + 0.5, frame.origin[1] + j * h + 0.5];
      context.arc(x * unit, y * unit, Math.min(3.5, 0.45 * unit + 0.2 * h), 0, 2 * Math.PI);
      context.fill();
      context.stroke();
    }
  }
}

function percent(error) {
  return `${Number((100 * error).toPrecision(2))} %`;
}

function words(x) {
  return String(x).replace("-", "−");
}

function zeros() {
  const found = [...seen].filter(([, e]) => e <= data.rounding).map(([p]) => p).sort((a, b) => a - b);
  return found.length ? found.map(words).join(", ") : "none yet";
}

function chart() {
  const { context, width, height } = prepared(byId("chart"));
  const [left, right, top, bottom] = [52, 16, 14, 40];
  const all = Object.keys(data.methods).flatMap((name) => data.outputs[`${name} ${puzzle}`]);
  const highest = Math.max(...all.map((f) => f.error)); // one axis for all methods
  const x = (p) => left + ((p - first) / (last - first)) * (width - left - right);
  const y = (e) => height - bottom - (e / highest) * (height - top - bottom);
  context.font = "13px system-ui, sans-serif";
  context.fillStyle = "#1a1c1f";
  context.strokeStyle = "#e3e5e1";
  context.textAlign = "center";
  for (let p = Math.ceil(first); p <= last; p++) {
    line(context, x(p), top, x(p), height - bottom);
    if (p % 2 === 0) context.fillText(words(p), x(p), height - bottom + 16);
  }
  context.fillText("translation, in pixels", width / 2, height - 6);
  context.textAlign = "right";
  for (const e of [0, highest]) context.fillText(percent(e), left - 6, y(e) + 4);
  context.strokeStyle = "#4d535b";
  line(context, left, y(0), width - right, y(0));
  for (const [p, e] of seen) {
    const zero = e <= data.rounding;
    context.fillStyle = zero ? "#0a4f94" : "#9a2a10";
    context.beginPath();
    if (zero) diamond(context, x(p), y(e));
    else context.arc(x(p), y(e), 4, 0, 2 * Math.PI);
    context.fill();
    if (p !== t) continue;
    context.strokeStyle = "#1a1c1f";
    context.lineWidth = 2;
    context.stroke();
    context.lineWidth = 1;
  }
}

function line(context, x1, y1, x2, y2) {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

function diamond(context, x, y) {
  context.moveTo(x, y - 7);
  context.lineTo(x + 7, y);
  context.lineTo(x, y + 7);
  context.lineTo(x - 7, y);
  context.closePath();
}

function moveTo(value) {
  t = Math.max(first, Math.min(last, Math.round(value / step) * step)) + 0; // no −0
  show();
}

function judge(guess) {
  const right = guess === puzzle;
  solved ||= right;
  byId("judged").textContent = right
    ? `Yes: the zeros lie ${puzzle} pixels apart. ${VERDICTS[predicted]}`
    : `Not ${guess}: look where the error is zero, and how far apart these places are. Try more translations.`;
  byId("swap").hidden = !solved;
  byId("points-key").hidden = !solved;
  show();
}

function begin() {
  puzzle = draw();
  [method, t, solved, seen] = ["stride", 0, false, new Map()];
  byId("method").value = method;
  byId("about").textContent = ABOUT[method];
  for (const id of ["swap", "points-key"]) byId(id).hidden = true;
  byId("judged").textContent = "";
  show();
}

function listen() {
  for (const choice of document.querySelectorAll("input[name=guess]")) {
    choice.checked = false; // some browsers keep it when the page is loaded again
    choice.addEventListener("change", () => {
      predicted = choice.value;
      byId("drag").hidden = false;
      show();
    });
  }
  Object.assign(byId("t"), { min: first, max: last, step });
  byId("t").addEventListener("input", (event) => moveTo(Number(event.target.value)));
  for (const button of document.querySelectorAll(".stride")) {
    button.addEventListener("click", () => judge(Number(button.value)));
  }
  byId("again").addEventListener("click", begin);
  byId("method").replaceChildren(...Object.entries(data.methods).map(([value, label]) => new Option(label, value)));
  byId("method").addEventListener("change", (event) => {
    method = event.target.value;
    seen = new Map();
    byId("about").textContent = ABOUT[method];
    show();
  });
  let from = null;
  const picture = byId("picture");
  picture.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    picture.setPointerCapture(event.pointerId);
    from = { x: event.clientX, t };
  });
  picture.addEventListener("pointermove", (event) => {
    if (from) moveTo(from.t + ((event.clientX - from.x) * data.size) / picture.clientWidth);
  });
  for (const name of ["pointerup", "pointercancel", "lostpointercapture"]) {
    picture.addEventListener(name, () => { from = null; });
  }
  window.addEventListener("resize", () => byId("drag").hidden || show());
  byId("about").textContent = ABOUT[method];
}

listen();
