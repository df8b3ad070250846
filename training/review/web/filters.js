// Which photos are shown.

import { selectedAs } from "./panel.js";

const $ = (id) => document.getElementById(id);

export const filters = () => ({
  view: $("view").value, reason: $("reason").value, selected: $("selected").value, source: $("source").value,
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
