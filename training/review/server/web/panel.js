// The photo at hand, and all that is known of it.

import { meaning, TITLES } from "./board.js";

const $ = (id) => document.getElementById(id);
const SELECTED = { at_most: "low P(plant)", unlike: "unlike the training photos", margin: "near the threshold" };

export const selectedAs = (name) => SELECTED[name] || name;
export const percent = (share) => `${(100 * share).toFixed(share > 0 && share < 0.01 ? 2 : 1)} %`;

function fact(name, value) {
  const pair = document.createElement("div");
  const term = document.createElement("dt");
  const detail = document.createElement("dd");
  term.textContent = name;
  detail.textContent = value;
  pair.append(term, detail);
  return pair;
}

// Shows another picture, in a new element: the old one would go on showing the old picture, beside
// all that is said of the new one, until the new one has come.
export function showImage(image, source) {
  if ((image.getAttribute("src") || "") === source) return image;
  const next = image.cloneNode();
  next.classList.remove("broken");
  next.removeAttribute("src");
  if (source) next.src = source;
  image.replaceWith(next);
  return next;
}

export function showPhoto(photo) {
  $("panel").classList.toggle("empty", !photo);
  for (const button of document.querySelectorAll("[data-label]")) button.disabled = !photo;
  $("open-zoom").disabled = !photo;
  showImage($("photo"), photo ? `./previews/${photo.id}` : "");
  $("path").textContent = photo ? photo.path : "";
  showOpinion(photo, "");
}

// What was measured on the photo, and what the gate makes of it; or why that is hidden for now.
export function showOpinion(photo, hidden) {
  $("panel").classList.toggle("blind", Boolean(hidden));
  $("hidden-opinion").hidden = !hidden;
  $("hidden-opinion").textContent = hidden;
  const shown = photo && !hidden;
  $("probability").textContent = shown ? photo.plant_probability.toFixed(3) : "";
  $("fill").style.width = shown ? `${100 * photo.plant_probability}%` : "0";
  $("reasons").textContent = shown ? opinion(photo.reasons) : "";
  $("facts").replaceChildren(...(photo ? facts(photo, shown) : []));
}

// What the gate remembers is a label, a source, and how far away: 0 is alike, 2 is opposite.
const likeness = ([label, source, distance]) => `${label} ${source} ${distance.toFixed(2)}`;

const opinion = (reasons) => reasons.length
  ? `The gate refuses it: ${reasons.join(", ")}.` : "The gate accepts it.";

function facts(photo, withOpinion) {
  const found = [fact("Sharpness", photo.sharpness.toFixed(2)), fact("Brightness", photo.brightness.toFixed(2))];
  if (withOpinion) {
    found.push(fact("Chosen as", photo.selected_by.map(selectedAs).join(", ")));
    if (photo.nearest.length) found.push(fact("Like", photo.nearest.map(likeness).join(", ")));
  }
  if (photo.source) found.push(fact("Source", photo.source));
  return found;
}

$("open-zoom").addEventListener("error", ({ target }) => target.classList.add("broken"), true);

const BECAUSE = {
  reviewer: "Second look: another reviewer says otherwise.",
  self: "Second look: you changed your mind.",
  gate: "Second look: please look at it once more.", // what the gate says must not lead the eye
};

// What was said of the photo, by me, by others, and why I should look again.
export function showSaid(decision, others, because) {
  const lines = [];
  if (because) lines.push(BECAUSE[because]);
  if (decision) lines.push(`You said: ${TITLES[meaning(decision)]}.`);
  for (const other of others) lines.push(`${other.reviewer} said: ${TITLES[meaning(other)]}.`);
  $("said").textContent = lines.join(" ") || "Not labelled yet.";
  for (const button of document.querySelectorAll("[data-label]")) {
    const { label, kind } = button.dataset;
    const pressed = Boolean(decision) && decision.label === label && (!kind || decision.kind === kind);
    button.setAttribute("aria-pressed", pressed);
  }
}

// The next photos are on their way while this one is looked at.
const ahead = [];
export function fetchAhead(photos, enlarged) {
  ahead.length = 0;
  for (const { id } of photos) {
    const image = new Image();
    image.src = `./${enlarged ? "photos" : "previews"}/${id}`;
    ahead.push(image);
  }
}
