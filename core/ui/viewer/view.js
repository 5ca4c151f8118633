// One viewer on a page: what it shows, and everything a person can do with it.

const CINE_MS = 80;
const REPORT_MS = 250;
const WIDE = 560; // pixels from which linked planes stand side by side
const TALLEST = 900;

class View {
  constructor(root) {
    this.root = root;
    this.layout = "single";
    this.measures = [];
    this.divider = 0.5;
    this.panes = [];
    this.observer = new ResizeObserver(() => this.changed({ layout: true }));
  }

  show(header, pictures) {
    this.header = header;
    this.left = false;
    const before = this.token;
    this.setSources(header, pictures);
    this.remembered(header);
    if (this.token !== before) {
      this.measures = [];
      this.cross = false;
    }
    if (!this.stage) this.build();
    this.observer.observe(this.root);
    shared.views.add(this);
    this.obey(header.place);
    this.followFocus();
    for (const source of this.sources) source.scan?.hold(this);
    this.changed({ layout: true });
    // What another page's viewer did not come to tell.
    this.report();
  }

  leave() {
    this.left = true;
    this.observer.disconnect();
    this.stopCine();
    shared.views.delete(this);
    for (const source of this.sources) source.scan?.release(this);
  }

  setSources(header, pictures) {
    const before = this.sources ?? [];
    this.comparison = header.comparison;
    if (pictures) {
      this.sources = pictures.map((pixels) => new StillSource(header.pictures, pixels));
      this.token = `pictures ${header.key}`;
      return;
    }
    const scans = header.scans.map(scanOf);
    if (this.split && bothKnown(header.scans[0].labels?.layers ?? [])) {
      this.comparison ??= {
        left: "Truth", right: "Prediction", masks: [["truth"], ["prediction"]],
      };
    }
    const masks = this.comparison?.masks ?? [["truth", "prediction"]];
    this.token = header.scans[0].token;
    this.sources = masks.map((shown, side) => {
      const scan = scans[side] ?? scans[0];
      const kept = before[side];
      if (kept?.scan === scan && String(kept.masks) === String(shown)) return kept;
      return new ScanSource(scan, shown);
    });
    for (const source of before) {
      if (source.scan && !scans.includes(source.scan)) source.scan.release(this);
    }
  }

  // Place by scan, look by tab, zoom by scan and viewer: all outlive the page's own elements.
  remembered(header) {
    shared.look ??= {
      center: header.place?.center ?? 0, width: header.place?.width ?? 1, style: "fill",
      opacity: 0.35, hidden: new Set(), windowChange: 0, marksChange: 0,
    };
    this.look = shared.look;
    if (header.agreement) this.look.agreement = header.agreement;
    if (!shared.places.has(this.token)) {
      shared.places.set(this.token, { plane: "axial", voxel: [0, 0, 0], command: 0 });
    }
    this.place = shared.places.get(this.token);
    const name = `${header.key} ${this.token}`;
    if (!shared.zooms.has(name)) {
      shared.zooms.set(name, Object.fromEntries(
        Object.keys(PLANES).map((plane) => [plane, { factor: 1, x: 0, y: 0 }])));
    }
    this.zooms = shared.zooms.get(name);
  }

  // Each command of Python is obeyed once; the same number again is only an echo.
  obey(wanted) {
    if (!wanted || wanted.command <= this.place.command) return;
    Object.assign(this.place, {
      plane: wanted.plane, voxel: [...wanted.voxel], command: wanted.command,
    });
    this.place.told = this.placeNow();
  }

  build() {
    this.panes = [new Pane(this, "axial")];
    this.strip = new Strip(this);
    this.controls = new Controls(this);
    this.stage = element("div", { class: "stage" });
    this.dividerBar = this.buildDivider();
    this.value = element("div", { class: "value" });
    this.spoken = element("div", { class: "spoken", "aria-live": "polite" });
    this.stage.append(this.panes[0].canvas, this.dividerBar, this.controls.help);
    listenToPointer(this.panes[0]);
    this.root.append(this.controls.bar, this.stage, this.strip.canvas,
      element("div", { class: "bar" }, this.value, this.controls.legend), this.spoken);
    this.root.addEventListener("keydown", (event) => pressKey(this, event));
    this.root.addEventListener("fullscreenchange", () => this.changed({ layout: true }));
    this.sayHint();
  }

