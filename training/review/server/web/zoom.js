// The photo's own file at any size, from the whole of it to four times its pixels.

import { showImage } from "./panel.js";

const $ = (id) => document.getElementById(id);
const STEP = 1.5, LARGEST = 4;

export class Zoom {
  constructor(onClose) {
    this.dialog = $("zoom");
    this.room = $("zoom-room");
    this.image = $("zoom-photo");
    this.scale = 0; // screen pixels for one of the photo; 0: the whole photo fits
    this.room.addEventListener("load", () => this.draw(), true);
    this.room.addEventListener("error", () => { $("zoom-title").textContent = "This photo cannot be shown."; }, true);
    new ResizeObserver(() => this.draw()).observe(this.room);
    $("zoom-in").addEventListener("click", () => this.larger());
    $("zoom-out").addEventListener("click", () => this.smaller());
    $("zoom-fit").addEventListener("click", () => this.fit());
    $("zoom-close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", onClose);
    this.room.addEventListener("dblclick", (event) => this.scale ? this.fit() : this.to(1, event));
    this.room.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.by(event.deltaY < 0 ? 1.2 : 1 / 1.2, event);
    }, { passive: false });
    this.room.addEventListener("pointermove", (event) => {
      // A mouse drags; a finger scrolls by itself.
      if (event.pointerType === "mouse" && event.buttons === 1) {
        this.room.scrollBy(-event.movementX, -event.movementY);
      }
    });
  }

  get isOpen() { return this.dialog.open; }

  open(photo, title) {
    this.show(photo, title);
    if (!this.dialog.open) this.dialog.showModal();
    this.room.focus();
  }

  show(photo, title) {
    const before = this.image;
    this.image = showImage(before, `./photos/${photo.id}`);
    if (this.image !== before) this.scale = 0;
    this.title = title;
    this.draw();
  }

  close() { this.dialog.close(); }

  get fitting() {
    const { naturalWidth: width, naturalHeight: height } = this.image;
    return Math.min(this.room.clientWidth / width, this.room.clientHeight / height, LARGEST);
  }

  draw() {
    if (!this.image.naturalWidth) {
      $("zoom-title").textContent = this.title || "";
      return;
    }
    const scale = this.scale || this.fitting;
    this.image.style.width = `${this.image.naturalWidth * scale}px`;
    this.image.style.height = `${this.image.naturalHeight * scale}px`;
    $("zoom-title").textContent = `${this.title} · ${Math.round(100 * scale)} %`;
  }

  fit() { this.scale = 0; this.draw(); }

  larger() { this.by(STEP); }

  smaller() { this.by(1 / STEP); }

  by(factor, at) { this.to((this.scale || this.fitting) * factor, at); }

  // Another scale; what is under the pointer (or in the middle) stays where it is.
  to(scale, at) {
    if (!this.image.naturalWidth) return;
    const before = this.scale || this.fitting;
    const box = this.room.getBoundingClientRect();
    const x = at ? at.clientX - box.left : box.width / 2;
    const y = at ? at.clientY - box.top : box.height / 2;
    const { scrollLeft, scrollTop } = this.room;
    this.scale = Math.min(LARGEST, scale);
    if (this.scale <= this.fitting) this.scale = 0;
    this.draw();
    const ratio = (this.scale || this.fitting) / before;
    this.room.scrollTo((scrollLeft + x) * ratio - x, (scrollTop + y) * ratio - y);
  }

  pan(key) {
    const far = 120;
    const [x, y] = { ArrowLeft: [-far, 0], ArrowRight: [far, 0], ArrowUp: [0, -far], ArrowDown: [0, far] }[key];
    this.room.scrollBy(x, y);
  }
}
