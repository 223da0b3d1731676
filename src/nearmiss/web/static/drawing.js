// Small pieces of a page. Words are always set as text, never read as HTML.

export function element(name, properties, ...content) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...content);
  return made;
}

export function swatch(color) {
  const dot = element("span", { className: "swatch" });
  dot.style.setProperty("--swatch", color);
  return dot;
}

export function bar(share) {
  const box = drawn("svg", { class: "bar", "aria-hidden": "true" });
  box.append(drawn("rect", { class: "rail", width: "100%", height: "100%", rx: "4" }));
  box.append(drawn("rect", { class: "filled", width: `${100 * share}%`, height: "100%", rx: "4" }));
  return box;
}

function drawn(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [attribute, value] of Object.entries(attributes)) made.setAttribute(attribute, value);
  return made;
}

export function percent(share) {
  return `${Math.round(100 * share)}\u00a0%`;
}

export function many(n, thing) {
  return `${n.toLocaleString("en")} ${thing}${n === 1 ? "" : "s"}`;
}

export function ago(at) {
  const minutes = Math.round((Date.now() - Date.parse(at)) / 60_000);
  if (minutes < 1) return "just now";
  return minutes < 90 ? `${minutes} min ago` : minutes < 36 * 60 ? `${Math.round(minutes / 60)} h ago` : `${Math.round(minutes / 1440)} days ago`;
}
