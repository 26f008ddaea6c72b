// One row of linked images: painting, zooming in step, the cross and what is read there.

class Pictures extends Row {
  constructor(article, sample) {
    super(article, sample);
    [this.height, this.width] = sample.size;
    this.view = { scale: 1, x: 0, y: 0 };
    this.place = null;
    this.drag = null;
    for (const button of article.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => this.zoomBy(button.dataset.zoom));
    }
    this.stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.stage.addEventListener("pointerleave", () => { this.drag = null; });
    for (const tile of this.tiles) {
      const frame = tile.querySelector(".frame");
      frame.addEventListener("pointermove", (event) => this.move(event, frame));
      frame.addEventListener("pointerdown", (event) => this.press(event, frame));
      for (const end of ["pointerup", "pointercancel"]) {
        frame.addEventListener(end, () => { this.drag = null; });
      }
      frame.addEventListener("dblclick", (event) => this.zoomAt(this.share(event, frame), 2));
    }
  }

  // Photographs and canvases of rows that are near; far ones give their memory back.
  async show() {
    this.shown = true;
    try {
      await this.unpack();
    } catch (error) {
      this.readout.textContent = `Cannot show this row: ${error.message}.`;
      return;
    }
    if (this.shown) this.paint();
  }

  hide() {
    this.shown = false;
    for (const canvas of this.stage.querySelectorAll("canvas")) canvas.width = canvas.height = 0;
  }

  // masks: only what the radius changes.
  paint(masks = false) {
    if (!this.shown) return;
    for (const tile of this.tiles) if (!masks || this.layer(tile) === "own") this.paintTile(tile);
  }

  paintTile(tile) {
    const run = Number(tile.dataset.run), image = tile.querySelector("img");
    const canvas = tile.querySelector("canvas");
    const layer = this.layer(tile);
    const noisy = layer === "noisy", photo = noisy ? this.sample.runs[run].noisy : this.sample.photo;
    if (!canvas || noisy) {
      if (image.src !== photo) image.src = photo;
      image.hidden = false;
      if (canvas) canvas.hidden = true;
      return;
    }
    canvas.hidden = false;
    const beneath = state.beneath && layer !== "heat";
    image.hidden = !beneath;
    if (beneath && image.src !== photo) image.src = photo;
    if (canvas.width !== this.width) [canvas.width, canvas.height] = [this.width, this.height];
    const context = canvas.getContext("2d", { willReadFrequently: true });
    const pixels = context.createImageData(this.width, this.height), data = pixels.data;
    const colour = painter(this.sample, layer, run);
    const alpha = beneath ? Math.round(255 * (1 - state.beneath)) : 255;
    for (let i = 0, p = 0; p < data.length; i++, p += 4) {
      const rgb = colour(i);
      data[p] = rgb[0];
      data[p + 1] = rgb[1];
      data[p + 2] = rgb[2];
      // What abstains stays white, whatever lies beneath.
      data[p + 3] = rgb === WHITE ? 255 : alpha;
    }
    context.putImageData(pixels, 0, 0);
  }

  // Where the pointer is, as shares of the frame.
  share(event, frame) {
    const box = frame.getBoundingClientRect();
    return [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
  }

  pixel([x, y]) {
    const { scale, x: left, y: top } = this.view;
    const inside = (value, size) => Math.min(size - 1, Math.max(0, Math.floor(value * size)));
    return [inside((y - top) / scale, this.height), inside((x - left) / scale, this.width)];
  }

  press(event, frame) {
    this.point(this.pixel(this.share(event, frame)));
    if (this.view.scale > 1 && event.button === 0) {
      this.drag = { at: this.share(event, frame), from: { ...this.view } };
      frame.setPointerCapture(event.pointerId);
    }
  }

  move(event, frame) {
    const at = this.share(event, frame);
    if (this.drag) {
      const { from } = this.drag;
      this.look(from.scale, from.x + at[0] - this.drag.at[0], from.y + at[1] - this.drag.at[1]);
    } else if (event.pointerType === "mouse") {
      this.point(this.pixel(at));
    }
  }

  wheel(event) {
    const frame = event.target.closest(".frame");
    if (!frame || !event.ctrlKey) return;
    event.preventDefault();
    this.zoomAt(this.share(event, frame), Math.exp(-event.deltaY / 200));
  }

  zoomBy(how) {
    if (how === "all") this.look(1, 0, 0);
    else this.zoomAt(this.crossShare() ?? [0.5, 0.5], how === "in" ? 1.6 : 1 / 1.6);
  }

  // Zoom so that the given place of the frame stays where it is.
  zoomAt([x, y], factor) {
    const { scale, x: left, y: top } = this.view;
    const next = Math.min(32, Math.max(1, scale * factor)), grown = next / scale;
    this.look(next, x - (x - left) * grown, y - (y - top) * grown);
  }

  look(scale, x, y) {
    const held = (value) => Math.min(0, Math.max(1 - scale, value));
    this.view = { scale, x: held(x), y: held(y) };
    this.stage.style.setProperty("--s", scale);
    this.stage.style.setProperty("--x", this.view.x);
    this.stage.style.setProperty("--y", this.view.y);
    this.stage.classList.toggle("zoomed", scale > 1);
    this.stage.classList.toggle("near", scale > 3);
    this.mark();
  }

  crossShare() {
    if (!this.place) return null;
    const [row, column] = this.place, { scale, x, y } = this.view;
    return [(column + 0.5) / this.width * scale + x, (row + 0.5) / this.height * scale + y];
  }

  mark() {
    const at = this.crossShare();
    if (!at) return;
    const seen = at.every((share) => share >= 0 && share <= 1);
    this.stage.style.setProperty("--cx", seen ? `${100 * at[0]}%` : "-99px");
    this.stage.style.setProperty("--cy", seen ? `${100 * at[1]}%` : "-99px");
  }

  point(place) {
    this.place = place;
    this.mark();
    this.read();
  }

  read() {
    if (!this.place || !this.sample.truth.length || typeof this.sample.truth === "string") return;
    const [row, column] = this.place;
    describe(this.readout, `Row ${row}, column ${column}`, this.sample, row * this.width + column);
  }

  key(event) {
    const step = event.shiftKey ? 10 : 1;
    const moves = { ArrowLeft: [0, -step], ArrowRight: [0, step], ArrowUp: [-step, 0], ArrowDown: [step, 0] };
    const zooms = { "+": "in", "=": "in", "-": "out", "0": "all" };
    if (moves[event.key]) {
      const [row, column] = this.place ?? [Math.floor(this.height / 2), Math.floor(this.width / 2)];
      const [down, right] = this.place ? moves[event.key] : [0, 0];
      const inside = (value, size) => Math.min(size - 1, Math.max(0, value));
      this.point([inside(row + down, this.height), inside(column + right, this.width)]);
    } else if (zooms[event.key] && !event.ctrlKey && !event.metaKey) {
      this.zoomBy(zooms[event.key]);
    } else {
      return;
    }
    event.preventDefault();
  }
}
