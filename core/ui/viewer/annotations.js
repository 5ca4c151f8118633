// Notes, arrows, distances and regions on slices: placing, drawing and telling Python of them.
// Where the page keeps them, they belong to the scan; else they last as long as the tab.

const RULER = "#ffffff"; // no colour of a mask
const PLACED = {
  distance: {
    icon: "measure", text: "Distance", key: "M", label: "Measure a distance (M)",
    hint: "Drag from one point to another",
  },
  arrow: {
    icon: "arrow", text: "Arrow", key: "V", label: "Place an arrow (V)",
    hint: "Drag from the end of the arrow to its head",
  },
  region: {
    icon: "region", text: "Region", key: "R", label: "Measure HU in a region (R)",
    hint: "Drag over a region",
  },
  note: {
    icon: "note", text: "Note", key: "T", label: "Write a note (T)",
    hint: "Click where the note belongs",
  },
};
const MOST_TEXT = 500;

shared.notebooks ??= new Map();

Object.defineProperties(View.prototype, Object.getOwnPropertyDescriptors({
  get notebook() {
    return shared.notebooks.get(this.token);
  },

  get measures() {
    return (this.notebook ?? this.scene).measures;
  },

  // Whether what is placed here is kept by the page.
  get keepsMarks() {
    return Boolean(this.header.annotations);
  },

  // What the page says: it counts once it has changed something that was not told from here.
  followAnnotations() {
    const { annotations } = this.header;
    if (!annotations) return;
    const known = this.notebook;
    if (known && annotations.command <= known.command) return;
    const measures = annotations.items.map(({ points, ...one }) => ({ ...one, ends: points }));
    shared.notebooks.set(this.token, { measures, command: annotations.command });
  },

  tellMarks() {
    if (!this.keepsMarks) return;
    const items = this.measures.map(({ kind, plane, index, ends, text }) => ({
      kind, plane, index, points: ends, text: text ?? "",
    }));
    this.tellAnnotations({ token: this.token, command: this.notebook.command, items });
  },

  toggleMeasuring(kind = "distance") {
    const { locked } = this.header.annotations ?? {};
    if (locked && this.measuring !== kind) {
      this.say(locked);
      return;
    }
    this.measuring = this.measuring === kind ? false : kind;
    this.pending = null;
    if (this.measuring) this.value.textContent = PLACED[kind].hint;
    else this.sayHint();
    this.changed();
  },

  beginMeasure(pane, end) {
    const ends = this.measuring === "note" ? [end] : [end, [...end]];
    const measure = { kind: this.measuring || "distance", plane: pane.plane, index: pane.index, ends };
    this.measures.push(measure);
    this.changed();
    return measure;
  },

  moveMeasure(measure, end) {
    measure.ends[measure.ends.length - 1] = end;
    this.changed();
  },

  endMeasure(measure, drawn) {
    this.pending = null;
    const { kind } = measure;
    if (!drawn && kind !== "note") {
      this.dropMeasure(measure);
      return;
    }
    if (kind === "note") this.writeText(measure);
    else {
      this.say([`${kind[0].toUpperCase()}${kind.slice(1)}`, markText(this, measure)].join(" ").trim());
      this.tellMarks();
    }
    this.changed();
  },

  dropMeasure(measure) {
    const at = this.measures.indexOf(measure);
    if (at >= 0) this.measures.splice(at, 1);
    this.changed();
  },

  // The chosen one, else the one placed last, on this slice where marks are kept.
  removeMeasure() {
    const { plane, index } = this.activePane();
    const { locked } = this.header.annotations ?? {};
    const here = this.keepsMarks
      ? this.measures.filter((one) => one.plane === plane && one.index === index) : this.measures;
    this.pending = null;
    if (!here.length || locked) return;
    const mark = this.chosen ?? here[here.length - 1];
    this.dropMeasure(mark);
    this.say(`${mark.kind[0].toUpperCase()}${mark.kind.slice(1)} deleted`);
    this.tellMarks();
  },

  // A field at the note; Enter or leaving it keeps the words, Escape leaves the note as it was,
  // and a note without words is none.
  writeText(measure) {
    const pane = this.panes.find((one) => one.plane === measure.plane) ?? this.panes[0];
    const [x, y] = pane.toCanvas(...measure.ends[0]);
    const field = element("input", {
      type: "text", class: "note", maxlength: String(MOST_TEXT), label: "Text of the note",
    });
    field.style.left = `${Math.min(Math.max(x, 0), Math.max(pane.width - 190, 0))}px`;
    field.style.top = `${Math.min(Math.max(y, 0), Math.max(pane.height - 34, 0))}px`;
    const before = measure.text ?? "";
    field.value = before;
    let done = false;
    const end = (keep) => {
      if (done) return;
      done = true;
      measure.text = keep ? field.value.trim() : before;
      field.remove();
      if (!measure.text) this.dropMeasure(measure);
      else if (keep) this.say(`Note: ${measure.text}`);
      if (measure.text !== before) this.tellMarks();
      this.changed();
    };
    field.addEventListener("keydown", (event) => {
      event.stopPropagation();
      if (event.key === "Enter" || event.key === "Escape") {
        end(event.key === "Enter");
        pane.canvas.focus({ preventScroll: true });
      }
    });
    field.addEventListener("blur", () => end(true));
    this.stage.append(field);
    field.focus({ preventScroll: true });
  },

  // Enter sets the first end at the crosshair, Enter again the second.
  measureAtCross(pane) {
    const { scan } = this.sources[0];
    if (!scan) return;
    const { column, row } = pixelOf(scan, pane.plane, this.place.voxel);
    if (this.pending) {
      const measure = this.pending;
      this.endMeasure(measure, true);
    } else {
      this.cross = true;
      const measure = this.beginMeasure(pane, [column + 0.5, row + 0.5]);
      if (measure.kind === "note") this.endMeasure(measure, true);
      else this.pending = measure;
    }
  },
}));

