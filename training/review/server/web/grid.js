// A grid of thumbnails of which only those in sight exist, however many photos there are.

import { meaning, TITLES } from "./board.js";

const WIDTH = 150, ON_A_PHONE = 104, CAPTION = 62, GAP = 8; // px
const AHEAD = 1; // screens above and below that are ready
const FAST = 1 / 80; // screens a ms: nobody sees a thumbnail that flies by so
const CALM = 90; // ms without scrolling after which thumbnails are fetched that flew by before

// The thumbnail of a photo, fetched when it is given its address as "src".
function thumbnail(photo) {
  const image = new Image();
  image.alt = "";
  image.decoding = "async";
  image.draggable = false;
  image.dataset.src = `./thumbnails/${photo.id}`;
  return image;
}

export class Grid {
  // `hides` tells of a photo's id whether the gate's opinion of it is to be hidden.
  constructor(scroller, sheet, onSelect, hides) {
    this.scroller = scroller;
    this.sheet = sheet;
    this.onSelect = onSelect;
    this.hides = hides;
    this.items = []; // positions of photos on the board
    this.selected = -1; // index into items
    this.cells = new Map(); // index -> element
    this.spare = [];
    [this.top, this.drawn] = [0, 0];
    scroller.addEventListener("scroll", () => this.draw(), { passive: true });
    new ResizeObserver(() => this.resize()).observe(scroller);
    sheet.addEventListener("error", ({ target }) => target.classList.add("broken"), true);
    sheet.addEventListener("click", (event) => {
      const cell = event.target.closest(".cell");
      if (cell) this.onSelect(Number(cell.dataset.index), true);
    });
  }

  show(board, items) {
    this.board = board;
    this.items = items;
    this.selected = -1;
    this.scroller.scrollTop = 0;
    for (const index of [...this.cells.keys()]) this.drop(index);
    this.resize();
  }

  resize() {
    const width = this.sheet.clientWidth;
    if (!width) return;
    const least = width < 480 ? ON_A_PHONE : WIDTH;
    this.columns = Math.max(2, Math.floor((width + GAP) / (least + GAP)));
    this.side = (width - GAP * (this.columns - 1)) / this.columns;
    this.row = this.side + CAPTION + GAP;
    this.sheet.style.height = `${Math.ceil(this.items.length / this.columns) * this.row}px`;
    for (const [index, cell] of this.cells) this.place(cell, index);
    this.reveal();
    this.draw();
  }

  place(cell, index) {
    const x = (index % this.columns) * (this.side + GAP);
    const y = Math.floor(index / this.columns) * this.row;
    cell.style.transform = `translate(${x}px, ${y}px)`;
    cell.style.width = `${this.side}px`;
    cell.style.height = `${this.side + CAPTION}px`;
  }

  // Makes the cells that come into sight, of those that went out of it. Costs the same for any
  // number of photos: a few rows.
  draw() {
    if (!this.row || !this.board) return;
    const { scrollTop, clientHeight } = this.scroller;
    const now = performance.now();
    const fast = Math.abs(scrollTop - this.top) > FAST * clientHeight * (now - this.drawn);
    [this.top, this.drawn] = [scrollTop, now];
    const first = Math.max(0, Math.floor((scrollTop - AHEAD * clientHeight) / this.row)) * this.columns;
    const rows = Math.ceil(((1 + 2 * AHEAD) * clientHeight) / this.row) + 1;
    const last = Math.min(this.items.length, first + rows * this.columns);
    for (const index of [...this.cells.keys()]) {
      if ((index < first || index >= last) && index !== this.selected) this.drop(index);
    }
    const wanted = [...Array(Math.max(0, last - first)).keys()].map((i) => first + i);
    if (this.selected >= 0) wanted.push(this.selected); // it must exist: the grid points to it
    for (const index of wanted) if (!this.cells.has(index)) this.add(index);
    clearTimeout(this.calm);
    if (fast) this.calm = setTimeout(() => this.fetch(), CALM);
    else this.fetch();
  }

