// Finding a label among many by typing parts of its name: the best match is marked, Enter gives it, arrows choose another.

export class Finder {
  constructor({ box, input, list, onFound, tell }) {
    this.box = box;
    this.input = input;
    this.list = list;
    this.onFound = onFound;
    this.tell = tell;
    this.chosen = null;
    input.addEventListener("input", () => this.narrow());
    input.addEventListener("keydown", (event) => this.key(event));
  }

  open() {
    this.box.hidden = false;
    this.input.focus();
    this.input.select();
  }

  clear() {
    if (this.input.value || this.chosen) {
      this.input.value = "";
      this.narrow();
    }
  }

  get words() {
    return this.input.value.toLowerCase().split(/[\s_\-/]+/).filter(Boolean);
  }

  narrow() {
    const words = this.words;
    const ranked = [];
    for (const button of this.list.children) {
      const rank = words.length ? rankOf(button.dataset.name.toLowerCase(), words) : 0;
      button.hidden = rank === null;
      if (rank !== null) ranked.push([rank, button]);
    }
    this.mark(words.length && ranked.length ? ranked.reduce((best, each) => (each[0] < best[0] ? each : best))[1] : null);
    if (words.length) this.tell(this.chosen ? `${ranked.length} fit. Enter gives ${this.chosen.dataset.name}.` : "No label fits.");
  }

  mark(button) {
    this.chosen?.classList.remove("first");
    this.chosen = button;
    if (button) {
      button.classList.add("first");
      button.scrollIntoView({ block: "nearest" });
    }
  }

  step(by) {
    const shown = [...this.list.children].filter((button) => !button.hidden);
    if (!shown.length) return;
    const at = this.chosen ? shown.indexOf(this.chosen) + by : 0;
    this.mark(shown[(at + shown.length) % shown.length]);
    this.tell(`Enter gives ${this.chosen.dataset.name}.`);
  }

  key(event) {
    if (event.isComposing) return;
    if (event.key === "Escape") {
      this.clear();
      this.input.blur();
    } else if (event.key === "Enter") {
      event.preventDefault();
      const found = this.chosen;
      if (!found || event.repeat) return;
      this.clear();
      this.input.blur();
      this.onFound(found);
    } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      this.step(event.key === "ArrowDown" ? 1 : -1);
    } else if (event.key === "/" && !this.input.value) {
      event.preventDefault(); // "/" opened this field: pressed once more, it is no part of a name
    }
  }
}

// The lower the better; null where a word is not in the name. Names that begin with what was typed come first, then those
// in which each word begins a word, then short ones.
function rankOf(name, words) {
  if (!words.every((word) => name.includes(word))) return null;
  const parts = name.split(/[\s_\-/]+/);
  if (parts.join(" ") === words.join(" ")) return 0;
  const begins = words.every((word) => parts.some((part) => part.startsWith(word)));
  return (parts.join(" ").startsWith(words.join(" ")) ? 0 : begins ? 1000 : 2000) + name.length;
}