function lengthText(grid, [[fromX, fromY], [toX, toY]]) {
  const length = Math.hypot(
    (toX - fromX) * grid.pixelWidth, (toY - fromY) * grid.pixelHeight);
  return grid.nominal ? `${length.toFixed(1)} pixels` : `${length.toFixed(1)} mm`;
}

// What was measured, as it stands beside the mark.
function markText(view, mark) {
  const grid = view.sources[0].grid(mark.plane);
  if (mark.kind === "distance") return lengthText(grid, mark.ends);
  const { scan } = view.sources[0];
  if (mark.kind !== "region" || !scan) return "";
  const found = regionValues(scan, mark);
  if (!found.count) return "no voxel";
  const size = grid.nominal ? `${found.count} voxels`
    : `${((found.count * grid.pixelWidth * grid.pixelHeight) / 100).toFixed(2)} cm²`;
  if (!scan.header.unitKnown) return `${size}, HU not known`;
  if (found.missing) return size;
  const shown = (hu) => String(Math.round(hu)).replace("-", "\u2212");
  return `${shown(found.mean)} ± ${shown(found.deviation)} HU, ` +
    `${shown(found.low)} to ${shown(found.high)}, ${size}`;
}

// Values of the voxels whose centres lie inside the ellipse of a region.
function regionValues(scan, { plane, index, ends: [[ax, ay], [bx, by]] }) {
  const { columns, rows } = gridOf(scan, plane);
  const { first, column, row } = stepsOf(scan, plane, index);
  const { bits, slope, intercept } = scan.header;
  const [middleX, middleY] = [(ax + bx) / 2, (ay + by) / 2];
  const [across, down] = [Math.abs(bx - ax) / 2, Math.abs(by - ay) / 2];
  const found = { count: 0, sum: 0, squares: 0, low: Infinity, high: -Infinity, missing: false };
  if (!across || !down) return found;
  for (let r = Math.max(0, Math.floor(middleY - down)); r < Math.min(rows, middleY + down); r++) {
    for (let c = Math.max(0, Math.floor(middleX - across)); c < Math.min(columns, middleX + across); c++) {
      const [x, y] = [(c + 0.5 - middleX) / across, (r + 0.5 - middleY) / down];
      if (x * x + y * y > 1) continue;
      const number = first + c * column + r * row;
      if (!scan.hasSlice(Math.floor(number / scan.area))) found.missing = true;
      const code = scan.values[number];
      const hu = (bits === 16 && code > 32767 ? code - 65536 : code) * slope + intercept;
      found.count += 1;
      found.sum += hu;
      found.squares += hu * hu;
      found.low = Math.min(found.low, hu);
      found.high = Math.max(found.high, hu);
    }
  }
  found.mean = found.sum / found.count;
  found.deviation = Math.sqrt(Math.max(found.squares / found.count - found.mean ** 2, 0));
  return found;
}

function drawMeasures(pane) {
  const { view, context, plane } = pane;
  // They belong to the first scan; a second one beside it has none.
  if (pane.foreignAt(0)) return;
  context.save();
  if (pane.foreignAt(pane.width)) {
    context.beginPath();
    context.rect(0, 0, pane.dividerX, pane.height);
    context.clip();
  }
  for (const mark of view.measures) {
    if (mark.plane !== plane || mark.index !== pane.index) continue;
    const ends = mark.ends.map((end) => pane.toCanvas(...end));
    for (const [colour, wide] of [["rgba(0, 0, 0, 0.7)", 4], [RULER, 1.75]]) {
      context.strokeStyle = colour;
      context.lineWidth = wide;
      context.setLineDash([]);
      context.beginPath();
      traceMark(context, mark.kind, ends);
      context.stroke();
    }
    const words = [mark.text, markText(view, mark)].filter(Boolean).join(" · ");
    if (!words) continue;
    const [x, y] = ends.length > 1 && ends[1][0] > ends[0][0] ? ends[1] : ends[0];
    context.font = "600 13px sans-serif";
    const wide = context.measureText(words).width;
    // Beside the mark, on whichever side has room for the words.
    const left = x + 9 + wide < pane.width ? x + 9 : x - 9 - wide;
    context.textAlign = "left";
    write(context, words, Math.max(Math.min(left, pane.width - wide - 4), 4), Math.max(y - 12, 8),
      pane.width - 8);
  }
  context.restore();
}

function traceMark(context, kind, ends) {
  const [[x, y]] = ends;
  if (kind === "region") {
    const [, [toX, toY]] = ends;
    const [across, down] = [Math.abs(toX - x) / 2, Math.abs(toY - y) / 2];
    context.ellipse((x + toX) / 2, (y + toY) / 2, across, down, 0, 0, 7);
    return;
  }
  if (kind === "note") {
    context.arc(x, y, 4, 0, 7);
    return;
  }
  const [, [toX, toY]] = ends;
  context.moveTo(x, y);
  context.lineTo(toX, toY);
  if (kind === "arrow") {
    const angle = Math.atan2(toY - y, toX - x);
    for (const turn of [2.6, -2.6]) {
      context.moveTo(toX, toY);
      context.lineTo(toX + 12 * Math.cos(angle + turn), toY + 12 * Math.sin(angle + turn));
    }
    return;
  }
  for (const [endX, endY] of ends) {
    context.moveTo(endX + 3, endY);
    context.arc(endX, endY, 3, 0, 7);
  }
}
