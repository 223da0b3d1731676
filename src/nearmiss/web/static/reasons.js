// Why a text came up, for a person to read in two seconds.

import { bar, element, percent } from "./drawing.js";

const SHOWN = 3;
// Nats: beyond, the model's answers to two texts are plainly not the same.
const APART = 0.5;

export function reasonParts(reason) {
  const parts = [element("p", { className: "sentence" }, reason.sentence.replaceAll(" %", "\u00a0%"))];
  if (reason.guesses.length) {
    const bars = element("div", { className: "bars" });
    for (const [name, share] of reason.guesses.slice(0, SHOWN)) {
      bars.append(element("span", {}, name), bar(share), element("span", {}, percent(share)));
    }
    parts.push(bars);
  }
  if (reason.neighbors.length) {
    parts.push(
      element("p", { className: "small" }, "The labelled texts most like this one:"),
      element("ul", {}, ...reason.neighbors.slice(0, SHOWN).map(neighbor)),
    );
  }
  if (reason.details) parts.push(element("p", { className: "small" }, reason.details));
  return parts;
}

function neighbor(near) {
  const agrees = near.guess === near.label;
  const apart = near.divergence > APART;
  const told = element(
    "span",
    { className: apart ? "apart" : "alike" },
    `${apart ? "answered unlike this one" : "answered much like this one"} `,
    element("span", { className: "exact" }, `(KL ${near.divergence.toFixed(2)})`),
  );
  const model = `${agrees ? "the model agrees" : `the model says ${near.guess}`}, ${percent(near.probability)}`;
  const said = element("p", { className: "said" }, element("b", {}, near.label), element("span", {}, model), told);
  return element("li", {}, element("p", { dir: "auto" }, near.text), said);
}
