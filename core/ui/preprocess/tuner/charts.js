// Both histograms over each other, with cumulative curves, and figures of contrast.

const CHART_HEIGHT = 150;
const EDGE = 1.15; // of the tallest level between black and white, which alone may be cut off
const SERIES = [["--before", "Before"], ["--after", "After"]];

class Histograms {
  constructor() {
    this.canvas = element("canvas", {
      class: "histograms", role: "img", label: "Histograms before and after",
    });
    this.context = this.canvas.getContext("2d");
  }

  draw(counts, { logarithmic, cumulative }) {
    const { canvas, context } = this;
    const width = canvas.parentElement?.clientWidth ?? 0;
    if (!width) return;
    const density = window.devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * density)) {
      canvas.width = Math.round(width * density);
      canvas.height = Math.round(CHART_HEIGHT * density);
      canvas.style.height = `${CHART_HEIGHT}px`;
    }
    this.resolveColours();
    context.setTransform(density, 0, 0, density, 0, 0);
    context.clearRect(0, 0, width, CHART_HEIGHT);
    const floor = CHART_HEIGHT - 18;
    const scaled = (count) => (logarithmic ? Math.log10(count + 1) : count);
    const tallest = Math.max(1e-9, ...counts.map(
      (one) => scaled(one.subarray(1, LEVELS - 1).reduce((most, count) => Math.max(most, count), 0))));
    const x = (level) => (level / (LEVELS - 1)) * (width - 2) + 1;
    const y = (share) => floor - Math.min(share / EDGE, 1) * (floor - 4);
    counts.forEach((one, at) => {
      const colour = this.colours[SERIES[at][0]];
      this.curve(one, (level) => [x(level), y(scaled(one[level]) / tallest)], colour, floor);
      if (!cumulative) return;
      const total = one.reduce((sum, count) => sum + count, 0) || 1;
      let sum = 0;
      this.curve(one, (level) => [x(level), y(EDGE * ((sum += one[level]) / total))], colour);
    });
    context.fillStyle = context.strokeStyle = this.colours["--quiet"];
    context.font = "11px sans-serif";
    context.fillRect(0, floor, width, 1);
    for (const [level, side] of [[0, "left"], [128, "center"], [255, "right"]]) {
      context.textAlign = side;
      context.fillText(String(level), x(level), CHART_HEIGHT - 4);
    }
  }

  // What the variables of the style sheet come to in the theme of the page.
  resolveColours() {
    const { canvas } = this;
    const scheme = getComputedStyle(canvas).colorScheme;
    if (scheme === this.scheme) return;
    this.scheme = scheme;
    this.colours = {};
    for (const name of ["--before", "--after", "--quiet"]) {
      canvas.style.color = `var(${name})`;
      this.colours[name] = getComputedStyle(canvas).color;
    }
  }

  curve(counts, place, colour, floor) {
    const { context } = this;
    context.beginPath();
    for (let level = 0; level < LEVELS; level++) context.lineTo(...place(level));
    context.strokeStyle = colour;
    context.lineWidth = 1.4;
    context.setLineDash(floor ? [] : [5, 3]);
    context.stroke();
    context.setLineDash([]);
    if (!floor) return;
    context.lineTo(place(LEVELS - 1)[0], floor);
    context.lineTo(place(0)[0], floor);
    context.globalAlpha = 0.22;
    context.fillStyle = colour;
    context.fill();
    context.globalAlpha = 1;
  }
}

// Of grey levels 0 to 255, by their counts: mean, standard deviation about it over all pixels,
// Shannon's entropy in bits, RMS contrast (Peli 1990), and shares at either end.
function contrastOf(counts) {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (!total) return null;
  let mean = 0;
  for (let level = 0; level < LEVELS; level++) mean += (counts[level] / total) * level;
  let [variance, entropy] = [0, 0];
  for (let level = 0; level < LEVELS; level++) {
    const share = counts[level] / total;
    variance += share * (level - mean) ** 2;
    if (share > 0) entropy -= share * Math.log2(share);
  }
  const deviation = Math.sqrt(variance);
  return {
    mean, deviation, entropy: entropy + 0, rms: deviation / (LEVELS - 1),
    black: counts[0] / total, white: counts[LEVELS - 1] / total,
  };
}

const FIGURES = [
  ["Mean", "Mean grey level", ({ mean }) => mean.toFixed(1)],
  ["SD", "Standard deviation of grey levels", ({ deviation }) => deviation.toFixed(1)],
  ["Entropy", "Bits per pixel, 8 at most; noise raises it too", ({ entropy }) => entropy.toFixed(2)],
  ["RMS", "RMS contrast: standard deviation as a share of white", ({ rms }) => rms.toFixed(3)],
  ["Black", "Share of pixels at black, where differences are lost", ({ black }) => percentText(black)],
  ["White", "Share of pixels at white, where differences are lost", ({ white }) => percentText(white)],
];

function percentText(share) {
  return `${(100 * share).toFixed(1)}\u2009%`;
}

class ContrastTable {
  constructor() {
    const head = element("tr", {}, element("th"),
      ...FIGURES.map(([text, title]) => element("th", { scope: "col", text, title })));
    this.rows = SERIES.map(([colour, text]) => {
      const name = element("th", { scope: "row" },
        element("i", { style: `background: var(${colour})` }), text);
      return element("tr", {}, name, ...FIGURES.map(() => element("td")));
    });
    this.table = element("table", { class: "contrast", "aria-label": "Contrast before and after" },
      element("thead", {}, head), element("tbody", {}, ...this.rows));
  }

  show(counts) {
    counts.forEach((one, at) => {
      const found = contrastOf(one);
      FIGURES.forEach(([, , text], column) => {
        this.rows[at].children[column + 1].textContent = found ? text(found) : "–";
      });
    });
  }
}
