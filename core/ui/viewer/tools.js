// Grey scale, marks, distances, zoom and the value under the pointer.

const HINT = matchMedia("(pointer: coarse)").matches ? "Tap the picture to read its value"
  : "Point at the picture to read its value";

Object.assign(View.prototype, {
  setWindow(center, width) {
    this.look.center = Math.round(Math.min(Math.max(center, -2000), 4000));
    this.look.width = Math.round(Math.min(Math.max(width, 10), 6000));
    this.look.windowChange += 1;
    this.lookChanged();
    this.value.textContent =
      `Grey scale ${String(this.look.center).replace("-", "\u2212")} ± ${this.look.width / 2} HU`;
  },

  setLook(change) {
    Object.assign(this.look, change);
    this.look.marksChange += 1;
    this.lookChanged();
  },

  lookChanged() {
    for (const view of shared.views) view.changed({ now: view === this });
    this.report();
  },

  // Truth on the left of a divider, prediction on its right.
  toggleSplit() {
    this.split = !this.split;
    if (this.split && this.layout === "linked") this.layout = "single";
    this.setSources(this.header);
    for (const source of this.sources) source.scan.hold(this);
    this.changed({ layout: true });
  },

  // Which two of three masks are compared.
  choosePair(pair) {
    this.setLook({ pair });
    if (!this.split) return;
    this.setSources(this.header);
    for (const source of this.sources) source.scan.hold(this);
    this.changed({ layout: true });
  },

  cycleStyle() {
    const both = comparedPair(this.sources[0].header.labels?.layers ?? [], this.look);
    const styles = Object.keys(STYLES).filter(
      (name) => name !== "agreement" || (both && this.sources.length === 1));
    this.setLook({ style: styles[(styles.indexOf(this.style) + 1) % styles.length] });
  },

  toggleLayer(name) {
    const hidden = new Set(this.look.hidden);
    if (this.look.style === "off") {
      this.look.style = "fill";
      hidden.delete(name);
    } else if (!hidden.delete(name)) {
      hidden.add(name);
    }
    this.setLook({ hidden });
  },

  zoomBy(factor) {
    const pane = this.activePane();
    const { scan } = this.sources[0];
    if (this.crossShown && scan) {
      const { column, row } = pixelOf(scan, pane.plane, this.place.voxel);
      pane.zoomBy(factor, ...pane.toCanvas(column + 0.5, row + 0.5));
    } else {
      pane.zoomBy(factor);
    }
    this.changed();
  },

  resetZoom(plane) {
    for (const name of plane ? [plane] : Object.keys(PLANES)) {
      Object.assign(this.zooms[name], { factor: 1, x: 0, y: 0 });
    }
    this.changed();
  },

  pointAt(pane, x, y) {
    this.pointer = { pane, x, y };
    if (this.correcting) this.changed();
    if (this.busy && this.layout !== "linked") return;
    const source = pane.sourceAt(x);
    const [column, row] = pane.toPicture(x, y, source).map(Math.floor);
    const grid = source.grid(pane.plane);
    if (column < 0 || row < 0 || column >= grid.columns || row >= grid.rows) this.sayHint();
    else this.readAt(pane, source, column, row);
  },

  readAt(pane, source, column, row) {
    const index = source.indexOf(pane.plane, pane.index, this.sources[0]);
    const read = source.valueText(pane.plane, index, column, row);
    if (!read) {
      this.value.textContent = "This slice is still loading";
      return;
    }
    const where = `${read.note} at column ${column + 1}, row ${row + 1}`;
    this.value.replaceChildren(
      element("b", { text: read.number }), [where, ...read.marked].join(" · "));
  },

  pointAway() {
    this.pointer = null;
    if (this.correcting) this.changed();
    if (!this.busy) this.sayHint();
  },

  sayHint() {
    // What was just drawn is not wiped away by letting go of the mouse.
    if (!this.correcting) this.value.textContent = HINT;
  },

  describe(pane) {
    const { name, stamp } = this.sources[0].header;
    const { left, right } = this.comparison ?? {};
    const side = pane.side === null ? "" : ` ${pane.side ? right : left}.`;
    const { count } = pane.leading.grid(pane.plane);
    const slice = pane.leading.scan ? ` ${pane.plane} slice ${pane.index + 1} of ${count}.` : "";
    const { header, masks, scan } = pane.sources[0];
    const regions = scan ? regionsOf(header, this.look, masks) : [];
    const over = regions.length
      ? ` Marked: ${regions.map((region) => region.name.toLowerCase()).join("; ")}.` : "";
    return `${name}${slice}${side}${stamp ? ` ${stamp}.` : ""}${over}`;
  },
});
