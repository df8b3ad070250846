"use strict";

// One photo at a time: show it, send it to ./check, show what came back, in the language chosen.

// The page's own words; why a photo has to be taken again is said by the gate. A language that
// lacks a text has it in English, see lookUp().
const TEXTS = {
  en: {
    title: "plantood: check a plant photo",
    purpose: "Is this photo fit for a plant-disease diagnosis?",
    language: "Language",
    answer: "Answer",
    photo: "Photo",
    preview: "Your photo",
    hint: "Drop a photo here, paste one, or",
    camera: "Take a photo",
    file: "Choose a file",
    forgotten: "The photo is judged and then forgotten.",
    kept: "Photos that are refused or unclear may be kept to improve the gate.",
    empty: "The answer appears here.",
    sending: "Sending the photo: {share}",
    looking: "Looking at the photo…",
    accept: "Good photo",
    retake: "Take it again",
    just_enough: "Just enough.",
    just_too_little: "Just not enough.",
    again: "Try again",
    details: "Measurements",
    probability: "Plant probability",
    threshold: "Accepted from {share} on.",
    reason: "Reason",
    size: "Size",
    brightness: "Brightness",
    highlights: "Highlights",
    shadows: "Shadows",
    sharpness: "Sharpness",
    time_decode: "Time: decode",
    time_quality: "Time: quality",
    time_score: "Time: score",
    time_upload: "Time: with the upload",
    json: "The answer as a program gets it",
    model: "Gate model",
    no_model: "not available",
    api: "API",
    metrics: "Metrics",
    offline: "There is no internet connection. Send the photo again when there is.",
    broken: "The upload broke off. Try again.",
    lost: "The service does not answer. Is there a connection? Try again.",
    no_photo: "No photo arrived. Choose it again.",
    slow: "The upload was too slow or stopped. Try again where the network is better.",
    too_large: "This photo is too large. Send a smaller one.",
    too_many_bytes: "This photo is larger than {limit} MB. Send a smaller one.",
    crowded: "Too many photos arrive at the moment. Try again in {seconds} seconds.",
    unavailable: "Photos cannot be checked at the moment. Try again in {seconds} seconds.",
    late: "The answer took too long. Try again.",
    status: "Something went wrong at the service ({status}). Try again.",
  },
  fr: {
    title: "plantood\u00a0: vérifier la photo d'une plante",
    purpose: "Cette photo permet-elle de diagnostiquer une maladie de la plante\u00a0?",
    language: "Langue",
    answer: "Réponse",
    photo: "Photo",
    preview: "Votre photo",
    hint: "Déposez une photo ici, collez-en une, ou",
    camera: "Prendre une photo",
    file: "Choisir un fichier",
    forgotten: "La photo est vérifiée, puis oubliée.",
    kept: "Les photos refusées ou peu claires peuvent être conservées pour améliorer la vérification.",
    empty: "La réponse apparaît ici.",
    sending: "Envoi de la photo\u00a0: {share}",
    looking: "Vérification de la photo…",
    accept: "Bonne photo",
    retake: "Photo à reprendre",
    just_enough: "Tout juste suffisante.",
    just_too_little: "Il s'en faut de peu.",
    again: "Réessayer",
    details: "Mesures",
    probability: "Probabilité que ce soit une plante",
    threshold: "Acceptée à partir de {share}.",
    reason: "Raison",
    size: "Taille",
    brightness: "Luminosité",
    highlights: "Parties claires",
    shadows: "Parties sombres",
    sharpness: "Netteté",
    time_decode: "Temps\u00a0: décodage",
    time_quality: "Temps\u00a0: qualité",
    time_score: "Temps\u00a0: évaluation",
    time_upload: "Temps\u00a0: envoi compris",
    json: "La réponse telle qu'un programme la reçoit",
    model: "Modèle",
    no_model: "indisponible",
    api: "API",
    metrics: "Métriques",
    offline: "Il n'y a pas de connexion à Internet. Renvoyez la photo quand il y en aura une.",
    broken: "L'envoi a été interrompu. Réessayez.",
    lost: "Le service ne répond pas. Y a-t-il une connexion\u00a0? Réessayez.",
    no_photo: "Aucune photo n'est arrivée. Choisissez-la de nouveau.",
    slow: "L'envoi était trop lent ou s'est arrêté. Réessayez là où le réseau est meilleur.",
    too_large: "Cette photo est trop grande. Envoyez-en une plus petite.",
    too_many_bytes: "Cette photo dépasse {limit} Mo. Envoyez-en une plus petite.",
    crowded: "Trop de photos arrivent en ce moment. Réessayez dans {seconds} secondes.",
    unavailable: "Les photos ne peuvent pas être vérifiées en ce moment. Réessayez dans {seconds} secondes.",
    late: "La réponse a pris trop de temps. Réessayez.",
    status: "Le service a rencontré un problème ({status}). Réessayez.",
  },
  sw: {
    title: "plantood: kagua picha ya mmea",
    purpose: "Je, picha hii inafaa kutambua ugonjwa wa mmea?",
    language: "Lugha",
    answer: "Jibu",
    photo: "Picha",
    preview: "Picha yako",
    hint: "Dondosha picha hapa, ibandike, au",
    camera: "Piga picha",
    file: "Chagua faili",
    forgotten: "Picha hukaguliwa, na haihifadhiwi.",
    kept: "Picha zinazokataliwa au zisizo wazi zinaweza kuhifadhiwa ili kuboresha ukaguzi.",
    empty: "Jibu litaonekana hapa.",
    sending: "Picha inatumwa: {share}",
    looking: "Picha inakaguliwa…",
    accept: "Picha nzuri",
    retake: "Piga tena",
    just_enough: "Inatosha kwa shida.",
    just_too_little: "Imepungukiwa kidogo tu.",
    again: "Jaribu tena",
    details: "Vipimo",
    probability: "Uwezekano kwamba ni mmea",
    threshold: "Hukubaliwa kuanzia {share}.",
    reason: "Sababu",
    size: "Ukubwa",
    brightness: "Mwangaza",
    highlights: "Sehemu angavu",
    shadows: "Sehemu zenye giza",
    sharpness: "Ukali wa picha",
    time_decode: "Muda: kufungua",
    time_quality: "Muda: ubora",
    time_score: "Muda: kutathmini",
    time_upload: "Muda: pamoja na kutuma",
    json: "Jibu kama programu inavyolipokea",
    model: "Modeli",
    no_model: "haipatikani",
    api: "API",
    metrics: "Takwimu",
    offline: "Hakuna intaneti. Tuma picha tena intaneti ikirudi.",
    broken: "Utumaji wa picha umekatika. Jaribu tena.",
    lost: "Huduma haijibu. Je, kuna mtandao? Jaribu tena.",
    no_photo: "Hakuna picha iliyofika. Ichague tena.",
    slow: "Utumaji ulikuwa wa polepole mno au ulisimama. Jaribu tena penye mtandao mzuri zaidi.",
    too_large: "Picha hii ni kubwa mno. Tuma iliyo ndogo zaidi.",
    too_many_bytes: "Picha hii inazidi MB {limit}. Tuma iliyo ndogo zaidi.",
    crowded: "Picha nyingi mno zinafika kwa sasa. Jaribu tena baada ya sekunde {seconds}.",
    unavailable: "Kwa sasa picha haziwezi kukaguliwa. Jaribu tena baada ya sekunde {seconds}.",
    late: "Jibu limechelewa mno. Jaribu tena.",
    status: "Kuna tatizo kwenye huduma ({status}). Jaribu tena.",
  },
};

