// The page as one picture to take away.

const SIDE = 300;
const GAP = 22;
const TITLE = 24;

const CURVE = 220; // the curve's height

/** All panels, the error, the curve and the colour scale as one PNG. */
export function pageAsPng(panels, curve, bar, lines) {
  const width = 3 * SIDE + 4 * GAP;
  const height = GAP + 2 * (TITLE + SIDE + GAP) + CURVE + GAP;
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingEnabled = false;
  panels.forEach(({ canvas: drawn, title, row, column }) => {
    const x = GAP + column * (SIDE + GAP);
    const y = GAP + row * (TITLE + SIDE + GAP);
    text(context, title, x, y + 15, "600 15px system-ui, sans-serif");
    context.drawImage(drawn, x, y + TITLE, SIDE, SIDE);
    context.strokeStyle = "#8a9099";
    context.strokeRect(x, y + TITLE, SIDE, SIDE);
  });
  lines.forEach((line, i) => {
    const font = i === 0 ? "600 20px system-ui, sans-serif" : "14px system-ui, sans-serif";
    text(context, line, GAP + 2 * (SIDE + GAP), GAP + TITLE + 40 + 24 * i, font);
  });
  context.imageSmoothingEnabled = true;
  const top = GAP + 2 * (TITLE + SIDE + GAP);
  const wide = Math.min(2 * SIDE, (CURVE * curve.width) / curve.height);
  context.drawImage(curve, GAP, top, wide, (wide * curve.height) / curve.width);
  const left = GAP + wide + GAP;
  const scale = Math.min(width - GAP - left, bar.clientWidth);
  context.drawImage(bar, left, top, scale, (scale * bar.height) / bar.width);
  return canvas.convertToBlob({ type: "image/png" });
}

function text(context, words, x, y, font) {
  context.font = font;
  context.fillStyle = "#1a1c1f";
  context.fillText(words, x, y, SIDE);
}
