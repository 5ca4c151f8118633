// One slice, its settings and what they do to it. Everything follows the hand here; Python hears
// the settings on release, asks the network, and sends its answer.

class Tuner {
  constructor(root) {
    this.root = root;
    this.view = new View(root.querySelector(".lunglens"));
    this.shown = { lung: false, logarithmic: false, cumulative: true };
    this.seq = 0;
  }

  build(header) {
    this.panel = new Panel(this, header);
    this.histograms = new Histograms();
    this.table = new ContrastTable();
    this.answer = element("p", { class: "answer", "aria-live": "polite" });
    this.slice = element("input", { type: "range", min: 1, step: 1, label: "Axial slice" });
    this.sliceText = element("span", { class: "label" });
    this.sliceRow = element("label", { class: "setting slice" }, this.sliceText, this.slice);
    this.slice.addEventListener("input", () => this.sayslice(Number(this.slice.value)));
    this.slice.addEventListener("change", () => this.report());
    this.root.querySelector(".left").append(this.sliceRow, this.answer);
    this.root.querySelector(".right").append(
      this.panel.box, this.histograms.canvas, this.table.table);
    this.observer = new ResizeObserver(() => this.draw());
  }

  sayslice(number) {
    this.sliceText.textContent = `Axial slice ${number} of ${this.header.slices}`;
  }

  // What Python sends on an older question is not what the person sees by now.
  show(header, { values, mask }) {
    const fresh = header.token !== this.token;
    const late = !fresh && header.seq < this.seq;
    const [rows, columns] = [header.rows, header.columns];
    const moved = fresh || late === false;
    this.header = header;
    this.token = header.token;
    Object.assign(this, { values, rows, columns });
    this.mask = mask.some((one) => one) ? mask : null;
    if (!this.panel) this.build(header);
    this.observer.observe(this.root);
    if (moved) {
      this.settings = { ...header.settings };
      this.slice.value = header.slice;
      this.seq = fresh ? header.seq : Math.max(this.seq, header.seq);
    }
    this.asking = late;
    this.before = new Uint8Array(rows * columns);
    this.after = new Uint8Array(rows * columns);
    this.compute();
    this.view.show(this.pictureHeader(), [this.before, this.after]);
    this.slice.max = header.slices;
    this.sliceRow.hidden = header.slices < 2;
    this.sayslice(Number(this.slice.value));
    this.sayAnswer();
    this.draw();
  }

  pictureHeader() {
    const { key, rows, columns, pixel, letters, name, stamp, answer, tallest } = this.header;
    return {
      key,
      pictures: {
        rows, columns, pixelHeight: pixel[0], pixelWidth: pixel[1], letters, name, stamp,
      },
      comparison: { left: "Before", right: "After", masks: [[], []] },
      boxes: [], lines: this.asking ? [] : answer.lines, tools: "few", tallest,
    };
  }

  compute() {
    const { values, rows, columns, settings, header } = this;
    windowed(values, header, settings, this.before);
    enhanced(this.before, rows, columns, settings, this.after);
  }

  // While something is dragged. Drawn at once, and at most once in each frame.
  set(change) {
    Object.assign(this.settings, change);
    if (this.frame) {
      this.due = true;
      return;
    }
    this.follow();
    this.frame = requestAnimationFrame(() => this.nextFrame());
  }

  nextFrame() {
    this.frame = 0;
    if (!this.due) return;
    this.due = false;
    this.set({});
  }

  follow() {
    const start = performance.now();
    this.compute();
    for (const source of this.view.sources) source.refresh();
    this.view.draw();
    this.draw();
    performance.measure("lunglens:tune", { start });
  }

  // Chosen by a click: there is nothing to wait for.
  choose(settings) {
    this.set(settings);
    this.report();
  }

  look(change) {
    Object.assign(this.shown, change);
    this.draw();
  }

  draw() {
    if (!this.panel || !this.root.isConnected) return;
    this.panel.show();
    const mask = this.shown.lung ? this.mask : null;
    const counts = [this.before, this.after].map((grey) => histogram(grey, mask));
    this.histograms.draw(counts, this.shown);
    this.table.show(counts);
  }

  report() {
    this.seq += 1;
    this.asking = true;
    this.sayAnswer();
    this.tellPython({
      token: this.token, seq: this.seq, slice: Number(this.slice.value), values: this.settings,
    });
  }

  sayAnswer() {
    const { text, asks } = this.header.answer;
    this.answer.textContent = this.asking && asks ? "Asking the network…" : text;
  }

  leave() {
    this.observer.disconnect();
    this.view.leave();
  }
}

export default function (component) {
  const { data, parentElement, setStateValue } = component;
  const root = parentElement.querySelector(".tuner");
  if (!root || !data) return;
  const tuner = root.tuner ?? (root.tuner = new Tuner(root));
  root.querySelector(".lunglens").lunglens = tuner.view;
  tuner.tellPython = (settings) => setStateValue("settings", settings);
  tuner.view.tellPython = () => {};
  const { header, values, mask } = unpackSlice(data);
  tuner.show(header, { values, mask });
  return () => tuner.leave();
}

// Length of the header, the header, the values of the slice, and where its lung is.
function unpackSlice(data) {
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
  const length = new DataView(bytes.buffer, bytes.byteOffset, 4).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + length)));
  const kind = { uint8: Uint8Array, int16: Int16Array, float32: Float32Array }[header.kind];
  const count = header.rows * header.columns;
  const start = 4 + length;
  const end = start + count * kind.BYTES_PER_ELEMENT;
  return {
    header, values: new kind(bytes.slice(start, end).buffer), mask: bytes.slice(end, end + count),
  };
}
