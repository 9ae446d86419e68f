// A view in words.

import { superscript } from "./curve.js";

/** Whether an error is zero, but for rounding. */
export function isZero({ error, rounding }) {
  return error !== null && error <= rounding;
}

/** The error of a view: large, and small beside it. */
export function errorInWords(view) {
  const { error } = view;
  if (error === null) return ["–", ""];
  const [digits, power] = error.toExponential(1).split("e");
  const exact = `${digits}·10${superscript(power)}`;
  if (isZero(view)) return ["0", error === 0 ? "bit for bit" : `to rounding: ${exact}`];
  const percent = Number((100 * error).toPrecision(2));
  return [error >= 1e-5 ? `${percent} %` : exact, "of the output's norm"];
}

/** The network of a state, and what it is made of. */
export function networkInWords({ network, kernel, depth, nonlinearity }, menus) {
  if (network === "identity") return ["No network"];
  const parts = [`${menus.kernel[kernel]}`, `depth ${depth}`];
  if (menus.activated.includes(network)) parts.push(menus.nonlinearity[nonlinearity]);
  return [menus.network[network], parts.join(", ")];
}

export function verdict(view) {
  if (view.error === null) {
    const unknown = view.panels.difference.values.every(Number.isNaN);
    return unknown ? "So far out, no point is known both ways." : "The output vanishes: no relative error.";
  }
  return isZero(view) ? "The diagram commutes." : "The diagram does not commute.";
}

/** Why a method may fail at what it promises, or what the number is worth. */
export function hint(shown, view) {
  if (view.approximate) {
    return "Between the points the output was interpolated by cubic splines: errors below some percent mean little.";
  }
  const bends = !["identity", "convolution"].includes(shown.network);
  if (shown.network === "unshared") return "The bias depends on the place: no subsampling can mend that.";
  if (shown.boundary !== "periodic" && shown.network !== "identity") {
    return "At the border the network sees values that are made up.";
  }
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
