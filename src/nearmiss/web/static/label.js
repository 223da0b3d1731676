// The labelling page: one key a label, the next text at once. Texts travel ahead; what was said waits in the outbox
// until it is saved. Nothing here builds HTML from words: they are set as text.

import { Outbox } from "./outbox.js";
import { get, parting, post } from "./server.js";

const $ = (id) => document.getElementById(id);
const boot = JSON.parse($("boot").dataset.boot);
const percent = (share) => `${Math.round(100 * share)} %`;
const MANY = 12;
const LONG = 1200;
const HEARTBEAT = 45_000;
const LOOK = 4_000;

const state = {
  items: boot.items,
  labels: boot.labels,
  labelsVersion: boot.labels_version,
  model: boot.model,
  recent: boot.recent,
  done: [], // texts answered on this page, for undo
  shownAt: performance.now(),
  guessing: boot.suggestions === "offered" && remembered("guesses") === "yes",
  asking: false,
};

const outbox = new Outbox(`nearmiss-outbox-${boot.project}-${boot.person}`, {
  onSaved: saved,
  onRefused: refused,
  onChange: showSaving,
});
outbox.live = () => ({ held: state.items.map((item) => item.id), want: missing() });

// ---- what is said -------------------------------------------------------------------------------------------------

function answer(kind, label) {
  const item = state.items[0];
  if (!item) return;
  const note = $("note").value.trim();
  const seconds = Math.round(performance.now() - state.shownAt) / 1000;
  state.items.shift();
  state.done.push(item);
  if (state.done.length > 200) state.done.shift();
  state.recent.unshift({ item: item.id, text: item.text, kind, label: label ? label.id : null, name: label ? label.name : null });
  state.recent.length = Math.min(state.recent.length, 10);
  outbox.add("/api/answers", {
    item: item.id,
    kind,
    label: label ? label.id : null,
    note,
    seconds,
    suggestion_visible: state.guessing && item.suggestions.length > 0,
  });
  show(label ? label.name : kind === "skip" ? "Skipped" : "Unsure");
}

function undo() {
  const item = state.done.pop();
  if (item) {
    state.items.unshift(item);
    state.recent = state.recent.filter((each) => each.item !== item.id);
  }
  outbox.add("/api/undo", { shows: !item });
  show("Taken back", true);
}

function saved(act, answered) {
  if (act.path === "/api/undo") {
    if (answered.event === null) tell("There is nothing left to undo.");
    else if (act.body.shows && answered.shown.length) {
      state.items = [answered.shown[0], ...state.items.filter((item) => item.id !== answered.shown[0].id)];
      state.recent = state.recent.filter((each) => !answered.undone.includes(each.item));
      show("Taken back", true);
    }
  }
  took(answered);
}

function refused(act, error) {
  const item = state.done.find((each) => each.id === act.body.item);
  if (item) {
    state.done = state.done.filter((each) => each !== item);
    state.recent = state.recent.filter((each) => each.item !== item.id);
    state.items.unshift(item);
  }
  show("");
  alarm(`Not saved: ${error.message}`);
  refresh();
}

// ---- what the server says -----------------------------------------------------------------------------------------

function took(answered) {
  if (answered.labels && answered.labels_version !== state.labelsVersion) {
    state.labels = answered.labels;
    state.labelsVersion = answered.labels_version;
    buildLabels();
  }
  const fresh = answered.model && (!state.model || answered.model.version !== state.model.version);
  state.model = answered.model;
  standing(answered);
  add(answered.items || []);
  if (fresh) renewAhead();
}

function add(items) {
  const known = new Set([...state.items, ...state.done.slice(-3)].map((item) => item.id));
  const empty = !state.items.length;
  for (const item of items) if (!known.has(item.id)) state.items.push(item);
  if (empty) show("");
}

// A new model ranks anew: what has travelled ahead goes back, except for the text in sight.
async function renewAhead() {
  if (outbox.size) return;
  const current = state.items.slice(0, 1);
  try {
    const answered = await post("/api/next", { held: current.map((item) => item.id), want: boot.ahead - current.length });
    if (state.items[0] === current[0]) state.items = [...current];
    add(answered.items);
    drawGuesses();
  } catch {
    // The next answer brings new texts.
  }
}

