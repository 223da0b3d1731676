// What stands beside the text: how far the project is, how good its model, what was said last; and what stands in the
// text's place when there is none.

import { ago, element, many, percent, swatch } from "./drawing.js";

const $ = (id) => document.getElementById(id);

export function drawStanding({ progress, model, trainer }) {
  $("count-labeled").textContent = `${progress.labeled.toLocaleString("en")} of ${progress.texts.toLocaleString("en")}`;
  $("count-mine").textContent = progress.mine.toLocaleString("en");
  $("model").textContent = model ? `no. ${model.version}, ${ago(model.at)}` : "none yet";
  const good = model && model.accuracy;
  $("accuracy").textContent = good ? percent(good.share) : "too early to tell";
  $("accuracy-between").textContent = good ? `${percent(good.low)} to ${percent(good.high)}, by ${many(good.checks, "random check")}` : "";
  const doing = {
    training: "Training a new model …",
    reading: `Reading the texts: ${percent(trainer.read / Math.max(1, trainer.texts))}`,
    failed: `Training failed${model ? ", the last model stays in use" : ""}: ${trainer.error}`,
  }[trainer.activity];
  $("trainer").textContent = doing || "";
  $("trainer").hidden = !doing;
  $("hint").hidden = progress.mine > 0;
}

export function drawRecent(recent, labels) {
  $("recent").replaceChildren(
    ...recent.map((each) => {
      const label = labels.find((known) => known.id === each.label);
      const dot = label && label.color ? swatch(label.color) : element("span", { className: "swatch" });
      const name = element("b", {}, each.name || (each.kind === "skip" ? "skipped" : "unsure"));
      const start = element("span", { className: "start", dir: "auto" }, each.text);
      return element("li", {}, element("a", { href: `/items/${each.item}` }, dot, name, start));
    }),
  );
  $("none-yet").hidden = recent.length > 0;
}

export function drawComing() {
  $("nothing").replaceChildren(element("span", {}, "The next text is on its way …"));
}

export function drawTrouble(words) {
  $("nothing").replaceChildren(element("strong", {}, "The next text has not come."), element("span", {}, `${words} This page tries again by itself.`));
}

export function drawNothing({ progress: { labeled, texts }, superseded }) {
  if (superseded) {
    $("nothing").replaceChildren(
      element("strong", {}, "This page is open in another window."),
      element("span", {}, "What you said here is saved; the next texts went there."),
      element("a", { href: "/" }, "Go on here instead"),
    );
    return;
  }
  const all = labeled >= texts;
  $("nothing").replaceChildren(
    element("strong", {}, all ? `${texts === 1 ? "The one text is" : `All ${many(texts, "text")} are`} labelled.` : "No text is waiting for you."),
    element("span", {}, all ? "Nothing is left to do here." : "The others are answered, skipped, or with somebody else just now."),
    element("a", { href: "/progress" }, "How good the model is"),
    element("a", { href: "/browse" }, "Look through the texts"),
    element("a", { href: "/export" }, "Take the labels with you"),
  );
}
