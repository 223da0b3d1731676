// What was said and is not yet saved. It is sent in order, again and again until the server has it, and it outlives the
// page: each act carries a key of its own, so that one sent twice counts once, from whichever page.

import { Refused, inTurn, post } from "./server.js";

const FIRST_WAIT = 250;
const LONGEST_WAIT = 4000;

export class Outbox {
  constructor(name, { onSaved, onRefused, onChange, live }) {
    this.name = name;
    this.on = { saved: onSaved, refused: onRefused, change: onChange };
    this.live = live; // what the server should know at the moment of sending, not of saying
    this.waiting = this.restored();
    this.trouble = "";
    this.sending = false;
    this.hurry = () => {};
    this.moment = 0;
  }

  get size() {
    return this.waiting.length;
  }

  // The texts whose answers wait here.
  get items() {
    return this.waiting.filter((act) => act.path === "/api/answers").map((act) => act.body.item);
  }

  // The memo stays on this side: what the page must know of the act when it is loaded anew.
  add(path, body, memo) {
    const key = crypto.randomUUID ? crypto.randomUUID() : randomKey();
    this.moment = Math.max(this.moment + 1, Date.now());
    const act = { path, body: { ...body, key }, memo, stored: `${this.name}/${this.moment}/${key}` };
    this.waiting.push(act);
    try {
      localStorage.setItem(act.stored, JSON.stringify(act));
    } catch {
      // No storage: then this page alone holds what is unsaved, and it warns before it is left.
    }
    this.send();
  }

  // Takes back the answer to a text that was never sent; says whether it could.
  cancel(item) {
    const at = this.waiting.findLastIndex((act) => act.path === "/api/answers" && act.body.item === item);
    if (at < 1 || this.waiting[at].restored) return false;
    this.drop(this.waiting[at]);
    this.on.change();
    return true;
  }

  drop(act) {
    this.waiting = this.waiting.filter((each) => each !== act);
    try {
      localStorage.removeItem(act.stored);
    } catch {
      // It was never stored, then.
    }
  }

  async send() {
    if (this.sending) return;
    this.sending = true;
    let wait = FIRST_WAIT;
    while (this.waiting.length) {
      const act = this.waiting[0];
      this.on.change();
      const { saved, error } = await this.sent(act);
      if (saved) {
        this.drop(act);
        this.trouble = "";
        wait = FIRST_WAIT;
        this.on.saved(act, saved);
      } else if (error instanceof Refused && error.status !== 401 && error.status !== 403) {
        this.drop(act);
        this.on.refused(act, error);
      } else {
        this.trouble = error instanceof Refused ? `${error.message} What you said is kept here until then.` : error.message;
        this.on.change();
        await this.pause(wait);
        wait = Math.min(2 * wait, LONGEST_WAIT);
      }
    }
    this.sending = false;
    this.on.change();
  }

  async sent(act) {
    try {
      return { saved: await inTurn(() => post(act.path, { ...act.body, ...this.live(act) })) };
    } catch (error) {
      return { error };
    }
  }

  pause(milliseconds) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, milliseconds);
      this.hurry = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  restored() {
    const acts = [];
    try {
      for (const stored of Object.keys(localStorage)) {
        if (!stored.startsWith(`${this.name}/`)) continue;
        const act = JSON.parse(localStorage.getItem(stored));
        if (act && act.path && act.body) acts.push({ ...act, stored, restored: true });
      }
    } catch {
      return [];
    }
    return acts.sort((one, other) => moment(one) - moment(other));
  }
}

function moment(act) {
  return Number(act.stored.split("/").at(-2));
}

function randomKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