const MARKS = { accept: "✓", retake: "↻" };
const NEAR = 0.005; // P(plant) this far from the threshold is just enough, or just not
const RETRY_SECONDS = 5; // where the service does not say when to come again
const CHOSEN = "plantood-language";

const $ = (id) => document.getElementById(id);

let language = "en";
let current = null; // the photo on the page, to judge it again in another language
let asked = 0; // number of the newest request; answers to older ones are dropped
let failure = null; // the key and the values of the error that shows
let model = null; // what ./model answered; false if nothing

// "fr-ca" and then "fr", as the gate looks for its messages.
function* shorter(tag) {
  for (const parts = tag.split("-"); parts.length; parts.pop()) yield parts.join("-");
}

// A text and the language that it is in: the one chosen, or English.
function lookUp(key, values = {}) {
  const lang = [...shorter(language), "en"].find((tag) => TEXTS[tag]?.[key]);
  const found = TEXTS[lang][key].replace(/\{(\w+)\}/g, (_, name) => values[name]);
  return { lang: [...shorter(language)].includes(lang) ? language : lang, text: found };
}

function put(element, key, values) {
  const { lang, text } = lookUp(key, values);
  element.textContent = text;
  if (lang === language) element.removeAttribute("lang");
  else element.lang = lang;
}