async function refresh() {
  if (state.asking) return;
  state.asking = true;
  try {
    took(await post("/api/next", { held: state.items.map((item) => item.id), want: missing() }));
    if (!state.items.length) show("");
  } catch (error) {
    if (!state.items.length) empty(`${error.message} This page tries again by itself.`);
  } finally {
    state.asking = false;
  }
}

function missing() {
  return Math.max(0, boot.ahead - state.items.length);
}

async function look() {
  if (document.hidden || outbox.size) return;
  try {
    const answered = await get("/api/state");
    took(answered);
    if (answered.labels_version !== state.labelsVersion || missing()) refresh();
    calm();
  } catch (error) {
    if (!outbox.size) alarm(`${error.message} Nothing is lost; this page tries again by itself.`);
  }
}

// ---- what is shown ------------------------------------------------------------------------------------------------

function show(done, undone = false) {
  const item = state.items[0];
  state.shownAt = performance.now();
  $("note").value = "";
  $("text").hidden = !item;
  $("nothing").hidden = Boolean(item);
  if (item) {
    $("first").textContent = item.text;
    $("second").textContent = item.pair || "";
    $("second").hidden = item.pair === null;
    const long = item.text.length + (item.pair || "").length > LONG;
    $("text").classList.toggle("long", long);
    $("text").classList.toggle("folded", long);
    $("text").scrollTop = 0;
    $("more").hidden = !long;
    if (done) tell(`${undone ? done : `${done}, saved next`}. Text: ${item.text.slice(0, 300)}`);
  } else {
    empty("Looking for the next text …");
    refresh();
  }
  drawGuesses();
  drawRecent();
  markGiven();
  if (!$("why").hidden) why();
  if (!$("finder").hidden && $("find").value) {
    $("find").value = "";
    narrow();
  }
}

function empty(words) {
  $("nothing").textContent = words;
}

function buildLabels() {
  const many = state.labels.length > MANY;
  $("finder").hidden = !many;
  $("labels").classList.toggle("many", many);
  $("labels").replaceChildren(
    ...state.labels.map((label) => {
      const button = element("button", { type: "button" });
      if (label.key) button.append(element("kbd", {}, label.key.toUpperCase()));
      if (label.color) button.append(swatch(label.color));
      button.append(element("span", {}, label.name));
      if (label.description) button.title = label.description;
      button.addEventListener("click", () => answer("label", label));
      button.dataset.label = label.id;
      return button;
    }),
  );
}

function markGiven() {
  const item = state.items[0];
  const before = item && state.recent.find((each) => each.item === item.id);
  for (const button of $("labels").children) {
    button.classList.toggle("given", Boolean(before) && Number(button.dataset.label) === before.label);
  }
}

function drawGuesses() {
  const item = state.items[0];
  const byId = new Map(state.labels.map((label) => [label.id, label]));
  const guesses = item && state.guessing ? item.suggestions.filter((each) => byId.has(each.label)) : [];
  $("guesses").hidden = !guesses.length;
  $("guesses").replaceChildren(
    ...guesses.map((guess, place) => {
      const label = byId.get(guess.label);
      const button = element("button", { type: "button" });
      if (!place) button.append(element("kbd", {}, "Enter"));
      button.append(element("span", {}, label.name), element("span", { className: "share" }, percent(guess.probability)));
      button.addEventListener("click", () => answer("label", label));
      return button;
    }),
  );
}

function drawRecent() {
  $("recent").replaceChildren(
    ...state.recent.map((each) => {
      const link = element("a", { href: `/items/${each.item}` });
      const label = state.labels.find((known) => known.id === each.label);
      link.append(label && label.color ? swatch(label.color) : element("span", {}));
      link.append(element("b", {}, each.name || (each.kind === "skip" ? "skipped" : "unsure")));
      link.append(element("span", { className: "start", dir: "auto" }, each.text.slice(0, 160)));
      const entry = element("li", {});
      entry.append(link);
      return entry;
    }),
  );
}

