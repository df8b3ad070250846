// What each key does.

import { lettersAreShortcuts } from "./dialogs.js";

const LABELS = {
  p: ["plant"], 1: ["plant"],
  n: ["other", "no_plant"], 2: ["other", "no_plant"],
  b: ["other", "unfit"], 3: ["other", "unfit"],
  u: ["unsure"], 4: ["unsure"],
};
const COMMANDS = ["r", "s", "f", "a", "?"]; // not while zooming
const MOVES = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End"];

// A key that is held down moves on and on, but labels one photo only.
function once(event, action) {
  event.preventDefault();
  if (!event.repeat) action();
}

export function onKeys(actions) {
  const { zoom, label, undo } = actions;

  function onLetter(event, name) {
    if (name in LABELS) once(event, () => label(...LABELS[name]));
    else if (name === "z") once(event, undo);
    else if (COMMANDS.includes(name) && !zoom.isOpen) once(event, actions[name]);
  }

  document.addEventListener("keydown", (event) => {
    const { key, target } = event;
    if (event.isComposing || document.querySelector("dialog[open]:not(#zoom)")) return;
    if (target.closest("select, input:not([type=checkbox])")) {
      if (key === "Escape") actions.leave();
      return;
    }
    if (key === "Escape" && target.closest("#filters")) actions.leave();
    const name = key.toLowerCase();
    if ((event.ctrlKey || event.metaKey) && name === "z" && !event.shiftKey) once(event, undo);
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (MOVES.includes(key)) {
      event.preventDefault();
      if (zoom.isOpen && event.shiftKey && key.startsWith("Arrow")) zoom.pan(key);
      else actions.move(key);
    } else if (key === "Enter" || key === " ") {
      if (!target.closest("button, input")) once(event, actions.toggleZoom);
    } else if (key === "Backspace") {
      once(event, undo);
    } else if (zoom.isOpen && ["+", "=", "-", "0"].includes(key)) {
      event.preventDefault();
      if (key === "0") zoom.fit();
      else if (key === "-") zoom.smaller();
      else zoom.larger();
    } else if (lettersAreShortcuts() || key === "?") {
      onLetter(event, name);
    }
  });
}
