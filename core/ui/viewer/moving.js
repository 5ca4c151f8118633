// Slices, planes and the crosshair: where the person goes, and telling Python of it.

const CINE_MS = 80;
const REPORT_MS = 250;

Object.assign(View.prototype, {
  goTo(plane, index) {
    const { count } = this.sources[0].grid(plane);
    const wanted = Math.min(Math.max(index, 0), count - 1);
    const axis = PLANES[plane].normal;
    if (!this.sources[0].scan || wanted === this.place.voxel[axis]) return;
    performance.mark("lunglens:step");
    this.place.voxel[axis] = wanted;
    this.moved(true);
  },

  step(plane, by) {
    if (by) this.goTo(plane, this.sliceOf(plane) + by);
  },

  moved(stepped = false) {
    this.followFocus();
    // For strips below the picture, which are components of their own.
    document.dispatchEvent(new CustomEvent("lunglens:slice", {
      detail: { slice: this.place.voxel[2], slices: this.sources[0].scan?.slices },
    }));
    for (const view of shared.views) {
      if (view.place === this.place) view.changed({ now: true, stepped: stepped && view === this });
    }
    this.report();
  },

  // Chunks around what is looked at come first.
  followFocus() {
    for (const source of this.sources) {
      source.scan?.look(source.indexOf("axial", this.sliceOf("axial"), this.sources[0]));
    }
  },

  choosePlane(name) {
    if (name === "linked" && this.split) this.toggleSplit();
    this.layout = name === "linked" ? "linked" : "single";
    // Slider, figures and address know of one plane: among linked ones the large picture's.
    this.place.plane = name === "linked" ? "axial" : name;
    for (const view of shared.views) view.needsLayout ||= view.place === this.place;
    this.moved();
  },

  crossTo(pane, x, y) {
    const { scan } = this.sources[0];
    if (!scan) return;
    const grid = pane.leading.grid(pane.plane);
    const [column, row] = pane.toPicture(x, y).map(Math.floor);
    const inside = (at, count) => Math.min(Math.max(at, 0), count - 1);
    this.setCross(voxelAt(
      scan, pane.plane, pane.index, inside(column, grid.columns), inside(row, grid.rows)));
  },

  setCross(voxel) {
    this.cross = true;
    this.place.voxel = voxel;
    this.moved();
  },

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
    if (this.pending) this.moveMeasure(this.pending, [c + 0.5, r + 0.5]);
    this.readAt(pane, this.sources[0], c, r);
  },

  infected() {
    const { scan } = this.sources[0];
    if (!scan?.counts) return null;
    const layers = scan.header.labels?.layers ?? [];
    const source = Object.keys(SOURCES).reverse().find((name) =>
      layers.some((layer) => layer.source === name && layer.channel === "infection"));
    return source ? scan.counts[source][this.place.plane] : null;
  },

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
  },

  jump(name) {
    const to = this.jumps()[name];
    if (to !== null) this.goTo(this.place.plane, to);
    else if (this.infected()) this.value.textContent = "No infected slice in that direction";
  },

  toggleCine() {
    if (this.cine) {
      this.stopCine();
      this.report();
    } else {
      this.cine = setInterval(() => {
        if (this.left) {
          this.stopCine();
          return;
        }
        const { plane } = this.place;
        this.goTo(plane, (this.sliceOf(plane) + 1) % this.grid.count);
      }, CINE_MS);
    }
    this.changed();
  },

  stopCine() {
    clearInterval(this.cine);
    this.cine = null;
  },

  placeNow() {
    const { plane, voxel } = this.place;
    return JSON.stringify({
      token: this.token, plane, voxel, center: this.look.center, width: this.look.width,
    });
  },

  report() {
    clearTimeout(this.reporting);
    if (!this.sources[0].scan) return;
    this.reporting = setTimeout(() => {
      const now = this.placeNow();
      if (this.busy || this.cine || this.left || now === this.place.told) return;
      this.place.told = now;
      this.replaceAddress();
      this.tellPython(JSON.parse(now));
      const { plane } = this.place;
      const slice = `${plane} slice ${this.sliceOf(plane) + 1} of ${this.grid.count}`;
      // A window or a crosshair that moves in its slice is nothing to interrupt other words for.
      if (slice !== this.spokenSlice) this.spoken.textContent = this.spokenSlice = slice;
    }, REPORT_MS);
  },

  // Python writes the same address again, and would leave a step for the browser's way back
  // behind each slice. Where an address tells no plane, its slice is the axial one.
  replaceAddress() {
    if (location.pathname !== this.address) return;
    const address = new URL(location.href);
    const told = address.searchParams;
    const { plane } = this.place;
    if (!told.has("slice")) return;
    if (told.has("plane")) told.set("plane", plane);
    told.set("slice", this.sliceOf(told.has("plane") ? plane : "axial") + 1);
    history.replaceState(history.state, "", address);
  },
});
