// The labelling page: one key a label, the next text at once. Texts travel ahead; what was said waits in the outbox
// until it is saved.

import { guessButton, labelButton, pressing } from "./choices.js";
import { element, many } from "./drawing.js";
import { Finder } from "./finder.js";
import { isElsewhere, namesOf } from "./keys.js";
import { keepInSight, lastInSight, remember, remembered } from "./memory.js";
import { Outbox } from "./outbox.js";
import { readOn, showText, unfoldText } from "./reader.js";
import { reasonParts } from "./reasons.js";
import { get, inTurn, parting, post } from "./server.js";
import { drawComing, drawNothing, drawRecent, drawStanding, drawTrouble } from "./side.js";

const $ = (id) => document.getElementById(id);
const boot = JSON.parse($("boot").dataset.boot);
const MANY = 12; // labels, beyond which they are found by typing
const HEARTBEAT = 45_000;
const LOOK = 4_000;
const RECENT = 10;
const UNDOABLE = 200;
const MOST_HELD = 20; // as the server has it

const state = {
  items: [],
  labels: boot.labels,
  labelsVersion: boot.labels_version,
  model: boot.model,
  recent: boot.recent,
  done: [], // texts answered on this page, for undo
  said: "", // what was said last, until it is told that it is saved
  refused: false, // whether something was refused since
  shownAt: 0,
  guessing: boot.suggestions === "offered" && remembered("guesses") === "yes",
  keys: remembered("keys") !== "no",
};

const outbox = new Outbox(`nearmiss-outbox-${boot.project}-${boot.person}`, {
  onSaved: saved,
  onRefused: refused,
  onChange: showSaving,
  live,
});
const finder = new Finder({ box: $("finder"), input: $("find"), list: $("labels"), onFound: (button) => button.click(), tell });

// ---- what is said -------------------------------------------------------------------------------------------------

function answer(kind, label) {
  const item = state.items.shift();
  if (!item) return;
  const note = $("note").value.trim();
  const name = label ? label.name : kind === "skip" ? "skipped" : "unsure";
  state.done.push({ item: { ...item, before: label ? label.id : null }, note });
  if (state.done.length > UNDOABLE) state.done.shift();
  const recent = { item: item.id, text: item.text.slice(0, 160), kind, label: label ? label.id : null, name };
  state.recent = [recent, ...state.recent.filter((each) => each.item !== item.id)].slice(0, RECENT);
  state.said = name;
  state.refused = false;
  outbox.add(
    "/api/answers",
    {
      item: item.id,
      kind,
      label: label ? label.id : null,
      note,
      seconds: Math.round(performance.now() - state.shownAt) / 1000,
      suggestion_visible: state.guessing && item.suggestions.length > 0,
    },
    recent,
  );
  show();
}

function undo() {
  const last = state.done.pop();
  state.said = "";
  if (last) putBack(last.item, last.note);
  if (last && outbox.cancel(last.item.id)) return tell(`Taken back. ${inSight()}`);
  outbox.add("/api/undo", {}, { expects: last ? last.item.id : null });
}

function putBack(item, note) {
  state.items = [item, ...state.items.filter((each) => each.id !== item.id)];
  state.recent = state.recent.filter((each) => each.item !== item.id);
  show();
  $("note").value = note;
  if (note) reveal("noting", "note", true);
}

// ---- what became of it --------------------------------------------------------------------------------------------

function saved(act, answered) {
  took(answered);
  if (!state.items.length && !outbox.size) drawNothing(answered);
  if (act.path === "/api/undo") undone(act, answered);
  else if (state.said && !outbox.size) {
    tell(`Saved: ${state.said}. ${inSight()}`);
    state.said = "";
  }
}

function undone(act, answered) {
  if (answered.event === null) return tell("There is nothing left to undo.");
  const [back] = answered.shown;
  state.recent = state.recent.filter((each) => !answered.undone.includes(each.item));
  drawRecent(state.recent, state.labels);
  if (act.memo.expects !== back.id) {
    // The last answer was given before this page, or on another: that one is back, and ours, if there was one, stands.
    state.items = state.items.filter((each) => each.id !== act.memo.expects);
    putBack(back, "");
  }
  tell(`Taken back. ${inSight()}`);
}

function refused(act, error) {
  const last = state.done.find((each) => each.item.id === act.body.item);
  const undoing = outbox.waiting.find((each) => each.path === "/api/undo" && each.memo.expects === act.body.item);
  if (undoing) outbox.drop(undoing);
  if (last) {
    state.done = state.done.filter((each) => each !== last);
    putBack(last.item, last.note);
  }
  state.said = "";
  state.refused = true;
  alarm(`Not saved: ${error.message}`);
  refresh();
}

