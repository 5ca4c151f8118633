// One canvas with one plane: where its picture lies, and drawing it.

const MARGIN = 4;
const MAX_ZOOM = 24;
const COARSE = 5; // device pixels a voxel beyond which voxels are drawn as the squares they are

class Pane {
  constructor(view, plane) {
    this.view = view;
    this.plane = plane;
    this.side = null; // which of two pictures, where each has a pane of its own
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-roledescription", "slice of a scan");
    this.context = this.canvas.getContext("2d");
    this.width = this.height = 0;
  }

  get leading() {
    return this.view.sources[0];
  }

  get index() {
    return this.view.sliceOf(this.plane);
  }

  // "S 12.5 mm", unless the file does not give the voxel size.
  get where() {
    const { scan } = this.leading;
    return !scan || scan.header.nominal ? ""
      : positionText(scan, this.plane, this.view.place.voxel);
  }

  get zoom() {
    return this.view.zoomOf(this.plane);
  }

  // Quarter turns clockwise that the picture is shown with.
  get turns() {
    return this.plane === "axial" ? this.view.header.turns ?? 0 : 0;
  }

  // Width and height of the picture as it is shown, in mm.
  get extent() {
    const grid = this.leading.grid(this.plane);
    const sides = [grid.columns * grid.pixelWidth, grid.rows * grid.pixelHeight];
    return this.turns % 2 ? sides.reverse() : sides;
  }

  get middle() {
    const { scale, zoom } = this;
    return [this.width / 2 - zoom.x * scale, this.height / 2 - zoom.y * scale];
  }

  resize(width, height) {
    const density = window.devicePixelRatio || 1;
    const [wide, high] = [Math.round(width * density), Math.round(height * density)];
    if (this.canvas.width !== wide || this.canvas.height !== high) {
      this.canvas.width = wide;
      this.canvas.height = high;
      this.canvas.style.width = `${width}px`;
      this.canvas.style.height = `${height}px`;
    }
    Object.assign(this, { width, height, density });
  }

  // Pixels on the screen for a millimetre in the patient.
  get scale() {
    const [wide, high] = this.extent;
    const fit = Math.min((this.width - 2 * MARGIN) / wide, (this.height - 2 * MARGIN) / high);
    return Math.max(fit, 1e-6) * this.zoom.factor;
  }

  // Where a source's picture lies before it is turned about its middle; pictures of two sizes share
  // their middle and their scale.
  frame(source) {
    const { columns, rows, pixelWidth, pixelHeight } = source.grid(this.plane);
    const { scale } = this;
    const [x, y] = this.middle;
    const width = columns * pixelWidth * scale;
    const height = rows * pixelHeight * scale;
    return {
      left: x - width / 2,
      top: y - height / 2,
      width, height, perColumn: width / columns, perRow: height / rows,
    };
  }

  // From a place on the canvas to column and row (with fractions), and back.
  toPicture(x, y, source = this.leading) {
    const frame = this.frame(source);
    const [across, down] = turnAbout([x, y], this.middle, -this.turns);
    return [(across - frame.left) / frame.perColumn, (down - frame.top) / frame.perRow];
  }

  toCanvas(column, row) {
    const frame = this.frame(this.leading);
    const place = [frame.left + column * frame.perColumn, frame.top + row * frame.perRow];
    return turnAbout(place, this.middle, this.turns);
  }

  // Enlarges so that what lies at (x, y) stays there.
  zoomBy(factor, x = this.width / 2, y = this.height / 2) {
    const { zoom } = this;
    const before = this.scale;
    const wanted = Math.min(Math.max(zoom.factor * factor, 1), MAX_ZOOM);
    const after = (before / zoom.factor) * wanted;
    zoom.x += (x - this.width / 2) * (1 / before - 1 / after);
    zoom.y += (y - this.height / 2) * (1 / before - 1 / after);
    zoom.factor = wanted;
    this.keepInSight();
  }

  pan(dx, dy) {
    this.zoom.x -= dx / this.scale;
    this.zoom.y -= dy / this.scale;
    this.keepInSight();
  }

  keepInSight() {
    const [wide, high] = this.extent;
    const { zoom, scale } = this;
    const bound = (value, length, room) => {
      const most = Math.max(0, (length - room / scale) / 2 + 12 / scale);
      return zoom.factor === 1 ? 0 : Math.min(Math.max(value, -most), most);
    };
    zoom.x = bound(zoom.x, wide, this.width);
    zoom.y = bound(zoom.y, high, this.height);
  }

  // One picture, or two behind a divider.
  get sources() {
    const { sources } = this.view;
    return this.side === null ? sources : [sources[this.side]];
  }

  get dividerX() {
    return this.sources.length > 1 ? this.view.divider * this.width : this.width;
  }

  sourceAt(x) {
    const { sources } = this;
    return sources.length > 1 && x > this.dividerX ? sources[1] : sources[0];
  }

  // Whether another scan than the one the page is about is seen there.
  foreignAt(x) {
    return this.sourceAt(x).scan !== this.leading.scan;
  }

  draw() {
    const { context, width, height, density, view } = this;
    if (!width || !height) return;
    context.setTransform(density, 0, 0, density, 0, 0);
    context.fillStyle = "#000";
    context.fillRect(0, 0, width, height);
    this.waiting = false;
    const split = this.dividerX;
    this.sources.forEach((source, side) => {
      context.save();
      if (this.sources.length > 1) {
        context.beginPath();
        context.rect(side ? split : 0, 0, side ? width - split : split, height);
        context.clip();
      }
      this.drawSource(source);
      context.restore();
    });
    drawMarks(this);
    this.canvas.setAttribute("aria-label", view.describe(this));
    this.canvas.dataset.slice = this.index + 1;
    this.canvas.dataset.plane = this.plane;
    // A finger scrolls the page up and down, unless it has something to move in the picture.
    const moves = this.zoom.factor > 1.01 || view.layout === "linked" || view.measuring ||
      view.correcting || view.chosen;
    this.canvas.style.touchAction = moves ? "none" : "pan-y";
  }

  drawSource(source) {
    const { context, plane, density, view } = this;
    const index = source.indexOf(plane, this.index, this.leading);
    if (!source.has(plane, index)) {
      this.waiting = true;
      return;
    }
    const image = source.image(plane, index, view.look);
    const frame = this.frame(source);
    const [x, y] = this.middle;
    context.translate(x, y);
    context.rotate((this.turns * Math.PI) / 2);
    context.translate(-x, -y);
    context.imageSmoothingEnabled = Math.min(frame.perColumn, frame.perRow) * density < COARSE;
    context.imageSmoothingQuality = frame.perColumn * density < 1 ? "medium" : "low";
    context.drawImage(image.canvas, frame.left, frame.top, frame.width, frame.height);
    drawHeat(this, index, frame);
    drawLobes(this, source, index, frame, image);
    const paths = image.contours();
    if (!paths.length) return;
    const matrix = new DOMMatrix(
      [frame.perColumn, 0, 0, frame.perRow, frame.left, frame.top]);
    context.lineJoin = "round";
    image.regions.forEach((region, at) => {
      const path = new Path2D();
      path.addPath(paths[at], matrix);
      context.strokeStyle = region.colour;
      context.lineWidth = region.filled ? 1 : 1.5;
      context.setLineDash(region.dash);
      context.stroke(path);
    });
    context.setLineDash([]);
  }
}