  fetch() {
    for (const cell of this.cells.values()) {
      const image = cell.firstChild;
      if (image.dataset.src && image.dataset.src !== image.getAttribute("src")) {
        image.src = image.dataset.src;
      }
    }
  }

  add(index) {
    const cell = this.spare.pop() || this.build();
    const photo = this.board.photos[this.items[index]];
    cell.id = `cell-${index}`;
    cell.dataset.index = index;
    cell.setAttribute("aria-posinset", index + 1);
    cell.setAttribute("aria-setsize", this.items.length);
    cell.firstChild.replaceWith(thumbnail(photo)); // a used one would show its old photo meanwhile
    this.cells.set(index, cell);
    this.place(cell, index);
    this.mark(index);
    this.sheet.append(cell);
  }

  build() {
    const cell = document.createElement("div");
    cell.className = "cell";
    cell.setAttribute("role", "option");
    const caption = document.createElement("div");
    caption.className = "caption";
    caption.append(...["span", "b", "span", "span"].map((name) => document.createElement(name)));
    cell.append(new Image(), caption);
    return cell;
  }

  drop(index) {
    const cell = this.cells.get(index);
    this.cells.delete(index);
    cell.remove();
    cell.firstChild.removeAttribute("src"); // what flew by is not loaded to its end
    this.spare.push(cell);
  }

  // Shows what I said of the photo at an index, if it is in sight.
  mark(index) {
    const cell = this.cells.get(index);
    if (!cell) return;
    const photo = this.board.photos[this.items[index]];
    const decision = this.board.mine(photo.id);
    const said = decision ? TITLES[meaning(decision)] : "";
    const differs = this.board.others(photo.id).some((other) => other.label !== decision.label);
    const [probability, badge, reason, quality] = cell.lastChild.children;
    const hidden = this.hides(photo.id);
    probability.textContent = hidden ? "" : photo.plant_probability.toFixed(3);
    reason.textContent = hidden ? "" : photo.reasons.join(", ") || "accepted";
    quality.textContent = `sharp ${photo.sharpness.toFixed(2)} · bright ${photo.brightness.toFixed(2)}`;
    badge.textContent = said + (differs ? " ≠" : "");
    badge.className = decision ? decision.label : "";
    const current = index === this.selected;
    cell.setAttribute("aria-selected", current);
    cell.setAttribute("aria-label", [
      ...(hidden ? [] : [`P(plant) ${probability.textContent}`, reason.textContent]), quality.textContent,
      said ? `you said ${said}` : "no label", ...(differs ? ["another reviewer differs"] : []),
    ].join(", "));
  }

  markAll() {
    for (const index of this.cells.keys()) this.mark(index);
  }

  markPhoto(id) {
    const position = this.board.position.get(id);
    for (const index of this.cells.keys()) if (this.items[index] === position) this.mark(index);
  }

  select(index) {
    const before = this.selected;
    this.selected = index;
    this.reveal();
    this.draw();
    if (before >= 0) this.mark(before);
    if (index >= 0) this.mark(index);
    if (index >= 0) this.scroller.setAttribute("aria-activedescendant", `cell-${index}`);
    else this.scroller.removeAttribute("aria-activedescendant");
  }

  // Scrolls as little as needed for the selected photo to be seen.
  reveal() {
    if (this.selected < 0 || !this.row) return;
    const top = Math.floor(this.selected / this.columns) * this.row;
    const { scrollTop, clientHeight } = this.scroller;
    if (top < scrollTop) this.scroller.scrollTop = top;
    else if (top + this.row > scrollTop + clientHeight) {
      this.scroller.scrollTop = top + this.row - clientHeight;
    }
  }

  // The index that an arrow key leads to.
  step(key) {
    const page = this.columns * Math.max(1, Math.floor(this.scroller.clientHeight / this.row));
    const steps = {
      ArrowLeft: -1, ArrowRight: 1, ArrowUp: -this.columns, ArrowDown: this.columns,
      PageUp: -page, PageDown: page, Home: -Infinity, End: Infinity,
    };
    const index = Math.max(0, this.selected) + steps[key];
    return Math.min(this.items.length - 1, Math.max(0, index));
  }
}
