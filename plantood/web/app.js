"use strict";

// One photo at a time: show it, send it to ./check, show what came back.

const $ = (id) => document.getElementById(id);
const WORDS = { accept: "Accept", retake: "Take it again" };
const MARKS = { accept: "✓", retake: "↻" };

let current = null; // the photo on the page, to judge it again in another language
let asked = 0; // number of the newest request; answers to older ones are dropped

function show(...ids) {
  for (const id of ["empty", "busy", "error", "result"]) $(id).hidden = !ids.includes(id);
}

function percent(value) {
  return `${(100 * value).toFixed(value > 0 && value < 0.01 ? 2 : 1)} %`;
}

function title(name) {
  return name[0].toUpperCase() + name.slice(1).replaceAll("_", " ");
}

function preview(photo) {
  const image = $("preview");
  URL.revokeObjectURL(image.src);
  image.onload = () => { image.hidden = false; };
  image.onerror = () => { image.hidden = true; }; // HEIC outside Safari, or no photo at all
  image.src = URL.createObjectURL(photo);
}

function fail(message) {
  $("error").textContent = message;
  show("error");
}

async function judge(photo) {
  current = photo;
  const request = ++asked;
  show("busy");
  $("announce").textContent = "Looking at the photo.";
  const form = new FormData();
  form.append("image", photo, photo.name || "photo");
  if ($("language").value) form.append("language", $("language").value);
  const started = performance.now();
  let response, answer;
  try {
    response = await fetch("./check", { method: "POST", body: form });
    answer = await response.json();
  } catch {
    if (request === asked) fail("The service does not answer. Is the connection up? Try again.");
    return;
  }
  if (request !== asked) return;
  if (!response.ok) {
    fail(answer.error || `The service answered ${response.status}.`);
    return;
  }
  render(answer, performance.now() - started);
}

function fact(name, value) {
  const term = document.createElement("dt");
  const detail = document.createElement("dd");
  const pair = document.createElement("div");
  term.textContent = name;
  detail.textContent = value;
  pair.append(term, detail);
  return pair;
}

function render(answer, elapsed) {
  const word = WORDS[answer.verdict];
  $("verdict").className = `verdict ${answer.verdict}`;
  $("mark").textContent = MARKS[answer.verdict];
  $("word").textContent = word;
  $("reasons").lang = $("language").value || navigator.language;
  $("reasons").replaceChildren(...answer.reasons.map((reason) => {
    const item = document.createElement("li");
    const code = document.createElement("code");
    item.textContent = reason.message;
    code.textContent = reason.code;
    item.append(code);
    return item;
  }));

  const probability = answer.plant_probability;
  $("score").hidden = probability === null;
  if (probability !== null) {
    $("score").className = probability < answer.threshold ? "low" : "";
    $("probability").textContent = percent(probability);
    $("fill").style.width = `${100 * probability}%`;
    $("tick").style.left = `${100 * answer.threshold}%`;
    $("threshold").textContent = `Accepted from ${percent(answer.threshold)} on.`;
  }

  const facts = [];
  if (answer.unfamiliarity !== null) facts.push(fact("Unfamiliarity", answer.unfamiliarity.toFixed(2)));
  if (answer.quality) {
    const { width, height, ...cues } = answer.quality;
    facts.push(fact("Size", `${width} × ${height}`));
    for (const [cue, value] of Object.entries(cues)) facts.push(fact(title(cue), value.toFixed(2)));
  }
  for (const [stage, ms] of Object.entries(answer.timings_ms)) {
    facts.push(fact(`Time: ${stage}`, `${ms.toFixed(1)} ms`));
  }
  facts.push(fact("Time: with the upload", `${elapsed.toFixed(0)} ms`));
  $("facts").replaceChildren(...facts);
  $("json").textContent = JSON.stringify(answer, null, 2);
  $("announce").textContent = [word, ...answer.reasons.map((reason) => reason.message)].join(". ");
  show("result");
}

function take(files) {
  const photo = [...(files || [])][0];
  if (!photo) return;
  preview(photo);
  judge(photo);
}

for (const id of ["camera", "file"]) {
  $(id).addEventListener("change", (event) => {
    take(event.target.files);
    event.target.value = ""; // the same photo may be chosen again
  });
}

// Anywhere on the page: a photo dropped beside the frame must not replace the page.
for (const name of ["dragenter", "dragover"]) {
  addEventListener(name, (event) => { event.preventDefault(); $("drop").classList.add("over"); });
}
addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) $("drop").classList.remove("over");
});
addEventListener("drop", (event) => {
  event.preventDefault();
  $("drop").classList.remove("over");
  take(event.dataTransfer.files);
});
addEventListener("paste", (event) => take(event.clipboardData.files));

$("language").addEventListener("change", () => { if (current) judge(current); });

// The languages that the gate speaks, the browser's first choice among them selected.
async function introduce() {
  const model = await (await fetch("./model")).json();
  $("model").textContent = model.model;
  const names = (code) => new Intl.DisplayNames([code], { type: "language" }).of(code) || code;
  for (const code of model.languages) $("language").append(new Option(names(code), code));
  const wanted = navigator.languages.map((code) => code.split("-")[0]);
  const known = wanted.find((code) => model.languages.includes(code));
  $("language").value = known || model.default_language;
}

introduce().catch(() => { $("model").textContent = "not available"; });
