// The controls, and the rows as they come near.

const rows = [];
let painting = null;

// masks: only what the radius changes; a wider change that waits is not forgotten.
function repaint(masks) {
  const wider = painting && !painting.masks;
  if (painting) cancelAnimationFrame(painting.frame);
  painting = { masks: masks && !wider };
  painting.frame = requestAnimationFrame(() => {
    const { masks: only } = painting;
    painting = null;
    for (const row of rows) { row.paint(only); row.read(); }
  });
}

function tellShares() {
  const told = report.runs.map((run, number) => {
    const sum = { all: 0, held: 0, known: 0, right: 0 };
    const parts = rows.map((row) => row.sample.runs[number]);
    const chosen = state.mask === "chosen" && parts.some((part) => part.table);
    for (const part of parts) {
      if (chosen && !part.table) continue;
      const shares = chosen ? sharesAt(part, state.radius) : part.ownCounts;
      for (const name of Object.keys(sum)) sum[name] += shares[name];
    }
    const title = report.runs.length > 1 ? `${run.title}: ` : "";
    return `${title}${shareWords(run, sum)}`;
  });
  document.getElementById("shares").textContent = told.join("; ");
  for (const row of rows) {
    row.sample.runs.forEach((part, number) => {
      const column = row.article.querySelector(`[data-layer="column"][data-run="${number}"] figcaption span`);
      (column ?? row.article.querySelector(".figures")).textContent = sharesInWords(part, report.runs[number]);
    });
  }
}

// By a method for regions labels are given, and not each of them is certified.
function shareWords(run, { held, all, right, known }) {
  const given = run.byRegion && state.mask !== "chosen" ? "given a label" : "certified";
  return `${percent(held, all)} ${given}, ${percent(right, known)} ${given} and right`;
}

function sharesInWords(part, run) {
  const chosen = state.mask === "chosen";
  if (chosen && !part.table) return "no map of radii: as certified";
  const shares = chosen ? sharesAt(part, state.radius) : part.ownCounts;
  return shareWords(run, shares);
}

function colourLegend() {
  for (const button of document.querySelectorAll(".legend button")) {
    const label = Number(button.dataset.label);
    button.querySelector("i").style.background = css(colourOf(report.legendRun, label));
    button.setAttribute("aria-pressed", String(state.alone === label));
  }
  const heat = document.querySelector(".legend .heat");
  if (heat) heat.style.background = `linear-gradient(to right, ${VIRIDIS.map(css).join(", ")})`;
}

function changed(masks = false) {
  const slider = document.getElementById("radius");
  if (slider) {
    document.getElementById("radius-text").textContent = state.radiusText;
    slider.setAttribute("aria-valuetext", state.radiusText);
    for (const radio of document.querySelectorAll('input[name="mask"]')) {
      radio.checked = radio.value === state.mask;
    }
    moveLine();
  }
  tellShares();
  colourLegend();
  if (!masks) for (const row of rows) row.count();
  repaint(masks);
}

function listen(id, event, act, masks = false) {
  const control = document.getElementById(id);
  if (control) control.addEventListener(event, () => { act(control); changed(masks); });
}

function startControls() {
  listen("radius", "input", (slider) => { slideTo(Number(slider.value)); state.mask = "chosen"; }, true);
  listen("palette", "change", (select) => { state.palette = select.value; });
  listen("layer", "change", (select) => { state.layer = select.value; });
  listen("beneath", "input", (slider) => { state.beneath = Number(slider.value) / 100; });
  listen("wrong", "change", (box) => { state.wrong = box.checked; });
  for (const radio of document.querySelectorAll('input[name="mask"]')) {
    radio.addEventListener("change", () => { state.mask = radio.value; changed(true); });
  }
  for (const button of document.querySelectorAll(".legend button")) {
    button.addEventListener("click", () => {
      const label = Number(button.dataset.label);
      state.alone = state.alone === label ? null : label;
      changed();
    });
  }
}

function startRows() {
  const Kind = report.kind === "clouds" ? Clouds : Pictures;
  const byArticle = new Map();
  for (const article of document.querySelectorAll("article.sample")) {
    const sample = JSON.parse(article.querySelector(".payload").textContent);
    const row = new Kind(article, sample);
    rows.push(row);
    byArticle.set(article, row);
  }
  const near = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      const row = byArticle.get(entry.target);
      if (entry.isIntersecting) row.show(); else row.hide();
    }
  }, { rootMargin: `${Kind.margin ?? 600}px` });
  for (const article of byArticle.keys()) near.observe(article);
  // On paper all rows are there at once.
  window.addEventListener("beforeprint", () => rows.forEach((row) => row.show()));
}

startRows();
if (rows.length) { startControls(); changed(); }
// Charts are the heavier part: after the first paint, and after the first row is unpacked.
const unpacked = rows.length ? rows[0].unpack() : Promise.resolve();
unpacked.catch(() => {}).finally(() => setTimeout(drawCharts, 30));
