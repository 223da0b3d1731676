// The buttons that answer: the labels, and the model's guesses.

import { element, percent, swatch } from "./drawing.js";

export function labelButton(label, give) {
  const button = element("button", { type: "button", title: label.description });
  if (label.key) button.append(element("kbd", { ariaHidden: "true" }, label.key.toUpperCase()));
  if (label.color) button.append(swatch(label.color));
  button.append(element("span", {}, label.name));
  button.dataset.label = label.id;
  button.dataset.name = label.name;
  if (label.key) button.setAttribute("aria-keyshortcuts", label.key.toUpperCase());
  return pressing(button, () => give(label));
}

export function guessButton(label, probability, give, isFirst) {
  const button = element("button", { type: "button" });
  if (isFirst) button.append(element("kbd", { ariaHidden: "true" }, "Enter"));
  button.append(element("span", {}, label.name), element("span", { className: "share" }, percent(probability)));
  return pressing(button, () => give(label));
}

// After a click by mouse or finger the focus leaves the button: Enter must not press the same one once more.
export function pressing(button, act) {
  button.addEventListener("click", (event) => {
    if (event.detail) button.blur();
    act(event);
  });
  return button;
}
