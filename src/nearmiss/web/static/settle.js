// Digits settle the first case: the keys stand on its buttons once this script runs.

const first = document.querySelector(".case");
if (first) {
  for (const told of [document.getElementById("keys"), ...first.querySelectorAll("kbd")]) told.hidden = false;
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) return;
    if (event.target.closest("input, select, textarea")) return;
    const button = first.querySelector(`button[data-key="${CSS.escape(event.key)}"]`);
    if (!button) return;
    event.preventDefault();
    button.click();
  });
}
