// Plotly, unpacked within the page; the charts, and the line that the slider moves.

async function loadPlotly() {
  if (typeof DecompressionStream === "undefined") {
    throw new Error("this browser cannot unpack the chart library (it lacks DecompressionStream)");
  }
  const packed = bytes(document.getElementById("plotly-packed").textContent.trim());
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const source = URL.createObjectURL(await new Response(stream).blob());
  const script = document.createElement("script");
  script.nonce = document.querySelector("script[nonce]").nonce;
  const loaded = new Promise((resolve, reject) => {
    script.onload = resolve;
    script.onerror = () => reject(new Error("the chart library within this page is damaged"));
  });
  script.src = source;
  document.head.append(script);
  await loaded;
  URL.revokeObjectURL(source);
  return window.Plotly;
}

let library = null;
const plotly = () => (library ??= loadPlotly());

async function drawCharts() {
  const places = [...document.querySelectorAll(".plot")];
  if (!places.length) return;
  try {
    const Plotly = await plotly();
    for (const place of places) {
      const { data, layout } = report.charts[place.dataset.key];
      const narrow = place.clientWidth < 480;
      layout.font.size = narrow ? 11.5 : 13;
      place.replaceChildren();
      await Plotly.newPlot(place, data, layout, { responsive: true, displayModeBar: false });
    }
    moveLine();
  } catch (error) {
    for (const place of places) {
      const words = document.createElement("p");
      words.className = "failed";
      words.textContent = `This chart cannot be pointed at: ${error.message}.`;
      place.append(words);
    }
  }
}

// The radius of the slider, as a line across the curve.
function moveLine() {
  const place = document.querySelector('.plot[data-key="curve"]');
  if (!place || !place.data || !report.slider) return;
  const line = {
    type: "line", x0: state.radius, x1: state.radius, y0: 0, y1: 1, yref: "paper",
    line: { color: "#1c1c21", width: 1, dash: "dot" },
  };
  window.Plotly.relayout(place, { shapes: state.mask === "chosen" ? [line] : [] });
}