  buildDivider() {
    const bar = element("div", {
      class: "divider", role: "slider", tabindex: "0", "aria-valuemin": "0",
      "aria-valuemax": "100", label: "Divider between the two pictures",
    });
    bar.addEventListener("pointerdown", (event) => {
      bar.setPointerCapture(event.pointerId);
      event.stopPropagation();
    });
    bar.addEventListener("pointermove", (event) => {
      if (!bar.hasPointerCapture(event.pointerId)) return;
      const place = this.stage.getBoundingClientRect();
      this.moveDivider((event.clientX - place.left) / place.width);
    });
    return bar;
  }

  moveDivider(share) {
    this.divider = Math.min(Math.max(share, 0), 1);
    this.changed();
  }

  get grid() {
    return this.sources[0].grid(this.place.plane);
  }

  get style() {
    const known = bothKnown(this.sources[0].header.labels?.layers ?? []);
    const possible = known && this.sources.length === 1;
    return this.look.style === "agreement" && !possible ? "fill" : this.look.style;
  }

  get crossShown() {
    return this.layout === "linked" || this.cross;
  }

  get trouble() {
    return this.sources.map((source) => source.scan?.trouble).find(Boolean) ?? "";
  }

  hasFocus() {
    return this.root.contains(this.root.getRootNode().activeElement);
  }

  sliceOf(plane) {
    return this.sources[0].scan ? this.place.voxel[PLANES[plane].normal] : 0;
  }

  zoomOf(plane) {
    return this.zooms[plane];
  }

  activePane() {
    const focused = this.root.getRootNode().activeElement;
    return this.panes.find((pane) => pane.canvas === focused) ?? this.panes[0];
  }

  // ------------------------------------------------------------ moving

  goTo(plane, index) {
    const { count } = this.sources[0].grid(plane);
    const wanted = Math.min(Math.max(index, 0), count - 1);
    const axis = PLANES[plane].normal;
    if (!this.sources[0].scan || wanted === this.place.voxel[axis]) return;
    performance.mark("lunglens:step");
    this.place.voxel[axis] = wanted;
    this.moved(true);
  }

  step(plane, by) {
    if (by) this.goTo(plane, this.sliceOf(plane) + by);
  }

  moved(stepped = false) {
    this.followFocus();
    for (const view of shared.views) {
      if (view.place === this.place) view.changed({ now: true, stepped: stepped && view === this });
    }
    this.report();
  }

  // Chunks around what is looked at come first.
  followFocus() {
    for (const source of this.sources) {
      source.scan?.look(source.indexOf("axial", this.sliceOf("axial"), this.sources[0]));
    }
  }

  choosePlane(name) {
    if (name === "linked" && this.split) this.toggleSplit();
    this.layout = name === "linked" ? "linked" : "single";
    // Slider, figures and address know of one plane: among linked ones the large picture's.
    this.place.plane = name === "linked" ? "axial" : name;
    this.needsLayout = true;
    this.moved();
  }

  crossTo(pane, x, y) {
    const { scan } = this.sources[0];
    if (!scan) return;
    const grid = pane.leading.grid(pane.plane);
    const [column, row] = pane.toPicture(x, y).map(Math.floor);
    const inside = (at, count) => Math.min(Math.max(at, 0), count - 1);
    this.setCross(voxelAt(
      scan, pane.plane, pane.index, inside(column, grid.columns), inside(row, grid.rows)));
  }

  setCross(voxel) {
    this.cross = true;
    this.place.voxel = voxel;
    this.moved();
  }

