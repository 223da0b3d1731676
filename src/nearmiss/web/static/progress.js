// Looks now and then whether the trainer does something else, or a newer model is there, and offers to show it.

import { get } from "./server.js";

const LOOK = 4_000;
const told = document.getElementById("trainer-told");
const newer = document.getElementById("newer");

async function look() {
  if (document.hidden) return;
  try {
    const state = await get("/api/state");
    const version = state.model ? state.model.version : 0;
    const bar = document.querySelector("progress");
    if (bar) bar.value = state.trainer.read;
    if (String(version) !== told.dataset.version || state.trainer.activity !== told.dataset.activity) newer.hidden = false;
  } catch {
    // The server is away for a moment; the next look will tell.
  }
}

setInterval(look, LOOK);
