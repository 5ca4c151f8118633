// Lobes, estimated from the lungs' shape: fissures as thin lines, or lobes as colours. Both are
// drawn from a coarse label map, so that all planes and zooms get them alike.

const LOBE_STYLES = { off: "No lobes", lines: "Fissures", colours: "Lobes" };
const LOBE_OPACITY = 0.4;
const FISSURE = "#ffffff";

class LobeLayer {
  constructor(token, header, ready) {
    this.version = header.version;
    this.header = header;
    this.kept = new Map();
    this.fetch(token, ready).catch(() => {});
  }

  async fetch(token, ready) {
    const answer = await fetch(appAddress(`${token}/lobes/${this.version}`));
    if (!answer.ok) return;
    this.cells = new Uint8Array(await answer.arrayBuffer());
    ready();
  }

  // Label of a cell, 0 outside.
  at(i, j, k) {
    const [across, down, up] = this.header.shape;
    if (i < 0 || j < 0 || k < 0 || i >= across || j >= down || k >= up) return 0;
    return this.cells[i + across * (j + down * k)];
  }

  // The cells of one slice, as rows of a picture, and where they lie on it.
  slice(scan, plane, index) {
    const { normal, across, down, flipped } = PLANES[plane];
    const { first, step, shape } = this.header;
    const cell = [0, 0, 0];
    cell[normal] = Math.round((index - first[normal]) / step[normal]);
    const [columns, rows] = [shape[across], shape[down]];
    const labels = new Uint8Array(columns * rows);
    for (let row = 0, to = 0; row < rows; row++) {
      cell[down] = flipped ? rows - 1 - row : row;
      for (let column = 0; column < columns; column++, to++) {
        cell[across] = column;
        labels[to] = this.at(...cell);
      }
    }
    const last = first[down] + (rows - 1) * step[down];
    const top = flipped ? scan.header.shape[down] - 1 - last : first[down];
    return {
      labels, columns, rows, perColumn: step[across], perRow: step[down],
      // Centre of the first cell, in columns and rows of the picture.
      left: first[across] + 0.5, top: top + 0.5,
    };
  }

  image(scan, plane, index) {
    const name = `${plane} ${index}`;
    if (!this.kept.has(name)) {
      if (this.kept.size > 60) this.kept.clear();
      const slice = this.slice(scan, plane, index);
      this.kept.set(name, {
        slice, path: fissurePath(slice, this.header.firstLeft), canvas: this.paint(slice),
      });
    }
    return this.kept.get(name);
  }

  paint({ labels, columns, rows }) {
    const canvas = document.createElement("canvas");
    canvas.width = columns;
    canvas.height = rows;
    const data = new ImageData(columns, rows);
    labels.forEach((label, at) => {
      if (label) data.data.set([...rgb(this.header.colours[label - 1]), 255], 4 * at);
    });
    canvas.getContext("2d").putImageData(data, 0, 0);
    return canvas;
  }
}

// Lines between the centres of four cells, through the sides on which two lobes of a lung meet.
function fissurePath({ labels, columns, rows, left, top, perColumn, perRow }, firstLeft) {
  const path = new Path2D();
  const meet = (one, other) => one !== other && one > 0 && other > 0 &&
    one >= firstLeft === other >= firstLeft;
  for (let row = 0; row + 1 < rows; row++) {
    for (let column = 0; column + 1 < columns; column++) {
      const at = column + row * columns;
      const [a, b, c, d] = [labels[at], labels[at + 1], labels[at + columns],
        labels[at + columns + 1]];
      if (a === b && a === c && a === d) continue;
      const ends = [];
      if (meet(a, b)) ends.push([0.5, 0]);
      if (meet(c, d)) ends.push([0.5, 1]);
      if (meet(a, c)) ends.push([0, 0.5]);
      if (meet(b, d)) ends.push([1, 0.5]);
      const place = ([x, y]) => [left + (column + x) * perColumn, top + (row + y) * perRow];
      if (ends.length === 2) {
        path.moveTo(...place(ends[0]));
        path.lineTo(...place(ends[1]));
      } else {
        for (const end of ends) {
          path.moveTo(...place(end));
          path.lineTo(...place([0.5, 0.5]));
        }
      }
    }
  }
  return path;
}

