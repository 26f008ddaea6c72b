// One row of linked images: painting, zooming in step, the cross and what is read there, and the
// region that is drawn on them.

class Pictures extends Row {
  constructor(article, sample) {
    super(article, sample);
    [this.height, this.width] = sample.size;
    this.view = { scale: 1, x: 0, y: 0 };
    this.place = null;
    this.drag = null;
    this.tool = null; // "box", "lasso" or "part"
    this.line = null; // what is being drawn, as [row, column] points
    this.corner = null; // the first of a rectangle by keyboard
    this.region = null; // its mask, and its words
    for (const button of article.querySelectorAll("[data-zoom]")) {
      button.addEventListener("click", () => this.zoomBy(button.dataset.zoom));
    }
    for (const button of article.querySelectorAll("[data-tool]")) {
      button.addEventListener("click", () => this.take(button.dataset.tool));
    }
    this.stage.addEventListener("wheel", (event) => this.wheel(event), { passive: false });
    this.stage.addEventListener("pointerleave", () => { this.drag = null; });
    for (const tile of this.tiles) {
      const frame = tile.querySelector(".frame");
      this.numberSlices(frame);
      frame.addEventListener("pointermove", (event) => this.move(event, frame));
      frame.addEventListener("pointerdown", (event) => this.press(event, frame, tile));
      frame.addEventListener("pointerup", () => { this.drag = null; this.finish(frame); });
      frame.addEventListener("pointercancel", () => { this.drag = null; this.drop(frame); });
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

  // The same without rounding, of a place that may lie beyond the image.
  spot([x, y]) {
    const { scale, x: left, y: top } = this.view;
    return [((y - top) / scale) * this.height, ((x - left) / scale) * this.width];
  }

  press(event, frame, tile) {
    const at = this.share(event, frame);
    this.point(this.pixel(at));
    if (this.tool && event.button === 0) {
      if (this.tool === "part") this.pick(this.pixel(at), tile);
      else {
        this.line = [this.spot(at)];
        frame.setPointerCapture(event.pointerId);
      }
    } else if (this.view.scale > 1 && event.button === 0) {
      this.drag = { at: this.share(event, frame), from: { ...this.view } };
      frame.setPointerCapture(event.pointerId);
    }
  }

  move(event, frame) {
    const at = this.share(event, frame);
    if (this.line) {
      this.line = [...(this.tool === "box" ? this.line.slice(0, 1) : this.line), this.spot(at)];
      this.outline(frame);
    } else if (this.drag) {
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
    if (!this.shows(place)) return;
    this.place = place;
    this.mark();
    this.read();
  }

  read() {
    if (!this.place || !this.sample.truth.length || typeof this.sample.truth === "string") return;
    const [row, column] = this.place;
    const where = this.sample.slices ? `Voxel (${this.voxel(this.place).join(", ")})` : `Row ${row}, column ${column}`;
    describe(this.readout, where, this.sample, row * this.width + column);
  }

  // The voxel that a pixel shows; null between slices.
  voxel([row, column]) {
    const { places, size: [rows, columns], across, gap } = this.sample.slices;
    const down = row % (rows + gap), right = column % (columns + gap);
    const number = Math.floor(row / (rows + gap)) * across + Math.floor(column / (columns + gap));
    return down < rows && right < columns && number < places.length ? [right, rows - 1 - down, places[number]] : null;
  }

  shows(place) {
    return !this.sample.slices || this.voxel(place) !== null;
  }

  numberSlices(frame) {
    if (!this.sample.slices) return;
    const { places, size: [rows, columns], across, gap } = this.sample.slices;
    places.forEach((place, number) => {
      const label = document.createElement("span");
      label.className = "slice";
      label.textContent = place;
      label.style.setProperty("--left", ((number % across) * (columns + gap)) / this.width);
      label.style.setProperty("--top", (Math.floor(number / across) * (rows + gap)) / this.height);
      frame.append(label);
    });
  }

  // Take a tool, or put it back if it is held; "all": no region.
  take(tool) {
    this.tool = tool === "all" || tool === this.tool ? null : tool;
    this.line = this.corner = null;
    if (tool === "all") this.setRegion(null);
    for (const button of this.article.querySelectorAll("[data-tool][aria-pressed]")) {
      button.setAttribute("aria-pressed", String(button.dataset.tool === this.tool));
    }
    this.stage.classList.toggle("drawing", this.tool !== null);
  }

  outline(frame) {
    let drawn = frame.querySelector("svg");
    if (!drawn) {
      drawn = document.createElementNS("http://www.w3.org/2000/svg", "svg");
      drawn.setAttribute("viewBox", `0 0 ${this.width} ${this.height}`);
      drawn.setAttribute("preserveAspectRatio", "none");
      drawn.append(document.createElementNS(drawn.namespaceURI, "path"));
      frame.append(drawn);
    }
    const [[y1, x1], [y2, x2]] = [this.line[0], this.line.at(-1)];
    const points = this.tool === "box" ? [[y1, x1], [y1, x2], [y2, x2], [y2, x1]] : this.line;
    drawn.firstChild.setAttribute("d", `M${points.map(([y, x]) => `${x},${y}`).join("L")}Z`);
  }

  drop(frame) {
    this.line = null;
    frame.querySelector("svg")?.remove();
  }

  finish(frame) {
    const { line } = this;
    this.drop(frame);
    if (!line) return;
    const inside = ([row, column]) => [
      Math.min(this.height - 1, Math.max(0, Math.floor(row))), Math.min(this.width - 1, Math.max(0, Math.floor(column))),
    ];
    if (this.tool === "box") this.box(inside(line[0]), inside(line.at(-1)));
    else this.setRegion(insideOf(line, this.height, this.width), "Outline");
  }

  box(one, other) {
    const rows = [one[0], other[0]].sort((a, b) => a - b), columns = [one[1], other[1]].sort((a, b) => a - b);
    const where = this.sample.slices ? "Rectangle" : `Rectangle of rows ${rows[0]} to ${rows[1]}, columns ${columns[0]} to ${columns[1]}`;
    this.setRegion(boxOf(one, other, this.height, this.width), where);
  }

  // The connected component of the label at a place, in the label map that a tile shows.
  pick(place, tile) {
    if (!this.shows(place) || typeof this.sample.truth === "string") return;
    const run = tile ? Number(tile.dataset.run) : 0, part = this.sample.runs[run];
    const layer = tile ? this.layer(tile) : "own";
    const maps = { truth: () => this.sample.truth, clean: () => part.clean, draw: () => part.draw };
    const own = shownLabel(part), map = maps[layer]?.();
    const value = map ? (i) => map[i] : own, start = place[0] * this.width + place[1];
    const allowed = (i) => this.shows([Math.floor(i / this.width), i % this.width]);
    const mask = connected(value, start, this.height, this.width, allowed);
    this.setRegion(mask, `Component ${nameOf(run, value(start))}`);
  }

  // Set or remove the region, shade all else, and count.
  setRegion(mask, where) {
    if (mask && this.sample.slices) {
      for (let i = 0; i < mask.length; i++) if (!this.shows([Math.floor(i / this.width), i % this.width])) mask[i] = 0;
    }
    const some = mask && typeof this.sample.truth !== "string" && mask.includes(1);
    if (mask && !some) return;
    this.region = some ? { mask, where } : null;
    this.shade();
    this.count();
  }

  shade() {
    for (const image of this.stage.querySelectorAll("img.region")) image.remove();
    if (!this.region) return;
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [this.width, this.height];
    const context = canvas.getContext("2d"), pixels = context.createImageData(this.width, this.height);
    this.region.mask.forEach((inside, i) => { pixels.data[4 * i + 3] = inside ? 0 : 150; });
    context.putImageData(pixels, 0, 0);
    const url = canvas.toDataURL();
    for (const tile of this.tiles) {
      const image = document.createElement("img");
      [image.className, image.alt, image.src] = ["region", "", url];
      tile.querySelector(".cross").before(image);
    }
  }

  count() {
    this.counted.setAttribute("aria-live", this.region ? "polite" : "off");
    if (!this.region) { super.count(); return; }
    const { mask, where } = this.region, drawn = this.sample.slices ? " in the slices drawn" : "";
    tellRegion(this.counted, `${where}${drawn}`, this.sample, (part) => heldWithin(part, mask, this.height, this.width));
  }

  // By keyboard: the component at the cross, or the corners of a rectangle.
  draw() {
    if (this.tool === "part") this.pick(this.place, null);
    else if (this.tool === "box" && this.corner) {
      this.box(this.corner, this.place);
      this.corner = null;
    } else if (this.tool === "box") {
      this.corner = this.place;
      this.counted.setAttribute("aria-live", "polite");
      this.counted.textContent = "One corner is at the cross: move it to the other corner and press Enter.";
    }
  }

  // Of the image, or of the first slice of a volume.
  middle() {
    return (this.sample.slices?.size ?? [this.height, this.width]).map((side) => Math.floor(side / 2));
  }

  key(event) {
    const step = event.shiftKey ? 10 : 1;
    const moves = { ArrowLeft: [0, -step], ArrowRight: [0, step], ArrowUp: [-step, 0], ArrowDown: [step, 0] };
    const zooms = { "+": "in", "=": "in", "-": "out", "0": "all" };
    if (moves[event.key]) {
      const [row, column] = this.place ?? this.middle();
      const [down, right] = this.place ? moves[event.key] : [0, 0];
      const inside = (value, size) => Math.min(size - 1, Math.max(0, value));
      let place = [inside(row + down, this.height), inside(column + right, this.width)];
      // Over a gap between slices.
      while (!this.shows(place) && place[0] + down < this.height && place[1] + right < this.width && place[0] + down >= 0 && place[1] + right >= 0) {
        place = [place[0] + down, place[1] + right];
      }
      this.point(place);
    } else if (event.key === "Enter" && this.tool && this.place) {
      this.draw();
    } else if (event.key === "Escape" && (this.tool || this.region)) {
      this.take("all");
    } else if (zooms[event.key] && !event.ctrlKey && !event.metaKey) {
      this.zoomBy(zooms[event.key]);
    } else {
      return;
    }
    event.preventDefault();
  }
}
