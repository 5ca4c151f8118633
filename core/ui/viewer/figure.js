// A figure page as PNG: the pictures at twice their size with letters and scale bar, and below them
// legend and caption, on a dark or a light background.

const FIGURE_SCALE = 2;
const FIGURE_MARGIN = 20;
const FIGURE_LINE = 24;

Object.assign(View.prototype, {
  toggleLightFigure() {
    shared.lightFigure = !shared.lightFigure;
    this.changed();
    this.controls.light.setAttribute("aria-pressed", String(shared.lightFigure));
  },

  async saveFigure() {
    const { plane } = this.place;
    const link = document.createElement("a");
    link.href = URL.createObjectURL(await this.figurePage());
    link.download = `lunglens_figure_${this.layout === "linked" ? "linked" : plane}.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    this.say?.(`Saved ${link.download}`);
  },

  figurePage() {
    const picture = this.enlarged(FIGURE_SCALE);
    const regions = this.sources.flatMap((source) => source.scan
      ? regionsOf(source.header, this.look, source.masks) : []);
    const names = [...new Map(regions.map((region) => [region.name, region])).values()];
    const page = document.createElement("canvas");
    const context = page.getContext("2d");
    const [wide, line] = [FIGURE_MARGIN * FIGURE_SCALE, FIGURE_LINE * FIGURE_SCALE];
    page.width = picture.width + 2 * wide;
    page.height = picture.height + 2 * wide + line * (names.length ? 3 : 2);
    const light = Boolean(shared.lightFigure);
    context.fillStyle = light ? "#ffffff" : "#0e1319";
    context.fillRect(0, 0, page.width, page.height);
    context.drawImage(picture, wide, wide);
    context.font = `${13 * FIGURE_SCALE}px sans-serif`;
    context.textBaseline = "middle";
    let y = wide + picture.height + line * 0.8;
    let x = wide;
    for (const region of names) {
      drawSwatch(context, region, x, y);
      x += 30 * FIGURE_SCALE;
      context.fillStyle = light ? "#1d2731" : "#dbe3ea";
      context.fillText(region.name, x, y);
      x += context.measureText(region.name).width + 22 * FIGURE_SCALE;
    }
    if (names.length) y += line;
    context.fillStyle = light ? "#4a5864" : "#aab6c2";
    for (const text of this.figureWords()) {
      context.fillText(text, wide, y, page.width - 2 * wide);
      y += line;
    }
    return new Promise((done) => page.toBlob(done, "image/png"));
  },

  figureWords() {
    const { stamp } = this.sources[0].header;
    const { center, width } = this.look;
    const { count } = this.grid;
    const slice = this.layout === "linked" ? "Axial, coronal and sagittal"
      : `${this.place.plane[0].toUpperCase()}${this.place.plane.slice(1)} slice ` +
        `${this.sliceOf(this.place.plane) + 1} of ${count}`;
    const grey = `grey scale ${String(center).replace("-", "\u2212")} ± ${width / 2} HU`;
    return [
      [slice, grey, stamp].filter(Boolean).join(" · "),
      "LungLens: research software, never a diagnosis",
    ];
  },

  // The stage drawn once more with that many pixels for each of the page.
  enlarged(scale) {
    const stage = this.stage.getBoundingClientRect();
    const whole = document.createElement("canvas");
    whole.width = Math.round(stage.width * scale);
    whole.height = Math.round(stage.height * scale);
    const context = whole.getContext("2d");
    context.fillRect(0, 0, whole.width, whole.height);
    for (const pane of this.panes) {
      const place = pane.canvas.getBoundingClientRect();
      const before = [pane.canvas.width, pane.canvas.height, pane.density];
      pane.canvas.width = Math.round(pane.width * scale);
      pane.canvas.height = Math.round(pane.height * scale);
      pane.density = scale;
      pane.draw();
      context.drawImage(
        pane.canvas, Math.round((place.left - stage.left) * scale),
        Math.round((place.top - stage.top) * scale));
      [pane.canvas.width, pane.canvas.height, pane.density] = before;
      pane.draw();
    }
    return whole;
  },
});

function drawSwatch(context, region, x, y) {
  const [width, height] = [22 * FIGURE_SCALE, 12 * FIGURE_SCALE];
  if (region.filled) {
    context.globalAlpha = 0.53;
    context.fillStyle = region.colour;
    context.fillRect(x, y - height / 2, width, height);
    context.globalAlpha = 1;
  }
  context.strokeStyle = region.colour;
  context.lineWidth = 2 * FIGURE_SCALE;
  context.setLineDash((region.dash ?? []).map((length) => length * FIGURE_SCALE));
  context.strokeRect(x, y - height / 2, width, height);
  context.setLineDash([]);
}
