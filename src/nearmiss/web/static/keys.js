// From a key on the keyboard to what it means here, whatever the keyboard's layout.

// The names to look a key up by: what it types; where it types no Latin letter, the one that stands there on a Latin
// keyboard; and for a digit's key that types a sign (AZERTY), the digit.
export function namesOf(event) {
  const typed = event.key.toLowerCase();
  const digit = /^Digit(\d)$/.exec(event.code);
  const letter = /^Key([A-Z])$/.exec(event.code);
  const names = [typed];
  if (digit && !event.shiftKey) names.push(digit[1]);
  if (letter && typed.length === 1 && typed > "~") names.push(letter[1].toLowerCase());
  return names;
}

// Whether a key belongs to what has the focus, and not to the page.
export function isElsewhere(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return true;
  return event.target instanceof Element && event.target.closest("input, textarea, select, dialog") !== null;
}
