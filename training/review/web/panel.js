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
  if (!photo) {
    for (const id of ["probability", "reasons", "path"]) $(id).textContent = "";
    $("facts").replaceChildren();
    $("fill").style.width = "0";
    return;
  }
  $("probability").textContent = photo.plant_probability.toFixed(3);
  $("fill").style.width = `${100 * photo.plant_probability}%`;
  $("reasons").textContent = photo.reasons.length
    ? `The gate refuses it: ${photo.reasons.join(", ")}.` : "The gate accepts it.";
  const facts = [fact("Sharpness", photo.sharpness.toFixed(2)), fact("Brightness", photo.brightness.toFixed(2))];
  if (photo.unfamiliarity !== null) facts.push(fact("Unfamiliarity", photo.unfamiliarity.toFixed(2)));
  facts.push(fact("Chosen as", photo.selected_by.map(selectedAs).join(", ")));
  if (photo.source) facts.push(fact("Source", photo.source));
  $("facts").replaceChildren(...facts);
  $("path").textContent = photo.path;
}

$("open-zoom").addEventListener("error", ({ target }) => target.classList.add("broken"), true);

const BECAUSE = {
  reviewer: "Second look: another reviewer says otherwise.",
  self: "Second look: you changed your mind.",
  gate: "Second look: the gate is strongly of the other opinion.",
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
