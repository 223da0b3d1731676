// The text itself: set as text, folded where it is long, the rest of a very long one fetched when somebody wants it.

import { get } from "./server.js";

const LONG = 1200; // characters, beyond which a text is folded

const $ = (id) => document.getElementById(id);

export function showText(item) {
  const long = item.long || item.text.length + (item.pair || "").length > LONG;
  $("first").textContent = item.text;
  $("second").textContent = item.pair || "";
  $("second").hidden = item.pair === null;
  $("text").classList.toggle("long", long);
  $("text").classList.toggle("folded", long);
  $("text").scrollTop = 0;
  $("more").hidden = !long;
}

// Unfolds a folded text; turns the pages of one that is unfolded.
export function readOn(back, unfold) {
  if (!$("more").hidden) return unfold();
  $("text").scrollBy({ top: (back ? -0.85 : 0.85) * $("text").clientHeight });
}

export async function unfoldText(item, isInSight) {
  $("text").classList.remove("folded");
  $("more").hidden = true;
  if (!item.long) return;
  try {
    const whole = await get(`/api/items/${item.id}/text`);
    if (!isInSight()) return;
    $("first").textContent = whole.text;
    $("second").textContent = whole.pair || "";
  } catch (error) {
    if (isInSight()) $("more").hidden = false;
    throw error;
  }
}
