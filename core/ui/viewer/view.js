// One viewer on a page: what it shows, what it remembers, and when it draws. What a person can do
// with it is added in layout.js, moving.js, tools.js and picture.js.

class View {
  constructor(root) {
    this.root = root;
    this.panes = [];
    this.observer = new ResizeObserver(() => this.changed({ layout: true }));
  }

  show(header, pictures) {
    this.header = header;
    this.left = false;
    const token = pictures ? `pictures ${header.key}` : header.scans[0].token;
    if (token !== this.token) {
      this.stopCine();
      this.measuring = false;
      this.pending = null;
      if (this.correcting) this.endCorrecting();
    }
    this.token = token;
    this.address = location.pathname;
    this.remembered(header);
    this.followAnnotations();
    this.setSources(header, pictures);
    if (!this.stage) this.build();
    this.observer.observe(this.root);
    shared.views.add(this);
    this.obey(header.place);
    // A plane chosen on another page is what the person wants to see here too.
    if (this.layout === "linked" && this.place.plane !== "axial") this.layout = "single";
    if (header.place) this.replaceAddress();
    this.followFocus();
    for (const source of this.sources) source.scan?.hold(this);
    if (this.correcting && !this.canCorrect) this.endCorrecting();
    // Another page may have been left in the midst of correcting.
    for (const { scan } of this.sources) {
      if (scan && scan.correcting !== Boolean(this.correcting)) scan.correct(!scan.correcting);
    }
    if (this.look.correcting && !this.correcting) this.markCorrected();
    if (this.presenting) this.fillHeadline();
    if (this.canCorrect) this.obeyCorrecting();
    this.changed({ layout: true });
    // What another page's viewer did not come to tell.
    this.report();
  }

  // Also before each new header, so cine ends only where no header follows.
  leave() {
    this.left = true;
    this.observer.disconnect();
    shared.views.delete(this);
    for (const source of this.sources) source.scan?.release(this);
  }

  setSources(header, pictures) {
    const before = this.sources ?? [];
    this.comparison = header.comparison;
    if (pictures) {
      this.sources = pictures.map((pixels) => new StillSource(header.pictures, pixels));
      return;
    }
    const scans = header.scans.map(scanOf);
    const pair = comparedPair(scans[0].header.labels?.layers ?? [], shared.look);
    if (this.split && pair) {
      const [left, right] = pair;
      this.comparison ??= {
        left: SOURCES[left], right: SOURCES[right], masks: [[left], [right]],
      };
    }
    const masks = this.comparison?.masks ?? [Object.keys(SOURCES)];
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

  // Place by scan, look by tab, layout by viewer, zoom and distances by scan and viewer: all
  // outlive the page's own elements.
  remembered(header) {
    shared.look ??= {
      center: 0, width: 1, known: false, style: "fill", opacity: 0.35, hidden: new Set(),
      windowChange: 0, marksChange: 0,
    };
    this.look = shared.look;
    // A picture without a place, such as that of Preprocess, knows of no grey scale.
    if (header.place && !this.look.known) {
      const { center, width } = header.place;
      Object.assign(this.look, { center, width, known: true });
    }
    if (header.agreement) this.look.agreement = header.agreement;
    if (!shared.places.has(this.token)) {
      shared.places.set(this.token, { plane: "axial", voxel: [0, 0, 0], command: 0 });
    }
    this.place = shared.places.get(this.token);
    const name = `${header.key} ${this.token}`;
    if (!shared.scenes.has(name)) {
      const zooms = Object.fromEntries(
        Object.keys(PLANES).map((plane) => [plane, { factor: 1, x: 0, y: 0 }]));
      shared.scenes.set(name, { zooms, measures: [], cross: false });
      if (header.marks) this.look.style = header.marks;
    }
    this.scene = shared.scenes.get(name);
    if (!shared.layouts.has(header.key)) {
      const aside = header.comparison?.aside ?? false;
      shared.layouts.set(header.key, { layout: "single", split: false, aside, divider: 0.5 });
    }
    this.arrangement = shared.layouts.get(header.key);
  }

  // Each command of Python is obeyed once; the same number again is only an echo.
  obey(wanted) {
    if (!wanted || wanted.command <= this.place.command) return;
    Object.assign(this.place, {
      plane: wanted.plane, voxel: [...wanted.voxel], command: wanted.command,
    });
    if (wanted.layout) this.layout = wanted.layout;
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
    this.correctBar = new CorrectBar(this);
    const { bar, toolGroup, jumpGroup, ends, legend } = this.controls;
    this.steps = element("div", { class: "bar steps" }, toolGroup, jumpGroup, this.value, ends);
    this.root.append(bar, this.correctBar.bar, this.stage, this.strip.canvas, this.steps,
      element("div", { class: "bar" }, legend),
      element("div", { class: "bar" }, this.controls.lobes.legend), this.spoken);
    this.root.addEventListener("keydown", (event) => this.pressKey(event));
    listenToPage();
    this.root.addEventListener("fullscreenchange", () => {
      if (this.presenting && !this.fullscreen) this.endPresent();
      this.changed({ layout: true });
    });
    this.sayHint();
  }

  pressKey(event) {
    pressKey(this, event);
  }

  get grid() {
    return this.sources[0].grid(this.place.plane);
  }

  get style() {
    const known = comparedPair(this.sources[0].header.labels?.layers ?? [], this.look);
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

  get canSplit() {
    return !this.header.comparison && !this.correcting &&
      Boolean(comparedPair(this.sources[0].header.labels?.layers ?? [], this.look));
  }

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
    this.dividerBar.hidden = this.sources.length < 2 || this.sideBySide;
    this.dividerBar.style.left = `${this.divider * 100}%`;
    this.dividerBar.setAttribute("aria-valuenow", String(Math.round(this.divider * 100)));
    this.controls.update();
    this.correctBar.update();
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

  get fullscreen() {
    return this.root.getRootNode().fullscreenElement === this.root;
  }

  // Also where the whole screen was refused and the picture is presented in the window alone.
  get fillsWindow() {
    return this.fullscreen || this.root.classList.contains("window");
  }

  // Two pictures stand beside each other instead of behind a divider.
  get sideBySide() {
    return this.aside && this.sources.length > 1;
  }
}

for (const [kept, names] of [
  ["scene", ["zooms", "cross"]],
  ["arrangement", ["layout", "split", "aside", "divider"]],
]) {
  for (const name of names) {
    Object.defineProperty(View.prototype, name, {
      get() { return this[kept][name]; },
      set(value) { this[kept][name] = value; },
    });
  }
}
