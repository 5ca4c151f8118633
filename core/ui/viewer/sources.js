// What a picture is painted from: a slice of a scan, or a still picture sent with the page.

class ScanSource {
  constructor(scan, masks) {
    this.scan = scan;
    this.masks = masks;
    this.kept = new Map(); // by plane
  }

  get header() {
    return this.scan.header;
  }

  grid(plane) {
    return gridOf(this.scan, plane);
  }

  // Slices of another scan are found at the same share of its height.
  indexOf(plane, index, leading) {
    const [mine, theirs] = [this.grid(plane).count, leading.grid(plane).count];
    if (leading === this || mine === theirs) return index;
    return theirs === 1 ? 0 : Math.round((index / (theirs - 1)) * (mine - 1));
  }

  has(plane, index) {
    return plane !== "axial" || this.scan.hasSlice(index);
  }

  // A canvas with one pixel a voxel, and what is marked in it.
  image(plane, index, look) {
    const kept = this.keptFor(plane);
    const state = [look.windowChange, look.marksChange, this.scan.stateOf(plane, index)].join();
    if (kept.state === state) return kept;
    kept.state = state;
    const { columns, rows } = this.grid(plane);
    this.prepare(look);
    kept.regions = this.regions;
    kept.paths = null;
    paintSlice(this.scan, plane, index, {
      grey: this.grey, colours: this.colours, striped: this.striped,
      pixels: kept.pixels, labels: kept.labels,
    });
    kept.canvas.getContext("2d").putImageData(kept.data, 0, 0);
    kept.contours = () => {
      kept.paths ??= kept.regions.map((region) =>
        contourPath(kept.labels, region, columns, rows));
      return kept.paths;
    };
    return kept;
  }

  prepare(look) {
    const moved = this.preparedFor !== this.header;
    this.preparedFor = this.header;
    if (moved || this.windowChange !== look.windowChange) {
      this.windowChange = look.windowChange;
      this.grey = greyTable(this.header, look);
    }
    if (moved || this.marksChange !== look.marksChange) {
      this.marksChange = look.marksChange;
      this.regions = regionsOf(this.header, look, this.masks);
      const known = this.header.labels?.layers ?? [];
      const labels = known.some((layer) => layer.bit > 32) ? 256 : 64;
      this.colours = colourTable(this.regions, look.opacity, labels);
      this.striped = this.regions.some((region) => region.pattern !== "solid");
    }
  }

  keptFor(plane) {
    let kept = this.kept.get(plane);
    if (!kept) {
      const { columns, rows } = this.grid(plane);
      const canvas = document.createElement("canvas");
      canvas.width = columns;
      canvas.height = rows;
      const data = new ImageData(columns, rows);
      kept = {
        canvas, data, pixels: new Uint32Array(data.data.buffer),
        labels: new Uint8Array(columns * rows),
      };
      this.kept.set(plane, kept);
    }
    return kept;
  }

  valueText(plane, index, column, row) {
    const [i, j, k] = voxelAt(this.scan, plane, index, column, row);
    if (!this.scan.hasSlice(k)) return null;
    const at = i + j * this.scan.columns + k * this.scan.area;
    const { bits, slope, intercept, unitKnown } = this.header;
    const code = this.scan.values[at];
    const stored = bits === 16 && code > 32767 ? code - 65536 : code;
    const hu = Math.round(stored * slope + intercept);
    const label = this.scan.labels ? this.scan.labels[at] : 0;
    const marked = this.regions?.filter((region) => region.has(label)).map((r) => r.name) ?? [];
    return {
      number: `${unitKnown ? "" : "about "}${String(hu).replace("-", "\u2212")} HU`,
      note: unitKnown ? "" : " (assumed)",
      marked,
    };
  }
}

class StillSource {
  constructor(pictures, pixels) {
    this.header = { ...pictures, labels: null };
    this.values = pixels;
    this.regions = [];
  }

  grid() {
    const { rows, columns, pixelWidth, pixelHeight, letters } = this.header;
    return {
      rows, columns, pixelWidth, pixelHeight, count: 1,
      letters: letters ?? ["", "", "", ""], nominal: pixelWidth === 1 && pixelHeight === 1,
    };
  }

  indexOf() {
    return 0;
  }

  has() {
    return true;
  }

  image() {
    if (this.kept) return this.kept;
    const { rows, columns } = this.header;
    const canvas = document.createElement("canvas");
    canvas.width = columns;
    canvas.height = rows;
    const data = new ImageData(columns, rows);
    const pixels = new Uint32Array(data.data.buffer);
    this.kept = { canvas, data, pixels, regions: [], contours: () => [] };
    this.refresh();
    return this.kept;
  }

  // Its values were changed.
  refresh() {
    if (!this.kept) return;
    const { canvas, data, pixels } = this.kept;
    for (let at = 0; at < pixels.length; at++) {
      pixels[at] = (255 << 24) | (this.values[at] * 0x010101);
    }
    canvas.getContext("2d").putImageData(data, 0, 0);
  }

  valueText(plane, index, column, row) {
    const grey = this.values[row * this.header.columns + column];
    return { number: `${grey}`, note: " of 255", marked: [] };
  }
}
