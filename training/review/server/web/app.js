// The page: which photo is shown, and that a label is saved before the next one.

import { getDecisions, getRound, getSummary, persist, Refused, tryNow } from "./api.js";
import { Board, meaning, TITLES } from "./board.js";
import { askName, keepReviewer, openHelp, showAgreement, showNoAgreement, storedReviewer } from "./dialogs.js";
import { fillFilters, filters, isBlind, keepBlind, recallBlind } from "./filters.js";
import { Grid } from "./grid.js";
import { onKeys } from "./keys.js";
import { fetchAhead, showOpinion, showPhoto, showSaid } from "./panel.js";
import { Zoom } from "./zoom.js";

const $ = (id) => document.getElementById(id);
const SYNC = 2000; // ms between two looks at what other tabs and reviewers did
const AHEAD = 3; // photos that are fetched before they are needed

let board, grid, zoom;
let list = []; // positions of the photos shown
let at = -1; // index into the list
let secondLooks = []; // as the server said last
let looked = new Set(); // ids labelled since the list was made
let saving = false;
const ours = []; // decisions made in this tab, newest last; they are undone first

const current = () => board.photos[list[at]];
function announce(text) { $("announce").textContent = text; }

function trouble(text, retry = false) {
  for (const [id, inner] of [["trouble", "trouble-text"], ["zoom-trouble", "zoom-trouble"]]) {
    $(id).hidden = !text;
    if ($(inner).textContent !== text) $(inner).textContent = text; // said once, not at each attempt
  }
  $("retry").hidden = !retry;
}

function showProgress() {
  const counts = board.counts();
  const total = board.photos.length;
  $("bar").max = Math.max(1, total);
  $("bar").value = counts.labelled;
  $("progress").textContent = `${counts.labelled} of ${total} labelled · ${counts.plant} plant, ` +
    `${counts.other} other, ${counts.unsure} unsure`;
  $("undo").disabled = !lastDecision();
}

// Shows the photo at an index of the list; -1 shows none.
function select(index) {
  at = index;
  grid.select(index);
  const photo = current();
  showPhoto(photo);
  if (photo) {
    showCurrent();
    const next = list.slice(index + 1).filter((position) => !board.mine(board.photos[position].id));
    fetchAhead(next.slice(0, AHEAD).map((position) => board.photos[position]), zoom.isOpen);
    if (zoom.isOpen) zoom.show(photo, title());
  } else {
    $("title").textContent = "No photo";
    $("said").textContent = finished();
    if (zoom.isOpen) zoom.close();
  }
}

// Why the gate's opinion of a photo is hidden for now; "" if it is not.
function hidden(id) {
  if ($("view").value === "second" && !looked.has(id)) {
    return "What the gate says of it shows once you have looked again.";
  }
  return !board.mine(id) && (isBlind() || board.isAudited(id))
    ? "What the gate says of it shows once you have labelled it." : "";
}

function title() {
  const photo = current();
  const opinion = hidden(photo.id) ? [] : [`P(plant) ${photo.plant_probability.toFixed(3)}`, ...photo.reasons];
  return [`${at + 1} of ${list.length}`, ...opinion].join(" · ");
}

function showCurrent() {
  const { id } = current();
  const because = $("view").value === "second" && !looked.has(id)
    ? secondLooks.find((look) => look.id === id)?.because : undefined;
  $("title").textContent = `Photo ${title()}`;
  showOpinion(current(), hidden(id));
  showSaid(board.mine(id), board.others(id), because);
}

function finished() {
  const view = $("view").value;
  const deserve = secondLooks.length
    ? ` ${secondLooks.length} deserve a second look: press S.` : "";
  if (view === "second") return "There is nothing to look at again.";
  if (view !== "todo") return "No photo fits these filters.";
  const all = board.counts().labelled === board.photos.length;
  return (all ? "Every photo has your label." : "Every photo of this list has your label.") + deserve;
}

// Makes the list anew, and shows the given photo or the first one.
async function refresh(id) {
  if ($("view").value === "second") await summarize();
  list = board.list(filters(), secondLooks);
  looked = new Set();
  grid.show(board, list);
  $("shown").textContent = `${list.length} shown`;
  $("nothing").hidden = list.length > 0;
  const index = id ? list.indexOf(board.position.get(id)) : 0;
  select(list.length ? Math.max(0, index) : -1);
  $("nothing").textContent = list.length ? "" : finished();
}

// After a label: the next photo of the list that still needs one.
function advance() {
  const view = $("view").value;
  const open = (index) => {
    const { id } = board.photos[list[index]];
    return view === "second" ? !looked.has(id) : !board.mine(id);
  };
  if (view !== "todo" && view !== "second") {
    if (at + 1 < list.length) select(at + 1);
    else announce("That was the last photo of this list.");
    return;
  }
  for (let step = 1; step <= list.length; step += 1) {
    const index = (at + step) % list.length;
    if (open(index)) return select(index);
  }
  select(-1);
  announce($("said").textContent);
}

// Takes in what the server says was decided, here or elsewhere.
function hear(answer) {
  const changed = board.take(answer.decisions || []);
  for (const { id } of changed) {
    grid.markPhoto(id);
    if (current()?.id === id) showCurrent();
  }
  if (changed.length) {
    showProgress();
    clearTimeout(hear.timer);
    hear.timer = setTimeout(summarize, 1000);
  }
}

// Sends a change and waits until it is on the server's disk; false if the server refused it.
async function save(path, body) {
  saving = true;
  document.body.classList.add("saving");
  try {
    const answer = await persist(path, { reviewer: board.reviewer, after: board.number, ...body }, (problem) => {
      trouble(`Not saved yet: ${problem} This photo stays until it is; trying again.`, true);
    });
    trouble("");
    hear(answer);
    return answer.decision;
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    hear(error.answer);
    const again = error.status === 409 ? " Nothing was changed; press again if you see it otherwise." : "";
    trouble(error.message + again);
    return null;
  } finally {
    saving = false;
    document.body.classList.remove("saving");
  }
}