  // By keys: one voxel across the picture, which follows once the crosshair leaves it.
  nudgeCross(pane, columns, rows) {
    const { scan } = this.sources[0];
    if (!scan) return;
    const grid = pane.leading.grid(pane.plane);
    const { column, row } = pixelOf(scan, pane.plane, this.place.voxel);
    const inside = (at, count) => Math.min(Math.max(at, 0), count - 1);
    const [c, r] = [inside(column + columns, grid.columns), inside(row + rows, grid.rows)];
    this.setCross(voxelAt(scan, pane.plane, pane.index, c, r));
    const [x, y] = pane.toCanvas(c + 0.5, r + 0.5);
    const overX = Math.min(x - 24, 0) + Math.max(x - pane.width + 24, 0);
    const overY = Math.min(y - 24, 0) + Math.max(y - pane.height + 24, 0);
    if (overX || overY) pane.pan(-overX, -overY);
    if (this.pending) this.pending.ends[1] = [c + 0.5, r + 0.5];
    this.readAt(pane, this.sources[0], c, r);
  }

  // ------------------------------------------------------------ grey scale, marks

  setWindow(center, width) {
    this.look.center = Math.round(Math.min(Math.max(center, -2000), 4000));
    this.look.width = Math.round(Math.min(Math.max(width, 10), 6000));
    this.look.windowChange += 1;
    this.lookChanged();
    this.value.textContent =
      `Grey scale ${String(this.look.center).replace("-", "\u2212")} ± ${this.look.width / 2} HU`;
  }

  setLook(change) {
    Object.assign(this.look, change);
    this.look.marksChange += 1;
    this.lookChanged();
  }

  lookChanged() {
    for (const view of shared.views) view.changed({ now: view === this });
    this.report();
  }

  // Truth on the left of a divider, prediction on its right.
  toggleSplit() {
    this.split = !this.split;
    if (this.split && this.layout === "linked") this.layout = "single";
    this.setSources(this.header);
    for (const source of this.sources) source.scan.hold(this);
    this.changed({ layout: true });
  }

  get canSplit() {
    return !this.header.comparison && bothKnown(this.sources[0].header.labels?.layers ?? []);
  }

  cycleStyle() {
    const both = bothKnown(this.sources[0].header.labels?.layers ?? []);
    const styles = Object.keys(STYLES).filter(
      (name) => name !== "agreement" || (both && this.sources.length === 1));
    this.setLook({ style: styles[(styles.indexOf(this.style) + 1) % styles.length] });
  }

  toggleLayer(name) {
    const hidden = new Set(this.look.hidden);
    if (this.look.style === "off") {
      this.look.style = "fill";
      hidden.delete(name);
    } else if (!hidden.delete(name)) {
      hidden.add(name);
    }
    this.setLook({ hidden });
  }

  // ------------------------------------------------------------ infected slices

  infected() {
    const { scan } = this.sources[0];
    if (!scan?.counts) return null;
    const layers = scan.header.labels.layers;
    const source = ["prediction", "truth"].find((name) =>
      layers.some((layer) => layer.source === name && layer.channel === "infection"));
    return source ? scan.counts[source][this.place.plane] : null;
  }

  jumps() {
    const counts = this.infected();
    const here = this.sliceOf(this.place.plane);
    const found = { previous: null, most: null, next: null };
    if (!counts) return found;
    for (let at = 0; at < counts.length; at++) {
      if (!counts[at]) continue;
      if (at < here) found.previous = at;
      if (at > here) found.next ??= at;
      if (found.most === null || counts[at] > counts[found.most]) found.most = at;
    }
    return found;
  }

  jump(name) {
    const to = this.jumps()[name];
    if (to !== null) this.goTo(this.place.plane, to);
    else if (this.infected()) this.value.textContent = "No infected slice there";
  }

  // ------------------------------------------------------------ cine, measuring

  toggleCine() {
    if (this.cine) {
      this.stopCine();
      this.report();
    } else {
      this.cine = setInterval(() => {
        const { plane } = this.place;
        this.goTo(plane, (this.sliceOf(plane) + 1) % this.grid.count);
      }, CINE_MS);
    }
    this.changed();
  }