// ---- what the server says -----------------------------------------------------------------------------------------

function took(answered) {
  if (answered.labels && answered.labels_version !== state.labelsVersion) {
    state.labels = answered.labels;
    state.labelsVersion = answered.labels_version;
    drawLabels();
    drawGuesses();
  }
  const fresh = answered.model && (!state.model || answered.model.version !== state.model.version);
  state.model = answered.model;
  drawStanding(answered);
  add(answered.items || []);
  if (fresh) renewAhead();
}

function add(items) {
  const known = new Set(held());
  const first = !state.items.length;
  for (const item of items) if (!known.has(item.id)) state.items.push(item);
  if (first && state.items.length) show();
}

// The texts that are ours: in sight, ahead, and answered without the server's knowing yet (but for the act it is told now).
function held(act) {
  const waiting = outbox.items.filter((item) => item !== act?.body.item);
  return [...state.items.map((item) => item.id), ...waiting].slice(0, MOST_HELD);
}

function live(act) {
  return { page: boot.page, held: held(act), want: missing(), labels_version: state.labelsVersion };
}

function missing() {
  return Math.max(0, boot.ahead - state.items.length);
}

// A new model ranks anew: what has travelled ahead goes back, except for the text in sight and the one behind it, which
// may be in sight before the answer is here.
function renewAhead() {
  inTurn(async () => {
    if (outbox.size) return;
    const kept = held().slice(0, 2);
    const answered = await post("/api/next", { ...live(), held: kept, want: boot.ahead - kept.length });
    state.items = state.items.filter((item, place) => place === 0 || kept.includes(item.id));
    took(answered);
  }).catch(() => {}); // the next answer brings new texts
}

function refresh() {
  return inTurn(async () => {
    const answered = await post("/api/next", live());
    took(answered);
    if (!state.items.length) drawNothing(answered);
  }).catch((error) => {
    if (!state.items.length) drawTrouble(error.message);
  });
}

async function look() {
  if (document.hidden || outbox.size) return;
  try {
    const answered = await get("/api/state");
    const others = answered.labels_version !== state.labelsVersion;
    took(answered);
    if (others || missing()) refresh();
    calm();
  } catch (error) {
    if (!outbox.size) alarm(`${error.message} Nothing is lost; this page tries again by itself.`);
  }
}

// ---- what is shown ------------------------------------------------------------------------------------------------

function show() {
  const item = state.items[0];
  state.shownAt = performance.now();
  $("note").value = "";
  $("text").hidden = !item;
  $("nothing").hidden = item !== undefined;
  document.querySelector(".desk").classList.toggle("idle", !item);
  if (item) {
    showText(item);
    keepInSight(boot.project, item.id);
    const given = item.before ?? null;
    for (const button of $("labels").children) button.classList.toggle("given", Number(button.dataset.label) === given);
  } else {
    drawComing();
    if (!outbox.size) refresh();
  }
  drawGuesses();
  drawRecent(state.recent, state.labels);
  finder.clear();
  if (!$("why").hidden) why();
}

function inSight() {
  const item = state.items[0];
  return item ? `Next text: ${item.text.slice(0, 300)}${item.pair ? ` And: ${item.pair.slice(0, 300)}` : ""}` : "No text is waiting.";
}

function drawLabels() {
  const several = state.labels.length > MANY;
  $("finder").hidden = !several;
  $("labels").classList.toggle("many", several);
  $("labels").replaceChildren(...state.labels.map((label) => labelButton(label, give)));
}

function give(label) {
  answer("label", label);
}

function drawGuesses() {
  const item = state.items[0];
  const byId = new Map(state.labels.map((label) => [label.id, label]));
  const guesses = item && state.guessing ? item.suggestions.filter((each) => byId.has(each.label)) : [];
  $("guesses").hidden = !guesses.length;
  $("guesses").replaceChildren(
    ...guesses.map((guess, place) => guessButton(byId.get(guess.label), guess.probability, give, place === 0)),
  );
}

function showSaving() {
  const waiting = outbox.size;
  $("saved").classList.toggle("pending", waiting > 0);
  $("saved").lastElementChild.textContent = waiting ? `Saving ${waiting} …` : "Everything is saved.";
  if (waiting && outbox.trouble) {
    if (state.said) tell(`Not saved yet: ${state.said}. ${inSight()}`);
    state.said = "";
    alarm(`${many(waiting, "answer")} not saved yet. ${outbox.trouble} Trying again by itself …`);
  } else if (!waiting) calm();
}

