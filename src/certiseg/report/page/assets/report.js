// What all parts share: the report's data, the state of the controls, colours by label.
const report = JSON.parse(document.getElementById("report").textContent);
const SHIFT = report.shift; // labels are stored as label + 2: 0 is no truth, 1 an abstention
const ABSTAINS = 1, NO_TRUTH = 0;
const WHITE = [255, 255, 255], UNTRUTH = [226, 226, 220], FADED = [214, 214, 219], WRONG = [196, 0, 82];
const VIRIDIS = [[68, 1, 84], [71, 44, 122], [59, 81, 139], [44, 113, 142], [33, 144, 141],
  [39, 173, 129], [92, 200, 99], [170, 220, 50], [253, 231, 37]];

// Where the slider stands; its radii and their words come from Python, which cuts them off.
const state = {
  mask: "own", radius: 0, radiusText: "", palette: report.palette, layer: "own",
  wrong: false, alone: null, beneath: 0,
};

const css = (rgb) => `rgb(${rgb.join(" ")})`;
// percent_down of certiseg.rounding for counts, in whole numbers: nothing is rounded.
function percent(part, whole) {
  if (!whole) return "-";
  const tenths = (1000 * part - (1000 * part) % whole) / whole;
  return `${(tenths - tenths % 10) / 10}.${tenths % 10}%`;
}

function slideTo(place) {
  [state.radius, state.radiusText] = [report.slider.radii[place], report.slider.texts[place]];
}
if (report.slider) slideTo(report.slider.start);

function colourOf(run, label) {
  const colours = report.runs[run].colours[state.palette];
  return colours[label] || FADED;
}

// A colour for every stored label, as the page's controls want it.
function colourTable(run) {
  const count = report.runs[run].labels.length;
  const table = [UNTRUTH, WHITE];
  for (let label = 0; label < count; label++) {
    const dimmed = state.alone !== null && state.alone !== label;
    table.push(dimmed ? FADED : colourOf(run, label));
  }
  return table;
}

function heatColour(share) {
  const place = Math.min(1, Math.max(0, share)) * (VIRIDIS.length - 1);
  const low = Math.min(VIRIDIS.length - 2, Math.floor(place)), part = place - low;
  return VIRIDIS[low].map((v, c) => Math.round(v + part * (VIRIDIS[low + 1][c] - v)));
}

function nameOf(run, stored) {
  if (stored === NO_TRUTH) return "no truth";
  return stored === ABSTAINS ? "abstains" : report.runs[run].labels[stored - SHIFT];
}

// Whether a stored label is, or as a group of classes contains, the stored true class.
function isRight(run, stored, truth) {
  if (stored < SHIFT || truth < SHIFT) return false;
  const leaves = report.runs[run].leaves;
  return leaves ? leaves[stored - SHIFT].includes(truth - SHIFT) : stored === truth;
}

// Radius by count of one run's sample, -1 where nothing is certified.
function radiusTable(part) {
  const table = new Float64Array(part.trials + 1).fill(-1);
  for (const [count, radius] of part.table || []) if (radius !== null) table[count] = radius;
  return table;
}

// Components, those certified at the radius, those with truth, and of these the right ones.
function sharesAt(part, radius) {
  const sum = { all: 0, held: 0, known: 0, right: 0 };
  for (const [, own, all, known, right] of part.table) {
    sum.all += all;
    sum.known += known;
    if (own !== null && own >= radius) { sum.held += all; sum.right += right; }
  }
  return sum;
}

// What the certified tile of a run shows, component by component: a function of the index.
function shownLabel(part) {
  if (state.mask === "own" || !part.table) return (i) => part.own[i];
  const { mode, hits, radii } = part;
  return (i) => (radii[hits[i]] >= 0 && radii[hits[i]] >= state.radius ? mode[i] : ABSTAINS);
}

// The colour of every component of a layer.
function painter(sample, layer, run) {
  const part = sample.runs[run], table = colourTable(run);
  if (layer === "truth") return (i) => table[sample.truth[i]];
  if (layer === "heat") {
    if (!part.table) return () => WHITE;
    const colours = Array.from(part.radii, (r) => (r > 0 ? heatColour(r / report.heatEnd) : WHITE));
    return (i) => colours[part.hits[i]];
  }
  if (layer !== "own") return (i) => table[part[layer][i]];
  const label = shownLabel(part);
  if (!state.wrong) return (i) => table[label(i)];
  return (i) => {
    const given = label(i), truth = sample.truth[i];
    if (given === ABSTAINS) return WHITE;
    return truth === NO_TRUTH || isRight(run, given, truth) ? FADED : WRONG;
  };
}