// An operator may call a language anything; what is no tag of a language formats as English.
function format(options) {
  try {
    return new Intl.NumberFormat([language, "en"], options);
  } catch {
    return new Intl.NumberFormat("en", options);
  }
}

function number(value, digits) {
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits, useGrouping: false };
  return format(options).format(value);
}

function percent(value, digits = value > 0 && value < 0.01 ? 2 : 1) {
  const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return format({ style: "percent", ...options }).format(value);
}

function megapixels(width, height) {
  const millions = width * height / 1e6;
  return `${number(millions, millions < 1 ? 2 : 1)}\u00a0MP`;
}

// What is to be seen: "empty", "busy", "error" or "verdict".
function show(shown) {
  for (const id of ["empty", "busy", "verdict"]) $(id).hidden = id !== shown;
  $("details").hidden = shown !== "verdict";
  $("again").hidden = true;
  if (shown !== "error") {
    failure = null;
    $("error").textContent = "";
  }
  $("main").classList.toggle("idle", shown === "empty");
}

// Says something to those who do not see the page: [text, its language] pairs.
function announce(...parts) {
  $("announce").replaceChildren(...parts.map(([text, lang]) => {
    const part = document.createElement("span");
    part.textContent = `${sentence(text)} `;
    part.lang = lang;
    return part;
  }));
}

const sentence = (text) => /[.!?…]$/.test(text) ? text : `${text}.`;

function preview(photo) {
  const image = $("preview");
  URL.revokeObjectURL(image.src);
  image.onload = () => { image.hidden = false; };
  image.onerror = () => { image.hidden = true; }; // HEIC outside Safari, or no photo at all
  image.src = URL.createObjectURL(photo);
}

function fail(moveFocus, key, values) {
  show("error");
  failure = { key, values };
  $("again").hidden = key.startsWith("too_"); // the same photo would be refused again
  put($("error"), key, values);
  announce();
  if (moveFocus && !$("again").hidden) $("again").focus();
}

// Sends a form; a status and the answer, or an error whose message is the key of a text.
function send(form, onProgress) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    let share = 0;
    request.upload.onprogress = ({ loaded, total }) => onProgress(share = loaded / total);
    request.onload = () => {
      let answer = {};
      try {
        answer = JSON.parse(request.responseText);
      } catch {
        // a page in HTML, of something between here and the service: its status says enough
      }
      resolve({
        status: request.status, answer,
        seconds: Number(request.getResponseHeader("Retry-After")) || RETRY_SECONDS,
      });
    };
    request.onerror = () => {
      if (share > 0 && share < 1) reject(new Error("broken"));
      else reject(new Error(navigator.onLine ? "lost" : "offline"));
    };
    request.open("POST", "./check");
    request.send(form);
  });
}

// Why the service refused a request, as far as the page can say it in its own words.
function refusal(status, answer, seconds) {
  const keys = {
    400: "no_photo", 408: "slow", 429: "crowded", 502: "unavailable", 503: "unavailable", 504: "late",
  };
  if (status !== 413) return [keys[status] || "status", { status, seconds: number(seconds, 0) }];
  const [, limit] = /limit of (\d+) MB a photo/.exec(answer.error) || [];
  return limit ? ["too_many_bytes", { limit: number(Number(limit), 0) }] : ["too_large"];
}

async function judge(photo, moveFocus = true) {
  current = photo;
  const request = ++asked;
  show("busy");
  put($("busy"), "looking");
  const { text, lang } = lookUp("looking");
  announce([text, lang]);
  const form = new FormData();
  form.append("image", photo, photo.name || "photo");
  form.append("language", language);
  const started = performance.now();
  let got;
  try {
    got = await send(form, (share) => {
      if (request !== asked) return;
      if (share < 1) put($("busy"), "sending", { share: percent(share, 0) });
      else put($("busy"), "looking");
    });
  } catch (error) {
    if (request === asked) fail(moveFocus, error.message);
    return;
  }
  if (request !== asked) return;
  const { status, answer, seconds } = got;
  if (status !== 200 || !answer.verdict) {
    fail(moveFocus, ...refusal(status, answer, seconds));
    return;
  }
  render(answer, performance.now() - started);
  if (moveFocus) $("verdict").focus();
}

function fact(key, value) {
  const term = document.createElement("dt");
  const detail = document.createElement("dd");
  const pair = document.createElement("div");
  if (key in TEXTS.en) put(term, key);
  else term.textContent = key;
  detail.textContent = value;
  pair.append(term, detail);
  return pair;
}

