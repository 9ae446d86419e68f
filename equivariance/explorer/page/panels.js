// Maps of values as pictures: unpacked from the server's answer, painted where their points lie.

import { colour } from "./colours.js";

/** What the server sends: length of the header, header, one array after the other. */
export function unpacked(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  let offset = 4 + length;
  header.panels = Object.fromEntries(header.panels.map((panel) => {
    const count = panel.shape[0] * panel.shape[1];
    panel.values = new Float32Array(buffer, offset, count);
    offset += 4 * count;
    return [panel.name, panel];
  }));
  return header;
}

/** A canvas with as many dots as the screen has; its context counts CSS pixels. */
export function prepared(canvas) {
  const ratio = window.devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) Object.assign(canvas, { width: w, height: h });
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  context.clearRect(0, 0, width, height);
  return { context, width, height };
}

/** The part of the plane that is shown: pixels per unit, and the first coordinate of either axis. */
export function viewport(size, zoom, width) {
  const side = size / zoom;
  const first = -0.5 + (size - side) / 2;
  return { scale: width / side, first };
}

/** Draw values where their points lie, every one all over its cell. */
export function drawPanel(canvas, panel, scale, size, zoom, wraps) {
  const { context, width } = prepared(canvas);
  const [rows, columns] = panel.shape;
  const { image, words, small } = buffer(rows, columns);
  for (let i = 0; i < words.length; i++) words[i] = colour(panel.values[i], scale);
  small.getContext("2d").putImageData(image, 0, 0);
  const view = viewport(size, zoom, width);
  context.imageSmoothingEnabled = false;
  const [top, left] = panel.origin.map((o, a) => o - panel.spacing[a] / 2);
  const [high, wide] = [rows * panel.spacing[0], columns * panel.spacing[1]];
  const last = view.first + size / zoom;
  const copies = wraps ? [-size, 0, size] : [0];
  for (const y of copies.map((down) => top + down)) {
    for (const x of copies.map((right) => left + right)) {
      if (y >= last || x >= last || y + high <= view.first || x + wide <= view.first) continue;
      context.drawImage(
        small, (x - view.first) * view.scale, (y - view.first) * view.scale, wide * view.scale, high * view.scale,
      );
    }
  }
}

const buffers = new Map();

/** Where an image of this shape is put together; kept, since fresh memory for every update costs time. */
function buffer(rows, columns) {
  const key = `${rows} ${columns}`;
  if (!buffers.has(key)) {
    if (buffers.size > 8) buffers.clear();
    const image = new ImageData(columns, rows);
    const words = new Uint32Array(image.data.buffer);
    buffers.set(key, { image, words, small: new OffscreenCanvas(columns, rows) });
  }
  return buffers.get(key);
}

/** Draw the sampling grid as dots, and the kept points as rings that move with the output's grid. */
export function drawPoints(canvas, kept, size, zoom, wraps) {
  const context = canvas.getContext("2d");
  const width = canvas.clientWidth;
  const view = viewport(size, zoom, width);
  const place = (x) => (x - view.first) * view.scale;
  const dot = Math.max(0.8, Math.min(2.5, view.scale / 7));
  const dots = { count: [size, size], spacing: [1, 1], radius: dot };
  context.globalAlpha = visible(view.scale, 9);
  context.drawImage(layer("dots", dots, view.scale, drawDot), place(-1), place(-1), ...side(dots, view.scale));

  const radius = Math.max(1.2, Math.min(4, 0.13 * view.scale * Math.min(kept.spacing[0], 3)));
  // In a period there is one point more than kept on either side, and the layer goes no further than one spacing.
  const more = wraps ? 1 : 0;
  const rings = { count: kept.shape.map((n) => n + 2 * more), spacing: kept.spacing, radius };
  const first = kept.origin.map((o, a) => {
    const h = kept.spacing[a];
    return (wraps ? (((o % h) + h) % h) - h * more : o) - h;
  });
  const drawn = layer("rings", rings, view.scale, drawRing);
  context.globalAlpha = visible(kept.spacing[0] * view.scale, 12);
  context.drawImage(drawn, place(first[1]), place(first[0]), ...side(rings, view.scale));
  context.globalAlpha = 1;
}

/** Points that lie close are drawn faintly, so that the field is seen between them. */
function visible(distance, far) {
  return Math.max(0.15, Math.min(1, distance / far));
}

const layers = new Map();

/** Points of a lattice on a canvas that begins one spacing before the first; kept while nothing but its place changes. */
function layer(name, points, scale, drawOne) {
  const ratio = window.devicePixelRatio || 1;
  const key = JSON.stringify([points, scale, ratio]);
  const known = layers.get(name);
  if (known?.key === key) return known.canvas;
  const [width, height] = side(points, scale);
  const canvas = new OffscreenCanvas(Math.ceil(width * ratio), Math.ceil(height * ratio));
  const context = canvas.getContext("2d");
  context.scale(canvas.width / width, canvas.height / height);
  for (let i = 1; i <= points.count[0]; i++) {
    for (let j = 1; j <= points.count[1]; j++) {
      drawOne(context, j * points.spacing[1] * scale, i * points.spacing[0] * scale, points.radius);
    }
  }
  layers.set(name, { key, canvas });
  return canvas;
}

function side(points, scale) {
  return [1, 0].map((axis) => (points.count[axis] + 1) * points.spacing[axis] * scale);
}

function drawDot(context, x, y, width) {
  context.fillStyle = "rgba(0, 0, 0, 0.6)";
  context.fillRect(x - width / 2, y - width / 2, width, width);
}

function drawRing(context, x, y, radius) {
  context.beginPath();
  context.arc(x, y, radius, 0, 2 * Math.PI);
  context.fillStyle = "#fff";
  context.fill();
  context.lineWidth = Math.max(0.8, radius / 3);
  context.strokeStyle = "#000";
  context.stroke();
}

/** Draw the colour scale with its ends and 0. */
export function drawBar(canvas, scale) {
  const { context, width } = prepared(canvas);
  const [left, right] = [28, width - 28];
  const columns = Math.max(2, Math.round(right - left));
  const image = new ImageData(columns, 1);
  const words = new Uint32Array(image.data.buffer);
  for (let i = 0; i < columns; i++) words[i] = colour(2 * i / (columns - 1) - 1, 1);
  const small = new OffscreenCanvas(columns, 1);
  small.getContext("2d").putImageData(image, 0, 0);
  context.drawImage(small, left, 2, right - left, 14);
  context.strokeStyle = "#8a9099";
  context.strokeRect(left, 2, right - left, 14);
  context.fillStyle = "#1a1c1f";
  context.font = "12px system-ui, sans-serif";
  context.textAlign = "center";
  const end = scale.toPrecision(2);
  for (const [x, text] of [[left, `≤ −${end}`], [(left + right) / 2, "0"], [right, `≥ ${end}`]]) {
    context.fillText(text, x, 32);
  }
}
