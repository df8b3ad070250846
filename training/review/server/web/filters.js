// Which photos are shown.

import { selectedAs } from "./panel.js";

const $ = (id) => document.getElementById(id);

export const filters = () => ({
  view: $("view").value, reason: $("reason").value, selected: $("selected").value, source: $("source").value,
});

// Whether this reviewer wants to see the gate's opinion only after his own; each keeps his choice.
const BLIND = "plantood-blind:";
export const isBlind = () => $("blind").checked;
export function recallBlind(reviewer) {
  $("blind").checked = localStorage.getItem(BLIND + reviewer) === "on";
}
export function keepBlind(reviewer) {
  localStorage.setItem(BLIND + reviewer, isBlind() ? "on" : "off");
}

// On a phone most filters are folded away.
function unfold(open) {
  $("filters").classList.toggle("open", open);
  $("more").setAttribute("aria-expanded", open);
}
$("more").addEventListener("click", () => unfold(!$("filters").classList.contains("open")));
document.addEventListener("pointerdown", ({ target }) => {
  if (!$("filters").contains(target)) unfold(false);
});
$("filters").addEventListener("keydown", ({ key }) => {
  if (key === "Escape") unfold(false);
});

// Offers what the photos of this round have.
export function fillFilters(photos) {
  const fill = (select, values, text = (value) => value) => {
    for (const value of [...new Set(values)].sort()) select.append(new Option(text(value), value));
  };
  fill($("reason"), photos.flatMap((photo) => photo.reasons));
  if (photos.some((photo) => !photo.reasons.length)) $("reason").append(new Option("none: it accepts", "none"));
  fill($("selected"), photos.flatMap((photo) => photo.selected_by), selectedAs);
  fill($("source"), photos.map((photo) => photo.source).filter(Boolean));
  $("source-label").hidden = $("source").options.length < 3;
}