function standing({ progress, model, trainer }) {
  $("count-labeled").textContent = `${progress.labeled} of ${progress.texts}`;
  $("count-mine").textContent = String(progress.mine);
  const age = model ? ago(model.at) : "";
  let doing = model ? `${model.version}, ${age}` : "after the first labels";
  if (trainer.activity === "training") doing += " · training";
  if (trainer.activity === "reading") doing += ` · reading ${percent(trainer.read / Math.max(1, trainer.texts))}`;
  if (trainer.activity === "failed") doing += " · training failed";
  $("model").textContent = doing;
  $("model").title = trainer.error || "";
  if (!state.items.length && !missing()) empty("");
  if (!state.items.length) empty("No more texts are waiting for you. Skipped ones are under Browse.");
}

function showSaving() {
  const waiting = outbox.size;
  $("saved").classList.toggle("pending", waiting > 0);
  $("saved").lastElementChild.textContent = waiting ? `Saving ${waiting} …` : "Everything is saved.";
  if (waiting && outbox.trouble) alarm(`${waiting === 1 ? "1 answer is" : `${waiting} answers are`} not saved yet. ${outbox.trouble} Trying again by itself …`);
  else if (!waiting) calm();
}

function alarm(words) {
  if ($("unsaved").textContent !== words) $("unsaved").textContent = words;
  $("unsaved").hidden = false;
}

function calm() {
  if (!outbox.size) $("unsaved").hidden = true;
}

function tell(words) {
  $("live").textContent = words;
}

async function why() {
  const item = state.items[0];
  const panel = $("why");
  if (!item) return;
  try {
    const reason = await get(`/api/why/${item.id}`);
    if (state.items[0] === item) panel.replaceChildren(...reasonParts(reason));
  } catch (error) {
    panel.replaceChildren(element("p", {}, error.message));
  }
}

function reasonParts(reason) {
  const parts = [element("p", { className: "sentence" }, reason.sentence)];
  if (reason.guesses.length) {
    const bars = element("div", { className: "bars" });
    for (const [name, share] of reason.guesses.slice(0, 3)) {
      bars.append(element("span", {}, name), bar(share), element("span", {}, percent(share)));
    }
    parts.push(bars);
  }
  if (reason.neighbors.length) {
    const list = element("ul", {});
    for (const near of reason.neighbors.slice(0, 3)) {
      const entry = element("li", {});
      const said = element("p", { className: "said" });
      said.append("labelled ", element("b", {}, near.label), ` · model ${percent(near.probability)} ${near.guess} · `);
      const apart = near.divergence > 0.5;
      said.append(element("span", { className: apart ? "apart" : "", title: `KL divergence ${near.divergence} nats, distance ${near.distance}` }, apart ? "answered differently" : "answered alike"));
      entry.append(element("p", { dir: "auto" }, near.text), said);
      list.append(entry);
    }
    parts.push(element("p", { className: "small" }, "The labelled texts most like this one:"), list);
  }
  if (reason.details) parts.push(element("p", { className: "small" }, reason.details));
  return parts;
}

// ---- finding a label among many -----------------------------------------------------------------------------------

function narrow() {
  const words = $("find").value.trim().toLowerCase().split(/\s+/).filter(Boolean);
  let first = null;
  for (const button of $("labels").children) {
    const name = button.textContent.toLowerCase();
    const fits = words.every((word) => name.includes(word));
    button.hidden = !fits;
    button.classList.remove("first");
    if (fits && words.length && (!first || rank(button, words) < rank(first, words))) first = button;
  }
  if (first) first.classList.add("first");
  return first;
}

function rank(button, words) {
  const name = button.lastElementChild.textContent.toLowerCase();
  return (name.startsWith(words[0]) ? 0 : 1000) + name.length;
}

// ---- keys and buttons ---------------------------------------------------------------------------------------------

const acts = {
  skip: () => answer("skip", null),
  unsure: () => answer("unsure", null),
  undo,
  note() {
    const opens = $("noting").hidden;
    reveal("noting", "note", opens);
    if (opens) $("note").focus();
  },
  why() {
    const opens = $("why").hidden;
    reveal("why", "why", opens);
    if (opens) why();
  },
  guess() {
    if (boot.suggestions !== "offered") return tell("This project is labelled without guesses.");
    state.guessing = !state.guessing;
    remember("guesses", state.guessing ? "yes" : "no");
    pressGuess();
    drawGuesses();
  },
  help: () => $("help").showModal(),
};
const keys = { s: "skip", q: "unsure", u: "undo", n: "note", e: "why", g: "guess", "?": "help", h: "help" };