function alarm(words) {
  if ($("unsaved").textContent !== words) $("unsaved").textContent = words;
  $("unsaved").hidden = false;
}

function calm() {
  if (!outbox.size && !state.refused) $("unsaved").hidden = true;
}

function tell(words) {
  $("live").textContent = words;
}

async function why() {
  const item = state.items[0];
  const panel = $("why");
  panel.classList.add("stale");
  if (!item) return panel.replaceChildren();
  let parts;
  try {
    parts = reasonParts(await get(`/api/why/${item.id}`));
  } catch (error) {
    parts = [element("p", {}, error.message)];
  }
  if (state.items[0] !== item) return;
  panel.replaceChildren(...parts);
  panel.classList.remove("stale");
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
    tell(state.guessing ? (state.model ? "Guesses are shown." : "Guesses are shown once there is a model.") : "Guesses are hidden.");
  },
  help: () => $("help").showModal(),
  find: () => finder.open(),
  read: (event) => readOn(event.shiftKey, unfold),
  accept() {
    if (!$("guesses").hidden) $("guesses").querySelector("button").click();
  },
};
const keys = { s: "skip", q: "unsure", u: "undo", n: "note", e: "why", g: "guess", h: "help", "?": "help", "/": "find", " ": "read", enter: "accept" };
const REPEATED = new Set(["undo", "read"]); // what a key held down may do again and again

function reveal(id, act, opens) {
  $(id).hidden = !opens;
  document.querySelector(`[data-act="${act}"]`).setAttribute("aria-expanded", String(opens));
}

function pressGuess() {
  const button = document.querySelector('[data-act="guess"]');
  button.setAttribute("aria-pressed", String(state.guessing));
  button.hidden = boot.suggestions !== "offered";
}

document.addEventListener("keydown", (event) => {
  if (event.target === $("note") && event.key === "Escape") event.target.blur();
  if (isElsewhere(event)) return;
  const presses = event.key === "Enter" || event.key === " ";
  if (presses && event.target instanceof Element && event.target.closest("button, a")) {
    if (event.repeat) event.preventDefault(); // a button held down must not label text after text
    return;
  }
  if (!state.keys && !presses) return;
  for (const name of namesOf(event)) {
    const label = state.labels.find((each) => each.key === name);
    if (!label && !keys[name]) continue;
    event.preventDefault();
    if (label && !event.repeat) answer("label", label);
    if (!label && (!event.repeat || REPEATED.has(keys[name]))) acts[keys[name]](event);
    return;
  }
});

function unfold() {
  const item = state.items[0];
  unfoldText(item, () => state.items[0] === item).catch((error) => tell(error.message));
}

$("more").addEventListener("click", unfold);
for (const button of document.querySelectorAll("[data-act]")) pressing(button, acts[button.dataset.act]);
$("single-keys").checked = state.keys;
$("single-keys").addEventListener("change", (event) => {
  state.keys = event.target.checked;
  remember("keys", state.keys ? "yes" : "no");
});

// ---- coming and going ---------------------------------------------------------------------------------------------

window.addEventListener("pagehide", () => parting("/api/leave", { page: boot.page }));
// A page kept by the browser has given back its texts: it begins anew.
window.addEventListener("pageshow", (event) => event.persisted && location.reload());
window.addEventListener("beforeunload", (event) => outbox.size && outbox.trouble && event.preventDefault());
window.addEventListener("online", () => outbox.hurry());
document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  outbox.hurry();
  look();
});
setInterval(() => {
  if (!document.hidden) inTurn(async () => took(await post("/api/held", { page: boot.page, held: held() }))).catch(() => {});
}, HEARTBEAT);
setInterval(look, LOOK);

// What was said before this page was loaded, and is not saved yet, is not asked again.
const unsaved = new Set(outbox.items);
const before = lastInSight(boot.project);
state.items = boot.items.filter((item) => !unsaved.has(item.id)).sort((one, other) => (other.id === before) - (one.id === before));
for (const act of outbox.waiting) if (act.path === "/api/answers" && act.memo) state.recent.unshift(act.memo);
state.recent.length = Math.min(state.recent.length, RECENT);
drawLabels();
pressGuess();
drawStanding(boot);
show();
showSaving();
outbox.send();
