// The slider under the picture: every slice of the plane from left to right, what has arrived,
// and how much of each slice is infected.

const TRACK = 6;
const PROFILE = 40;
const DICE = 22; // below the slider: how well two masks agree
const INSET = 8;

class Strip {
  constructor(view) {
    this.view = view;
    this.canvas = document.createElement("canvas");
    this.canvas.className = "strip";
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "slider");
    this.canvas.setAttribute("aria-orientation", "horizontal");
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      this.canvas.focus({ preventScroll: true });
      this.dragging = true;
      view.busy = true;
      this.goTo(event);
    });
    this.canvas.addEventListener("pointermove", (event) => this.dragging && this.goTo(event));
    for (const kind of ["pointerup", "pointercancel"]) {
      this.canvas.addEventListener(kind, () => {
        this.dragging = false;
        view.busy = false;
        view.report();
      });
    }
  }

  get curves() {
    const { scan } = this.view.sources[0];
    const counts = scan?.counts;
    if (!counts) return [];
    return Object.keys(SOURCES).reverse().flatMap((source) => {
      const layer = scan.header.labels?.layers.find(
        (one) => one.source === source && one.channel === "infection");
      const values = counts[source][this.view.place.plane];
      return layer ? [{ source, values, colour: layer.colour }] : [];
    });
  }

  // The height stays while masks are on their way, and where they may still come, so that nothing
  // below it jumps.
  get tall() {
    if (this.view.header.tools === "all") return true;
    const layers = this.view.sources[0].header.labels?.layers ?? [];
    return layers.some((layer) => layer.channel === "infection");
  }

  goTo(event) {
    const { view } = this;
    const place = this.canvas.getBoundingClientRect();
    const share = (event.clientX - place.left - INSET) / (place.width - 2 * INSET);
    const { count } = view.grid;
    view.goTo(view.place.plane, Math.round(share * (count - 1)));
  }

  draw(width) {
    const { canvas, view } = this;
    const slider = this.tall ? PROFILE + 22 : 22;
    const height = slider + (this.compares ? DICE : 0);
    const density = window.devicePixelRatio || 1;
    const [wide, high] = [Math.round(width * density), Math.round(height * density)];
    if (canvas.width !== wide || canvas.height !== high) {
      canvas.width = wide;
      canvas.height = high;
      canvas.style.height = `${height}px`;
    }
    const context = canvas.getContext("2d");
    context.setTransform(density, 0, 0, density, 0, 0);
    context.clearRect(0, 0, width, height);
    const { plane } = view.place;
    const { count } = view.grid;
    const x = (index) => INSET + (count > 1 ? index / (count - 1) : 0.5) * (width - 2 * INSET);
    const middle = slider - 11;
    if (this.compares) this.drawDice(context, slider, height, x);
    this.drawTrack(context, width, middle, x);
    this.drawCurves(context, middle - TRACK - 4, x);
    this.drawFlags(context, middle - TRACK / 2, x);
    const here = x(view.sliceOf(plane));
    context.strokeStyle = "rgba(242, 245, 248, 0.8)";
    context.lineWidth = 1;
    if (this.tall) {
      context.beginPath();
      context.moveTo(here, 2);
      context.lineTo(here, middle);
      context.stroke();
    }
    context.fillStyle = "#f2f5f8";
    context.beginPath();
    context.arc(here, middle, 7, 0, 7);
    context.fill();
    this.describe();
  }

  // Slices to look at first, as the page names them.
  drawFlags(context, floor, x) {
    const { scan } = this.view.sources[0];
    if (!scan || this.view.place.plane !== "axial") return;
    context.fillStyle = "#f0e442";
    for (const index of scan.given.flags ?? []) {
      context.beginPath();
      context.moveTo(x(index), floor);
      context.lineTo(x(index) - 4, floor - 7);
      context.lineTo(x(index) + 4, floor - 7);
      context.fill();
    }
  }

  // The room stays while agreement is counted, so that nothing below it jumps.
  get compares() {
    const { view } = this;
    const layers = view.sources[0].header.labels?.layers ?? [];
    return view.header.tools === "all" && Boolean(comparedPair(layers, view.look));
  }

  // Dice of every slice from 0 at the bottom to 1; no line where neither mask holds anything.
  drawDice(context, top, bottom, x) {
    const scores = this.view.pairScores;
    if (scores) this.drawScores(context, top, bottom, x, scores);
    // Over the line, which may run through it.
    context.font = "10px sans-serif";
    context.textAlign = "left";
    context.textBaseline = "top";
    context.strokeStyle = "#000000";
    context.lineWidth = 3;
    context.setLineDash([]);
    context.strokeText("Dice", 5, top);
    context.fillStyle = "#aab6c2";
    context.fillText("Dice", 5, top);
  }

  drawScores(context, top, bottom, x, scores) {
    const { view } = this;
    const { plane } = view.place;
    const dice = scores.dice(plane);
    const y = (value) => bottom - 2 - value * (bottom - top - 4);
    context.strokeStyle = "#6cc3d5";
    context.lineWidth = 1.5;
    context.setLineDash([]);
    context.beginPath();
    let drawing = false;
    dice.forEach((value, index) => {
      if (Number.isNaN(value)) {
        drawing = false;
        return;
      }
      if (drawing) context.lineTo(x(index), y(value));
      else {
        context.moveTo(x(index) - 0.5, y(value));
        context.lineTo(x(index) + 0.5, y(value));
      }
      drawing = true;
    });
    context.stroke();
    const here = dice[view.sliceOf(plane)];
    if (Number.isNaN(here)) return;
    context.fillStyle = "#f2f5f8";
    context.beginPath();
    context.arc(x(view.sliceOf(plane)), y(here), 2.5, 0, 7);
    context.fill();
  }

  drawTrack(context, width, middle, x) {
    const { scan } = this.view.sources[0];
    context.fillStyle = "#1f2a35";
    context.beginPath();
    context.roundRect(INSET - 3, middle - TRACK / 2, width - 2 * INSET + 6, TRACK, TRACK / 2);
    context.fill();
    context.fillStyle = "#3b5567";
    if (!scan || scan.complete || this.view.place.plane !== "axial") {
      const share = scan ? scan.share : 1;
      context.beginPath();
      context.roundRect(
        INSET - 3, middle - TRACK / 2, (width - 2 * INSET + 6) * share, TRACK, TRACK / 2);
      context.fill();
      return;
    }
    const { size, done } = scan.valueChunks;
    done.forEach((here, at) => {
      if (here !== 1) return;
      const [from, to] = [x(at * size), x(Math.min((at + 1) * size, scan.slices) - 1)];
      context.fillRect(from - 1, middle - TRACK / 2, to - from + 2, TRACK);
    });
  }

  drawCurves(context, floor, x) {
    const { curves } = this;
    const most = Math.max(1, ...curves.map(({ values }) => values.reduce((a, b) => Math.max(a, b), 0)));
    for (const [at, { source, values, colour }] of curves.entries()) {
      context.beginPath();
      values.forEach((value, index) => {
        context.lineTo(x(index), floor - (value / most) * (floor - 4));
      });
      context.strokeStyle = colour;
      context.lineWidth = 1.5;
      context.setLineDash(at || source === "truth" ? DASHES[source] : []);
      context.stroke();
      context.setLineDash([]);
      if (at) continue;
      context.lineTo(x(values.length - 1), floor);
      context.lineTo(x(0), floor);
      context.globalAlpha = 0.2;
      context.fillStyle = colour;
      context.fill();
      context.globalAlpha = 1;
    }
  }

  describe() {
    const { canvas, view } = this;
    const { plane } = view.place;
    const index = view.sliceOf(plane);
    const grid = view.grid;
    const areas = this.curves.map(({ source, values }) => {
      const size = grid.nominal ? `${values[index]} pixels`
        : `${((values[index] * grid.pixelWidth * grid.pixelHeight) / 100).toFixed(1)} cm²`;
      return `, infected ${size} (${SOURCES[source].toLowerCase()})`;
    });
    if (plane === "axial" && view.sources[0].scan?.given.flags?.includes(index)) {
      areas.push(", to be checked first");
    }
    const scores = view.pairScores;
    const dice = scores?.dice(plane)[index];
    if (scores && !Number.isNaN(dice)) {
      areas.push(`, Dice ${dice.toFixed(2)} of ${pairText(scores.pair)}`);
    }
    canvas.setAttribute("aria-label", `${plane} slice`);
    canvas.setAttribute("aria-valuemin", "1");
    canvas.setAttribute("aria-valuemax", String(grid.count));
    canvas.setAttribute("aria-valuenow", String(index + 1));
    canvas.setAttribute("aria-valuetext", `${index + 1} of ${grid.count}${areas.join("")}`);
    canvas.title = `Slice ${index + 1} of ${grid.count}${areas.join("")}`;
  }
}
