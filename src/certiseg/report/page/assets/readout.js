// What is known about one component, in words: names come from files and are set as text only.

function describe(place, where, sample, index) {
  const said = [document.createTextNode(`${where}: truth `), ...named(0, sample.truth[index])];
  sample.runs.forEach((part, run) => {
    const title = report.runs.length > 1 ? report.runs[run].title : "";
    said.push(document.createTextNode(title ? "; " : ", "), strong(title ? `${title}: ` : ""));
    said.push(document.createTextNode("base "), ...named(run, part.clean[index]));
    said.push(document.createTextNode(", on the draw "), ...named(run, part.draw[index]));
    const given = report.runs[run].byRegion ? "label" : "certified";
    said.push(document.createTextNode(`, ${given} `), ...named(run, part.own[index]));
    if (!part.table) return;
    const hits = part.hits[index];
    said.push(document.createTextNode(`, ${hits} of ${part.trials} votes for `));
    said.push(...named(run, part.mode[index]), document.createTextNode(`, ${part.said[hits]}`));
    if (state.mask !== "chosen") return;
    said.push(document.createTextNode(`; at ${state.radiusText} `));
    said.push(...named(run, shownLabel(part)(index)));
  });
  said.push(document.createTextNode("."));
  place.replaceChildren(...said);
}

function strong(text) {
  const node = document.createElement("b");
  node.textContent = text;
  return node;
}

function named(run, stored) {
  const swatch = document.createElement("i");
  swatch.style.background = css(stored >= SHIFT ? colourOf(run, stored - SHIFT) : stored === ABSTAINS ? WHITE : UNTRUTH);
  swatch.setAttribute("aria-hidden", "true");
  return [swatch, strong(nameOf(run, stored))];
}

// One row of the page, of images or of point clouds.
class Row {
  constructor(article, sample) {
    this.article = article;
    this.sample = sample;
    this.stage = article.querySelector(".stage");
    this.readout = article.querySelector(".readout");
    this.tiles = [...this.stage.querySelectorAll(".tile")];
    this.counted = article.querySelector(".counted");
    sample.runs.forEach(unpackEvidence);
    this.stage.addEventListener("keydown", (event) => this.key(event));
  }

  // How many labels hold: of the class that is shown alone, or of all.
  count() {
    if (state.alone === null) {
      tellRegion(this.counted, `All of the ${report.whole}`, this.sample, heldEverywhere);
    } else {
      const name = report.runs[report.legendRun].labels[state.alone];
      tellRegion(this.counted, `Labels ${name}`, this.sample, (part) => heldWithLabel(part, state.alone));
    }
  }

  unpack() {
    return (this.ready ??= decode(this.sample));
  }

  layer(tile) {
    return tile.dataset.layer === "column" ? state.layer : tile.dataset.layer;
  }
}
