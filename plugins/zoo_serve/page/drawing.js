// A canvas to draw on, with a mouse, a pen, a finger or the keyboard.

const STEP = 7; // pixels that an arrow key moves the cursor by
const ARROWS = { ArrowLeft: [-STEP, 0], ArrowRight: [STEP, 0], ArrowUp: [0, -STEP], ArrowDown: [0, STEP] };

export class Drawing {
  // `pixels` is the longer side of the model's images: the line is about two of them wide. `onDrawn` is called after
  // each stroke.
  constructor(canvas, cursor, pixels, onDrawn) {
    this.canvas = canvas;
    this.cursor = cursor;
    this.onDrawn = onDrawn;
    this.context = canvas.getContext("2d");
    this.width = Math.min(40, Math.max(14, (2 * canvas.width) / pixels));
    this.at = [canvas.width / 2, canvas.height / 2];
    this.isDown = false;
    this.isDark = false;
    canvas.addEventListener("pointerdown", event => this.start(event));
    canvas.addEventListener("pointermove", event => this.move(event));
    canvas.addEventListener("pointerup", () => this.lift());
    canvas.addEventListener("pointercancel", () => this.lift());
    canvas.addEventListener("keydown", event => this.press(event));
    canvas.addEventListener("blur", () => this.lift());
    this.clear();
  }

  // Erase everything; `isDark` is whether the ink is dark on light.
  clear(isDark = this.isDark) {
    this.isDark = isDark;
    this.isEmpty = true;
    this.context.fillStyle = isDark ? "#fff" : "#000";
    this.context.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.showCursor();
  }

  // Return the drawing as a PNG file.
  async file() {
    const blob = await new Promise(done => this.canvas.toBlob(done, "image/png"));
    return new File([blob], "drawing.png", { type: "image/png" });
  }

  start(event) {
    if (event.button !== 0) return;
    this.canvas.setPointerCapture(event.pointerId);
    this.at = this.place(event);
    this.isDown = true;
    this.line(this.at);
  }

  move(event) {
    if (!this.isDown || !this.canvas.hasPointerCapture(event.pointerId)) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) this.line(this.place(each));
  }

  lift() {
    if (!this.isDown) return;
    this.isDown = false;
    this.showCursor();
    this.onDrawn();
  }

  press(event) {
    const by = ARROWS[event.key];
    if (by) {
      const inside = (value, most) => Math.min(most, Math.max(0, value));
      const to = [inside(this.at[0] + by[0], this.canvas.width), inside(this.at[1] + by[1], this.canvas.height)];
      if (this.isDown) this.line(to);
      this.at = to;
    } else if (event.key === " ") {
      if (this.isDown) this.lift();
      else {
        this.isDown = true;
        this.line(this.at);
      }
    } else if (event.key === "Delete" || event.key === "Backspace") {
      this.isDown = false;
      this.clear();
    } else return;
    event.preventDefault();
    this.showCursor();
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return [
      ((event.clientX - box.left) * this.canvas.width) / box.width,
      ((event.clientY - box.top) * this.canvas.height) / box.height,
    ];
  }

  line(to) {
    this.context.strokeStyle = this.isDark ? "#000" : "#fff";
    this.context.lineWidth = this.width;
    this.context.lineCap = this.context.lineJoin = "round";
    this.context.beginPath();
    this.context.moveTo(...this.at);
    this.context.lineTo(...to);
    this.context.stroke();
    this.at = to;
    this.isEmpty = false;
  }

  showCursor() {
    this.cursor.style.left = `${(100 * this.at[0]) / this.canvas.width}%`;
    this.cursor.style.top = `${(100 * this.at[1]) / this.canvas.height}%`;
    this.cursor.classList.toggle("down", this.isDown);
  }
}
