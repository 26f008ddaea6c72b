// One row of point clouds: one camera for all, the colours of the controls, a point read anywhere.

class Clouds extends Row {
  // Few at a time: browsers give a page no more than sixteen 3-D drawings. The row that was drawn
  // first goes where more are in sight.
  static margin = 0;
  static most = 15;
  static rows = [];

  constructor(article, sample) {
    super(article, sample);
    // From the front, a little to the right and above; y is up, as in report/cloud.py.
    this.camera = { eye: { x: 0.92, y: 0.65, z: 1.32 }, up: { x: 0, y: 1, z: 0 }, center: { x: 0, y: 0, z: 0 } };
    this.index = null;
  }

  async show() {
    this.shown = true;
    try {
      const [Plotly] = await Promise.all([plotly(), this.unpack()]);
      if (!this.shown || this.drawn) return;
      this.drawn = true;
      Clouds.rows.push(this);
      while (Clouds.rows.length > 1 && Clouds.rows.length * this.tiles.length > Clouds.most) Clouds.rows[0].hide();
      for (const tile of this.tiles) await this.draw(Plotly, tile);
      this.paint();
    } catch (error) {
      this.readout.textContent = `Cannot show this row: ${error.message}.`;
    }
  }

  hide() {
    this.shown = false;
    if (!this.drawn) return;
    this.drawn = false;
    Clouds.rows = Clouds.rows.filter((row) => row !== this);
    for (const tile of this.tiles) window.Plotly.purge(tile.querySelector(".cloud"));
  }

  async draw(Plotly, tile) {
    const place = tile.querySelector(".cloud"), run = Number(tile.dataset.run);
    const points = tile.dataset.layer === "noisy" ? this.sample.runs[run].noisyPoints : this.sample.points;
    const axis = { visible: false, showspikes: false };
    const xyz = [0, 1, 2].map((c) => Array.from({ length: points.length / 3 }, (_, i) => points[3 * i + c]));
    const count = points.length / 3;
    const marker = { size: count > 4000 ? 2 : 3.2, opacity: 1, line: { width: 0.6, color: "#8a8a93" } };
    await Plotly.newPlot(place, [{
      type: "scatter3d", mode: "markers", x: xyz[0], y: xyz[1], z: xyz[2], marker, hoverinfo: "none",
    }], {
      margin: { l: 0, r: 0, t: 0, b: 0 }, paper_bgcolor: "#fff", showlegend: false,
      scene: { aspectmode: "manual", aspectratio: this.fit(xyz), xaxis: axis, yaxis: axis, zaxis: axis, camera: this.camera, dragmode: "orbit" },
    }, { displayModeBar: false, responsive: true });
    place.on("plotly_relayouting", (change) => this.turned(change["scene.camera"], place));
    place.on("plotly_relayout", (change) => this.turned(change["scene.camera"], place));
    place.on("plotly_hover", (found) => { this.index = found.points[0].pointNumber; this.read(); });
  }

  // All of a cloud stays within its frame, however it is turned: the ball around it has this radius,
  // below the 0.66 that the camera sees from where it starts.
  fit(xyz) {
    const ends = xyz.map((c) => c.reduce(([low, high], v) => [Math.min(low, v), Math.max(high, v)], [Infinity, -Infinity]));
    const middle = ends.map(([low, high]) => (low + high) / 2);
    const reach = Math.max(...xyz[0].map((_, i) => Math.hypot(...xyz.map((c, k) => c[i] - middle[k]))), 1e-12);
    const [x, y, z] = ends.map(([low, high]) => Math.max((0.62 * (high - low)) / reach, 0.01));
    return { x, y, z };
  }

  turned(camera, from) {
    if (!camera || this.turning) return;
    this.look(camera, from);
  }

  async look(camera, from = null) {
    this.camera = camera;
    this.turning = true;
    for (const tile of this.tiles) {
      const place = tile.querySelector(".cloud");
      if (place !== from && place.data) await window.Plotly.relayout(place, { "scene.camera": camera });
    }
    this.turning = false;
  }

  // masks: only what the radius changes.
  paint(masks = false) {
    if (!this.drawn) return;
    for (const tile of this.tiles) {
      if (masks && this.layer(tile) !== "own") continue;
      const place = tile.querySelector(".cloud");
      if (!place.data) continue;
      const layer = this.layer(tile);
      const colour = painter(this.sample, layer === "noisy" ? "draw" : layer, Number(tile.dataset.run));
      const colours = Array.from(this.sample.truth, (_, i) => css(colour(i)));
      window.Plotly.restyle(place, { "marker.color": [colours] });
    }
  }

  read() {
    if (this.index === null || typeof this.sample.truth === "string") return;
    describe(this.readout, `Point ${this.index}`, this.sample, this.index);
  }

  key(event) {
    const { eye } = this.camera;
    const turn = (angle) => ({
      x: eye.x * Math.cos(angle) + eye.z * Math.sin(angle), y: eye.y,
      z: eye.z * Math.cos(angle) - eye.x * Math.sin(angle),
    });
    const scaled = (factor) => ({ x: eye.x * factor, y: eye.y * factor, z: eye.z * factor });
    const moves = {
      ArrowLeft: () => turn(-0.15), ArrowRight: () => turn(0.15),
      ArrowUp: () => ({ ...eye, y: eye.y + 0.12 }), ArrowDown: () => ({ ...eye, y: eye.y - 0.12 }),
      "+": () => scaled(0.87), "=": () => scaled(0.87), "-": () => scaled(1 / 0.87),
    };
    const count = this.sample.truth.length, steps = { n: 1, p: count - 1 };
    if (event.ctrlKey || event.metaKey) return;
    if (moves[event.key]) this.look({ ...this.camera, eye: moves[event.key]() });
    else if (steps[event.key]) {
      this.index = this.index === null ? 0 : (this.index + steps[event.key]) % count;
      this.read();
    } else return;
    event.preventDefault();
  }
}
