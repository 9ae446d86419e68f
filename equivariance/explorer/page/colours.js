// The colours of values.

// ColorBrewer's RdBu, reversed: two hues that all kinds of colour vision tell apart, white at 0.
const STOPS = [
  [5, 48, 97], [33, 102, 172], [67, 147, 195], [146, 197, 222], [209, 229, 240], [247, 247, 247],
  [253, 219, 199], [244, 165, 130], [214, 96, 77], [178, 24, 43], [103, 0, 31],
];
const SIZE = 512;

// Colours as 32-bit words of ImageData; the last one means "not known".
const WORDS = new Uint32Array(SIZE + 1);
for (let i = 0; i < SIZE; i++) {
  const x = (i / (SIZE - 1)) * (STOPS.length - 1);
  const k = Math.min(Math.floor(x), STOPS.length - 2);
  const [r, g, b] = STOPS[k].map((low, c) => Math.round(low + (x - k) * (STOPS[k + 1][c] - low)));
  WORDS[i] = word(r, g, b);
}
WORDS[SIZE] = word(201, 201, 201);

function word(r, g, b) {
  return new Uint32Array(new Uint8Array([r, g, b, 255]).buffer)[0];
}

/** The colour of a value on the scale from −scale to scale. */
export function colour(value, scale) {
  if (Number.isNaN(value)) return WORDS[SIZE];
  const x = Math.round(((value / scale + 1) / 2) * (SIZE - 1));
  return WORDS[Math.max(0, Math.min(SIZE - 1, x))];
}
