// What was said and is not yet saved. It is sent in order, again and again until the server has it, and it outlives the
// page: each act carries a key of its own, so that one sent twice counts once.

import { Refused, Unreachable, post } from "./server.js";

const LONGEST_WAIT = 5000;

export class Outbox {
  constructor(name, { onSaved, onRefused, onChange }) {
    this.name = name;
    this.on = { saved: onSaved, refused: onRefused, change: onChange };
    this.waiting = this.restored();
    this.trouble = "";
    this.sending = false;
    if (this.waiting.length) this.send();
  }

  get size() {
    return this.waiting.length;
  }

  add(path, body) {
    this.waiting.push({ path, body: { ...body, key: crypto.randomUUID ? crypto.randomUUID() : randomKey() } });
    this.keep();
    this.send();
  }

  async send() {
    if (this.sending) return;
    this.sending = true;
    let wait = 250;
    while (this.waiting.length) {
      const act = this.waiting[0];
      this.on.change();
      try {
        const saved = await post(act.path, { ...act.body, ...this.live(act) });
        this.waiting.shift();
        this.keep();
        this.trouble = "";
        wait = 250;
        this.on.saved(act, saved);
      } catch (error) {
        if (error instanceof Refused && error.status !== 401 && error.status !== 403) {
          this.waiting.shift();
          this.keep();
          this.on.refused(act, error);
        } else if (error instanceof Unreachable || error instanceof Refused) {
          this.trouble =
            error instanceof Refused ? `${error.message} What you said is kept here until then.` : error.message;
          this.on.change();
          await new Promise((resolve) => setTimeout(resolve, wait));
          wait = Math.min(2 * wait, LONGEST_WAIT);
        } else {
          this.sending = false;
          throw error;
        }
      }
    }
    this.sending = false;
    this.on.change();
  }

  // What the server should know at the moment of sending, not of saying.
  live() {
    return {};
  }

  keep() {
    try {
      localStorage.setItem(this.name, JSON.stringify(this.waiting));
    } catch {
      // No storage: then this page alone holds what is unsaved, and it warns before it is left.
    }
  }

  restored() {
    try {
      const kept = JSON.parse(localStorage.getItem(this.name) || "[]");
      return Array.isArray(kept) ? kept.filter((act) => act && act.path && act.body) : [];
    } catch {
      return [];
    }
  }
}

function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