// Nobody labels a photo that he has not seen yet. One that cannot be shown may be labelled.
function isSeen() {
  const image = zoom.isOpen ? $("zoom-photo") : $("photo");
  return image.complete && Boolean(image.getAttribute("src"));
}

async function label(name, kind = null) {
  const photo = current();
  if (saving || !photo) return;
  if (!isSeen()) {
    announce("The photo is still loading.");
    return;
  }
  const seen = board.mine(photo.id)?.number || 0;
  const decision = await save("./api/labels", { id: photo.id, label: name, kind, seen });
  if (!decision) return;
  ours.push(decision);
  looked.add(photo.id);
  grid.markPhoto(photo.id);
  announce(`Saved: ${TITLES[meaning(decision)]}. ${$("progress").textContent}`);
  if (current()?.id === photo.id) advance(); // else the reviewer has moved on while it was saved
}

function lastDecision() {
  while (ours.length && board.mine(ours.at(-1).id)?.number !== ours.at(-1).number) ours.pop();
  return ours.at(-1) || board.newest();
}

async function undo() {
  const last = !saving && lastDecision();
  if (!last) return;
  const decision = await save("./api/undo", { id: last.id, seen: last.number });
  if (!decision) return;
  looked.delete(last.id);
  grid.markPhoto(last.id);
  announce(`Undone: ${TITLES[meaning(last)]}.`);
  const index = list.indexOf(board.position.get(last.id));
  if (index >= 0) select(index);
  else await showInAnyList(last.id);
}

async function showInAnyList(id) {
  await refresh(id);
  if (current()?.id === id) return;
  $("filters").reset();
  if (board.mine(id)) $("view").value = "all";
  await refresh(id);
}

// Labelling does not need the summary: where there is none, it says so in its own place.
async function summarize() {
  let summary;
  try {
    summary = await getSummary(board.reviewer);
  } catch (error) {
    showNoAgreement(error instanceof Refused ? error.message : "The review server does not answer.");
    return;
  }
  secondLooks = summary.second_looks;
  const option = $("view").querySelector("[value=second]");
  option.textContent = `Second look (${secondLooks.length})`;
  showAgreement(summary.agreement, board.reviewer);
}

async function sync() {
  if (document.hidden || saving) return;
  try {
    hear(await getDecisions(board.number));
    if (sync.failed) trouble("");
    sync.failed = false;
  } catch (error) {
    sync.failed = true;
    if (saving) return;
    trouble(error instanceof Refused ? error.message
      : "The review server does not answer. Start it again; everything acknowledged is saved.");
  }
}

async function changeReviewer() {
  board.reviewer = await askName(board.reviewer, board.reviewers());
  ours.length = 0;
  recallBlind(board.reviewer);
  showProgress();
  await refresh();
  $("reviewer").textContent = board.reviewer;
  $("grid").focus();
  await summarize();
}

function toggleZoom() {
  if (zoom.isOpen) zoom.close();
  else if (current()) zoom.open(current(), title());
}

function setView(view) {
  $("view").value = view;
  return refresh();
}

function listen() {
  onKeys({
    zoom, label, undo, toggleZoom,
    leave: () => $("grid").focus(),
    move: (key) => { if (list.length) select(grid.step(key)); },
    r: () => refresh(current()?.id),
    s: () => setView("second"),
    f: () => $("view").focus(),
    a: () => $("agreement").showModal(),
    "?": openHelp,
  });
  for (const button of document.querySelectorAll("[data-label]")) {
    button.addEventListener("click", () => label(button.dataset.label, button.dataset.kind || null));
  }
  $("filters").addEventListener("change", ({ target }) => {
    if (target.id !== "blind") return refresh();
    keepBlind(board.reviewer);
    grid.markAll();
    if (current()) showCurrent();
  });
  $("filters").addEventListener("submit", (event) => event.preventDefault());
  $("refresh").addEventListener("click", () => refresh(current()?.id));
  $("undo").addEventListener("click", undo);
  $("retry").addEventListener("click", tryNow);
  $("open-zoom").addEventListener("click", toggleZoom);
  $("sheet").addEventListener("dblclick", toggleZoom);
  $("reviewer-button").addEventListener("click", changeReviewer);
  $("agreement-button").addEventListener("click", () => $("agreement").showModal());
  $("help-button").addEventListener("click", openHelp);
  addEventListener("online", tryNow);
  addEventListener("beforeunload", (event) => { if (saving) event.preventDefault(); });
  document.addEventListener("visibilitychange", sync);
  addEventListener("focus", sync);
  setInterval(sync, SYNC);
}

async function start() {
  const round = await getRound();
  $("round").textContent = round.name;
  document.title = `${round.name} · plantood review`;
  board = new Board(round, storedReviewer() || round.reviewer);
  board.take((await getDecisions(0)).decisions);
  grid = new Grid($("grid"), $("sheet"), select, hidden);
  zoom = new Zoom(() => { $("grid").focus(); });
  fillFilters(round.photos);
  board.reviewer ||= await askName("", board.reviewers());
  keepReviewer(board.reviewer);
  recallBlind(board.reviewer);
  $("reviewer").textContent = board.reviewer;
  showProgress();
  await summarize();
  await refresh();
  listen();
  $("grid").focus();
  document.body.classList.add("ready");
}

start().catch((error) => {
  trouble(error instanceof Refused ? error.message : "The review server does not answer; start it and load the page again.");
});