// Lays the lobes of a slice over its picture, but not over areas of infection, which keep the colour
// of their legend; `frame` is where the picture lies on the canvas.
function drawLobes(pane, source, index, frame, image) {
  const { view, context } = pane;
  const header = source.header.lobes;
  const style = view.look.lobes ?? "off";
  if (!header?.version || style === "off" || !source.scan) return;
  const { scan } = source;
  if (scan.lobes?.version !== header.version) {
    scan.lobes = new LobeLayer(scan.header.token, header, () => view.changed());
  }
  if (!scan.lobes.cells) return;
  const { slice, path, canvas } = scan.lobes.image(scan, pane.plane, index);
  context.save();
  context.translate(frame.left, frame.top);
  context.scale(frame.perColumn, frame.perRow);
  if (style === "colours") {
    leaveOut(context, image);
    context.globalAlpha = LOBE_OPACITY;
    context.imageSmoothingEnabled = false;
    context.drawImage(canvas, slice.left - slice.perColumn / 2, slice.top - slice.perRow / 2,
      slice.columns * slice.perColumn, slice.rows * slice.perRow);
    context.globalAlpha = 1;
  }
  context.restore();
  const drawn = new Path2D();
  drawn.addPath(path, new DOMMatrix(
    [frame.perColumn, 0, 0, frame.perRow, frame.left, frame.top]));
  context.strokeStyle = FISSURE;
  context.lineWidth = 1;
  context.stroke(drawn);
}

// Nothing is drawn over areas of infection from here on.
function leaveOut(context, image) {
  const outlines = image.contours();
  image.regions.forEach((region, at) => {
    if (!region.filled || region.channel !== "infection") return;
    const outside = new Path2D();
    outside.rect(-1, -1, image.canvas.width + 2, image.canvas.height + 2);
    outside.addPath(outlines[at]);
    context.clip(outside, "evenodd");
  });
}

// The choice in the toolbar, and its legend. Where there are no lobes the key alone asks for them,
// and the legend says why; a group that was there stays while lobes are estimated again.
class LobeControls {
  constructor(view) {
    this.view = view;
    this.buttons = Object.fromEntries(Object.keys(LOBE_STYLES).map((name) => [
      name, choiceButton(LOBE_STYLES[name], `${LOBE_STYLES[name]} (G)`,
        () => this.choose(name)),
    ]));
    this.group = group("Lobes", ...Object.values(this.buttons));
    this.group.classList.add("lobes");
    this.legend = element("div", { class: "legend lobe-legend", role: "note", "aria-label": "Lobes" });
  }

  choose(style) {
    this.view.setLook({ lobes: style });
  }

  next() {
    const styles = Object.keys(LOBE_STYLES);
    const now = this.view.look.lobes ?? "off";
    this.choose(styles[(styles.indexOf(now) + 1) % styles.length]);
  }

  update() {
    const { view } = this;
    const header = view.sources[0].header.lobes;
    const style = view.look.lobes ?? "off";
    const few = view.header.tools === "few", { token } = view.sources[0].header;
    if (header?.version) this.offered = token;
    this.group.hidden = few || !header || this.offered !== token;
    this.legend.hidden = few || !header || style === "off";
    for (const [name, button] of Object.entries(this.buttons)) {
      button.setAttribute("aria-pressed", String(name === style));
    }
    const shown = `${header?.version} ${header?.reason} ${style}`;
    if (shown === this.shown || !header) return;
    this.shown = shown;
    const items = style !== "colours" || header.reason ? [] : header.names.map((name, at) => element(
      "span", { class: "item named" },
      swatch({ colour: header.colours[at], filled: true, pattern: "solid" }), name));
    this.legend.replaceChildren(...items, element("span", { class: "lobe-note", text: header.reason ?? header.note }));
  }
}