function reveal(id, act, opens) {
  $(id).hidden = !opens;
  document.querySelector(`[data-act="${act}"]`).setAttribute("aria-expanded", String(opens));
}

function pressGuess() {
  document.querySelector('[data-act="guess"]').setAttribute("aria-pressed", String(state.guessing));
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || $("help").open) return;
  if (event.target === $("find")) return finding(event);
  if (event.target === $("note")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const key = event.key.toLowerCase();
  const label = state.labels.find((each) => each.key === key);
  if (label) {
    if (!event.repeat) answer("label", label);
  } else if (keys[key]) {
    if (!event.repeat || key === "u") acts[keys[key]]();
  } else if (key === "/") {
    if ($("finder").hidden) $("finder").hidden = false;
    $("find").focus();
  } else if (key === "enter" && !(event.target instanceof HTMLButtonElement || event.target instanceof HTMLAnchorElement)) {
    const button = $("guesses").querySelector("button");
    if ($("guesses").hidden || !button || event.repeat) return;
    button.click();
  } else return;
  event.preventDefault();
});

function finding(event) {
  if (event.key === "Escape") {
    $("find").value = "";
    narrow();
    $("find").blur();
  } else if (event.key === "Enter") {
    const first = narrow();
    if (first) {
      $("find").value = "";
      narrow();
      $("find").blur();
      first.click();
    }
    event.preventDefault();
  }
}

$("find").addEventListener("input", narrow);
$("more").addEventListener("click", async () => {
  const item = state.items[0];
  $("text").classList.remove("folded");
  $("more").hidden = true;
  if (item.long) {
    const whole = await fetch(`/api/items/${item.id}/text`);
    if (state.items[0] === item && whole.ok) $("first").textContent = await whole.text();
  }
});
for (const button of document.querySelectorAll("[data-act]")) {
  button.addEventListener("click", () => acts[button.dataset.act]());
}

// ---- coming and going ---------------------------------------------------------------------------------------------

window.addEventListener("pagehide", () => parting("/api/leave"));
window.addEventListener("pageshow", (event) => event.persisted && refresh());
window.addEventListener("beforeunload", (event) => outbox.size && event.preventDefault());
window.addEventListener("online", () => outbox.send());
setInterval(() => {
  if (!document.hidden) post("/api/held", { held: state.items.map((item) => item.id) }).then(took, () => {});
}, HEARTBEAT);
setInterval(look, LOOK);

// ---- small things -------------------------------------------------------------------------------------------------

function element(name, properties, words) {
  const made = Object.assign(document.createElement(name), properties);
  if (words !== undefined) made.textContent = words;
  return made;
}

function swatch(color) {
  const dot = element("span", { className: "swatch" });
  dot.style.setProperty("--swatch", color);
  return dot;
}

function bar(share) {
  const box = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  box.setAttribute("aria-hidden", "true");
  for (const [width, fill] of [["100%", "var(--line)"], [`${100 * share}%`, "var(--strong)"]]) {
    const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    rect.setAttribute("width", width);
    rect.setAttribute("height", "100%");
    rect.setAttribute("rx", "4");
    rect.setAttribute("fill", fill);
    box.append(rect);
  }
  return box;
}

function ago(at) {
  const minutes = Math.round((Date.now() - Date.parse(at)) / 60_000);
  if (minutes < 1) return "just now";
  return minutes < 90 ? `${minutes} min old` : `${Math.round(minutes / 60)} h old`;
}

function remembered(name) {
  try {
    return localStorage.getItem(`nearmiss-${name}`);
  } catch {
    return null;
  }
}

function remember(name, value) {
  try {
    localStorage.setItem(`nearmiss-${name}`, value);
  } catch {
    // Forgotten with the page, then.
  }
}

buildLabels();
pressGuess();
standing(boot);
show("");
showSaving();