function render(answer, elapsed) {
  $("verdict").className = `verdict ${answer.verdict}`;
  $("mark").textContent = MARKS[answer.verdict];
  put($("word"), answer.verdict);
  $("reasons").lang = language;
  $("reasons").replaceChildren(...answer.reasons.map((reason) => {
    const item = document.createElement("li");
    item.textContent = reason.message;
    return item;
  }));
  renderScore(answer);
  $("facts").replaceChildren(...facts(answer, elapsed));
  $("json").textContent = JSON.stringify(answer, null, 2);
  const word = lookUp(answer.verdict);
  announce([word.text, word.lang], ...answer.reasons.map((reason) => [reason.message, language]));
  show("verdict");
}

function renderScore({ plant_probability: probability, threshold }) {
  const scored = probability !== null && threshold !== null;
  $("score").hidden = !scored;
  $("enough").hidden = !scored || Math.abs(probability - threshold) > NEAR;
  if (!scored) return;
  put($("enough"), probability < threshold ? "just_too_little" : "just_enough");
  $("score").className = probability < threshold ? "low" : "";
  $("probability").textContent = percent(probability);
  $("fill").style.width = `${100 * probability}%`;
  $("tick").style.left = `${100 * threshold}%`;
  put($("threshold"), "threshold", { share: percent(threshold) });
}

function facts({ reasons, quality, timings_ms: timings }, elapsed) {
  const found = reasons.map(({ code }) => fact("reason", code));
  if (quality) {
    const { width, height, ...cues } = quality;
    found.push(fact("size", `${width} × ${height} (${megapixels(width, height)})`));
    for (const [cue, value] of Object.entries(cues)) found.push(fact(cue, number(value, 2)));
  }
  for (const [stage, ms] of Object.entries(timings)) {
    found.push(fact(`time_${stage}`, `${number(ms, 1)} ms`));
  }
  found.push(fact("time_upload", `${number(elapsed, 0)} ms`));
  return found;
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

$("again").addEventListener("click", () => judge(current));

// Puts everything that stands on the page into a language.
function speak(tag) {
  const changed = tag !== language;
  language = tag;
  document.documentElement.lang = tag;
  for (const element of document.querySelectorAll("[data-text]")) put(element, element.dataset.text);
  for (const element of document.querySelectorAll("[data-label]")) {
    const { lang, text } = lookUp(element.dataset.label);
    element.setAttribute(element.tagName === "IMG" ? "alt" : "aria-label", text);
    if (element.tagName === "IMG") element.lang = lang; // a section's would be that of its content
  }
  if (model) put($("privacy"), model.keeps_photos ? "kept" : "forgotten");
  if (model === false) put($("model"), "no_model");
  if (failure) put($("error"), failure.key, failure.values);
  else if (current && changed) judge(current, false); // the gate has the reasons in that language
}

$("language").addEventListener("change", ({ target }) => {
  remember(target.value);
  speak(target.value);
});

function remember(tag) {
  try {
    localStorage.setItem(CHOSEN, tag);
  } catch {
    // a browser that keeps nothing
  }
}

function remembered() {
  try {
    return localStorage.getItem(CHOSEN) || "";
  } catch {
    return "";
  }
}

// The one of these languages that the reader chose here before, or prefers, or the default.
function choose(languages, preset) {
  const wanted = [remembered(), ...navigator.languages, preset].map((tag) => tag.toLowerCase());
  return wanted.flatMap((tag) => [...shorter(tag)]).find((tag) => languages.includes(tag)) || "en";
}

function nameOf(tag) {
  try {
    return new Intl.DisplayNames([tag], { type: "language" }).of(tag) || tag;
  } catch {
    return tag; // an operator may call a language anything
  }
}

function offer(languages, preset) {
  $("language").replaceChildren(...languages.map((tag) => {
    const option = new Option(nameOf(tag), tag);
    option.lang = tag;
    return option;
  }));
  const chosen = choose(languages, preset);
  $("language").value = chosen;
  speak(chosen);
}

// The languages that the gate speaks; until it has said so, those of the page.
async function introduce() {
  offer(Object.keys(TEXTS), "en");
  try {
    const response = await fetch("./model");
    if (!response.ok) throw new Error(response.status);
    model = await response.json();
  } catch {
    model = false;
    put($("model"), "no_model");
    return;
  }
  $("model").textContent = model.model;
  offer(model.languages, model.default_language.replaceAll("_", "-"));
}

introduce();
