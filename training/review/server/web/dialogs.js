// The dialogs: who is looking, how the reviewers agree, and help.

import { percent } from "./panel.js";

const $ = (id) => document.getElementById(id);
const KEPT = "plantood-reviewer";
const LETTERS = "plantood-letters";

// Each tab keeps its own reviewer; a new tab begins with the one used last.
export const storedReviewer = () => sessionStorage.getItem(KEPT) || localStorage.getItem(KEPT);

// The form in which the server stores a name; what it refuses is told here already.
function cleanName(text) {
  const name = text.normalize("NFC").trim().split(/\s+/).join(" ");
  if (!/^[\p{L}\p{N}]/u.test(name)) throw new Error("A name begins with a letter or a digit.");
  if (/[+\p{C}]/u.test(name)) throw new Error("A name has no + and no invisible signs.");
  return name;
}

// Asks for a name until there is one, and keeps it.
export function askName(current, known) {
  const dialog = $("who"), input = $("name");
  input.value = current || "";
  $("names").replaceChildren(...known.map((name) => new Option(name)));
  $("name-error").hidden = true;
  dialog.showModal();
  input.select();
  return new Promise((resolve) => {
    const submit = (event) => {
      event.preventDefault();
      try {
        const name = cleanName(input.value);
        keepReviewer(name);
        dialog.removeEventListener("submit", submit);
        dialog.removeEventListener("cancel", cancel);
        dialog.close();
        resolve(name);
      } catch (error) {
        $("name-error").textContent = error.message;
        $("name-error").hidden = false;
      }
    };
    const cancel = (event) => {
      event.preventDefault();
      if (!current) return; // nobody labels without a name
      dialog.removeEventListener("submit", submit);
      dialog.removeEventListener("cancel", cancel);
      dialog.close();
      resolve(current);
    };
    dialog.addEventListener("submit", submit);
    dialog.addEventListener("cancel", cancel);
  });
}

export function keepReviewer(name) {
  sessionStorage.setItem(KEPT, name);
  localStorage.setItem(KEPT, name);
}

const between = ({ share, interval: [low, high] }) =>
  `${percent(share)} (${(100 * low).toFixed(1)} to ${(100 * high).toFixed(1)})`;
const kappa = (value) => value === null ? "–" : value.toFixed(2);

export function showAgreement(pairs, reviewer) {
  $("unknown").hidden = true;
  $("alone").hidden = pairs.length > 0;
  $("pairs").hidden = pairs.length === 0;
  $("pairs").tBodies[0].replaceChildren(...pairs.map((pair) => {
    const row = document.createElement("tr");
    const values = [
      pair.reviewers.join(" and "), pair.photos,
      between(pair.first), kappa(pair.first.kappa), between(pair.now), kappa(pair.now.kappa),
    ];
    for (const value of values) row.insertCell().textContent = value;
    return row;
  }));
  // The one that tells me most: the reviewer with whom I share most photos.
  const own = pairs.filter((pair) => pair.reviewers.includes(reviewer));
  own.sort((a, b) => b.photos - a.photos);
  const other = own[0]?.reviewers.find((name) => name !== reviewer);
  $("kappa").textContent = own.length
    ? `with ${other}: ${percent(own[0].now.share)}, κ ${kappa(own[0].now.kappa)}` : "";
}

export function showNoAgreement(why) {
  $("unknown").textContent = `The agreement is not known for now. ${why}`;
  $("unknown").hidden = false;
  $("alone").hidden = $("pairs").hidden = true;
  $("kappa").textContent = "not known";
}

export const lettersAreShortcuts = () => localStorage.getItem(LETTERS) !== "off";

export function openHelp() {
  $("letters").checked = lettersAreShortcuts();
  $("help").showModal();
}

$("letters").addEventListener("change", (event) => {
  localStorage.setItem(LETTERS, event.target.checked ? "on" : "off");
});