  stopCine() {
    clearInterval(this.cine);
    this.cine = null;
  }

  toggleMeasuring() {
    this.measuring = !this.measuring;
    this.pending = null;
    this.value.textContent = this.measuring ? "Drag from one point to another" : "";
    this.changed();
  }

  beginMeasure(pane, end) {
    const measure = { plane: pane.plane, index: pane.index, ends: [end, [...end]] };
    this.measures.push(measure);
    this.changed();
    return measure;
  }

  endMeasure(measure, drawn) {
    if (!drawn) this.measures.splice(this.measures.indexOf(measure), 1);
    this.pending = null;
    if (drawn) {
      const length = lengthText(this.sources[0].grid(measure.plane), measure.ends);
      this.value.textContent = `Distance ${length}`;
    }
    this.changed();
  }

  // Enter sets the first end at the crosshair, Enter again the second.
  measureAtCross(pane) {
    const { scan } = this.sources[0];
    if (!scan) return;
    const { column, row } = pixelOf(scan, pane.plane, this.place.voxel);
    if (this.pending) this.endMeasure(this.pending, true);
    else {
      this.cross = true;
      this.pending = this.beginMeasure(pane, [column + 0.5, row + 0.5]);
    }
  }

  // ------------------------------------------------------------ zoom

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
  }

  resetZoom(plane) {
    for (const name of plane ? [plane] : Object.keys(PLANES)) {
      Object.assign(this.zooms[name], { factor: 1, x: 0, y: 0 });
    }
    this.changed();
  }

  // ------------------------------------------------------------ reading values

  pointAt(pane, x, y) {
    if (this.busy && this.layout !== "linked") return;
    const source = pane.sourceAt(x);
    const [column, row] = pane.toPicture(x, y, source).map(Math.floor);
    const grid = source.grid(pane.plane);
    if (column < 0 || row < 0 || column >= grid.columns || row >= grid.rows) this.sayHint();
    else this.readAt(pane, source, column, row);
  }

  readAt(pane, source, column, row) {
    const index = source.indexOf(pane.plane, pane.index, this.sources[0]);
    const read = source.valueText(pane.plane, index, column, row);
    if (!read) {
      this.value.textContent = "This slice is still on its way";
      return;
    }
    const where = `${read.note} at column ${column + 1}, row ${row + 1}`;
    this.value.replaceChildren(
      element("b", { text: read.number }), [where, ...read.marked].join(" · "));
  }

  pointAway() {
    if (!this.busy) this.sayHint();
  }

  sayHint() {
    this.value.textContent = "Point at the picture to read its value";
  }

  describe(pane) {
    const { name, stamp } = this.sources[0].header;
    const { count } = pane.leading.grid(pane.plane);
    const slice = pane.leading.scan ? ` ${pane.plane} slice ${pane.index + 1} of ${count}.` : "";
    const regions = this.sources[0].scan
      ? regionsOf(this.sources[0].header, this.look, this.sources[0].masks) : [];
    const over = regions.length
      ? ` Marked: ${regions.map((region) => region.name.toLowerCase()).join("; ")}.` : "";
    return `${name}${slice}${stamp ? ` ${stamp}.` : ""}${over}`;
  }

  // ------------------------------------------------------------ telling Python

  placeNow() {
    const { plane, voxel } = this.place;
    return JSON.stringify({
      plane, voxel, center: this.look.center, width: this.look.width,
    });
  }

  report() {
    clearTimeout(this.reporting);
    if (!this.sources[0].scan) return;
    this.reporting = setTimeout(() => {
      const now = this.placeNow();
      if (this.busy || this.cine || this.left || now === this.place.told) return;
      this.place.told = now;
      this.tellPython(JSON.parse(now));
      const { plane } = this.place;
      this.spoken.textContent = `${plane} slice ${this.sliceOf(plane) + 1} of ${this.grid.count}`;
    }, REPORT_MS);
  }

  // ------------------------------------------------------------ drawing

  scanChanged() {
    this.changed();
  }

  // The first change of a frame is drawn at once, those that follow with the next frame.
  changed({ layout = false, now = false, stepped = false } = {}) {
    this.needsLayout ||= layout;
    this.stepped ||= stepped;
    if (now && !this.frame) {
      this.draw();
      this.frame = requestAnimationFrame(() => this.nextFrame());
      return;
    }
    this.dirty = true;
    this.frame ||= requestAnimationFrame(() => this.nextFrame());
  }

  nextFrame() {
    this.frame = 0;
    if (!this.dirty) return;
    this.draw();
  }

  draw() {
    this.dirty = false;
    if (!this.stage || !this.root.isConnected) return;
    if (this.needsLayout) this.arrange();
    if (!this.panes[0].width) return;
    for (const pane of this.panes) pane.draw();
    const many = this.sources[0].grid(this.place.plane).count > 1;
    this.strip.canvas.hidden = !many;
    if (many) this.strip.draw(this.stage.clientWidth);
    this.dividerBar.hidden = this.sources.length < 2;
    this.dividerBar.style.left = `${this.divider * 100}%`;
    this.dividerBar.setAttribute("aria-valuenow", String(Math.round(this.divider * 100)));
    this.controls.update();
    this.mark();
  }

  mark() {
    if (!this.drawn && !this.panes[0].waiting) {
      this.drawn = true;
      performance.mark("lunglens:first");
    }
    if (!this.stepped) return;
    this.stepped = false;
    performance.measure("lunglens:step", "lunglens:step");
    performance.clearMarks("lunglens:step");
  }

  arrange() {
    this.needsLayout = false;
    const width = this.root.clientWidth;
    if (!width) return;
    const linked = this.layout === "linked";
    const wanted = linked ? ["axial", "coronal", "sagittal"] : [this.place.plane];
    this.setPanes(wanted);
    const share = this.fullscreen ? this.heightLeft()
      : Math.min(TALLEST, Math.max(240, window.innerHeight * this.header.tallest));
    const height = this.fullscreen ? share : Math.round(Math.min(width * 0.86, share));
    const wide = width >= WIDE;
    this.stage.className = linked ? `stage linked ${wide ? "wide" : "tall"}` : "stage";
    const border = 2;
    const room = width - border;
    if (!linked) {
      this.panes[0].resize(room, height);
    } else if (wide) {
      const small = Math.floor(room * 0.38);
      this.panes[0].resize(room - small - 2, height);
      this.panes[1].resize(small, Math.floor((height - 2) / 2));
      this.panes[2].resize(small, height - 2 - Math.floor((height - 2) / 2));
    } else {
      const half = Math.floor((room - 2) / 2);
      this.panes[0].resize(room, Math.round(Math.min(room * 0.8, share)));
      this.panes[1].resize(half, Math.round(half * 0.8));
      this.panes[2].resize(room - 2 - half, Math.round(half * 0.8));
    }
    for (const pane of this.panes) pane.keepInSight();
  }

  get fullscreen() {
    return this.root.getRootNode().fullscreenElement === this.root;
  }

  // What toolbar, slider and legend leave of a screen.
  heightLeft() {
    const others = [...this.root.children].filter((part) => part !== this.stage);
    const taken = others.reduce((sum, part) => sum + part.offsetHeight, 0);
    return Math.max(240, window.innerHeight - taken - 36);
  }

  toggleFullscreen() {
    if (this.fullscreen) document.exitFullscreen();
    else this.root.requestFullscreen?.().catch(() => {
      this.value.textContent = "This browser does not give the whole screen to a picture";
    });
  }

  setPanes(planes) {
    while (this.panes.length > planes.length) this.panes.pop().canvas.remove();
    while (this.panes.length < planes.length) {
      const pane = new Pane(this, planes[this.panes.length]);
      listenToPointer(pane);
      this.stage.insertBefore(pane.canvas, this.dividerBar);
      this.panes.push(pane);
    }
    planes.forEach((plane, at) => {
      this.panes[at].plane = plane;
    });
  }
}
