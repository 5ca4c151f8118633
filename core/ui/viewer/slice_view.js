// One slice on a canvas. Python sends the values and the masks; window, overlays, the value under
// the pointer and the marks at the edges are drawn here.

const AGREEMENT = { hit: "marked by both", missed: "only in the truth", wrong: "only predicted" };
const NAMES = { lung: "Lung", infection: "Infection" };
const MAX_HEIGHT = 640;
const ROOM_FOR_MARKS = 112; // pixels that letters and scale bar need beside a thin picture

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const root = parentElement.querySelector(".view");
  if (!root || !data) return;
  const view = root.lunglens ?? (root.lunglens = build(root));
  view.goTo = (slice) => setTriggerValue("slice", slice);
  Object.assign(view, unpack(data));
  view.pending = view.header.slice;
  prepare(view);
  draw(view);
  if (!view.observer) {
    view.observer = new ResizeObserver(() => draw(view));
    view.observer.observe(root);
  }
  return () => {
    view.observer?.disconnect();
    view.observer = null;
  };
}

function unpack(data) {
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerLength = view.getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(bytes.subarray(4, 4 + headerLength)));
  const count = header.rows * header.columns;
  const start = 4 + headerLength;
  const values = new Int16Array(bytes.slice(start, start + 2 * count).buffer);
  const labels = bytes.slice(start + 2 * count, start + 3 * count);
  return { header, values, labels };
}

function build(root) {
  root.innerHTML =
    '<div class="stage"><canvas tabindex="0" role="img"></canvas></div>' +
    '<div class="bar"><div class="value"></div><div class="legend"></div></div>';
  const view = {
    root,
    stage: root.querySelector(".stage"),
    canvas: root.querySelector("canvas"),
    value: root.querySelector(".value"),
    legend: root.querySelector(".legend"),
    picture: document.createElement("canvas"),
    fill: document.createElement("canvas"),
  };
  const { canvas } = view;
  canvas.addEventListener("pointermove", (event) => readValue(view, event));
  canvas.addEventListener("pointerdown", (event) => readValue(view, event));
  canvas.addEventListener("pointerleave", () => sayHint(view));
  canvas.addEventListener("keydown", (event) => {
    const step = {
      ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10,
    }[event.key];
    if (step === undefined || !view.header.steppable) return;
    event.preventDefault();
    askFor(view, view.pending + step);
  });
  return view;
}

// Quick key presses add up; Python hears of them once they pause.
function askFor(view, slice) {
  view.pending = Math.min(Math.max(slice, 1), view.header.count);
  clearTimeout(view.timer);
  view.timer = setTimeout(() => {
    if (view.pending !== view.header.slice) view.goTo(view.pending);
  }, 60);
}

function rgb(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

// The picture and the filled areas, one canvas pixel per voxel.
function prepare(view) {
  const { header, values, labels } = view;
  const { rows, columns } = header;
  for (const layer of [view.picture, view.fill]) {
    layer.width = columns;
    layer.height = rows;
  }
  const context = view.picture.getContext("2d");
  const image = context.createImageData(columns, rows);
  const low = header.center - header.width / 2;
  const scale = 255 / header.width;
  for (let at = 0; at < values.length; at++) {
    const grey = (values[at] - low) * scale;
    image.data[4 * at] = image.data[4 * at + 1] = image.data[4 * at + 2] = grey;
    image.data[4 * at + 3] = 255;
  }
  context.putImageData(image, 0, 0);
  view.regions = header.style === "agreement" ? agreementRegions(view) : maskRegions(view);
  const painted = view.fill.getContext("2d").createImageData(columns, rows);
  for (const region of view.regions) {
    region.inside = spread(region, labels);
    region.box = boxOf(region.inside, rows, columns);
    if (!region.filled) continue;
    const [red, green, blue] = rgb(region.colour);
    for (let at = 0; at < labels.length; at++) {
      if (!region.inside[at] || !inPattern(region.pattern, at, columns)) continue;
      painted.data[4 * at] = red;
      painted.data[4 * at + 1] = green;
      painted.data[4 * at + 2] = blue;
      painted.data[4 * at + 3] = 255;
    }
  }
  view.fill.getContext("2d").putImageData(painted, 0, 0);
  drawLegend(view);
  sayHint(view);
}

// 1 where a region lies, by way of a table: a label byte has few values.
function spread(region, labels) {
  const table = Uint8Array.from({ length: 256 }, (_, label) => (region.has(label) ? 1 : 0));
  return labels.map((label) => table[label]);
}

function boxOf(inside, rows, columns) {
  const box = { top: rows, bottom: -1, left: columns, right: -1 };
  for (let at = inside.indexOf(1); at !== -1; at = inside.indexOf(1, at + 1)) {
    const column = at % columns;
    const row = (at - column) / columns;
    if (row < box.top) box.top = row;
    if (row > box.bottom) box.bottom = row;
    if (column < box.left) box.left = column;
    if (column > box.right) box.right = column;
  }
  return box;
}

// Stripes tell areas apart without colour.
function inPattern(pattern, at, columns) {
  if (pattern === "solid") return true;
  const column = at % columns;
  const row = (at - column) / columns;
  if (pattern === "stripes") return (column + row) % 6 < 3;
  return (column - row + 6 * columns) % 6 < 3;
}

function maskRegions({ header }) {
  const both = new Set(header.layers.map((layer) => layer.source)).size === 2;
  return header.layers.map(({ bit, source, channel, colour }) => ({
    name: both || source === "truth" ? `${NAMES[channel]}, ${source}` : NAMES[channel],
    channel,
    source,
    colour,
    has: (label) => (label & bit) !== 0,
    // Side by side, truth is a dashed line and prediction an area, so that both can be seen.
    filled: header.style === "fill" && !(both && source === "truth"),
    dashed: source === "truth",
    pattern: "solid",
  }));
}

function agreementRegions({ header }) {
  const infection = header.layers.some((layer) => layer.channel === "infection");
  const channel = infection ? "infection" : "lung";
  const bit = (source) =>
    header.layers.find((l) => l.source === source && l.channel === channel)?.bit ?? 0;
  const truth = bit("truth");
  const predicted = bit("prediction");
  const tests = {
    hit: (label) => (label & truth) !== 0 && (label & predicted) !== 0,
    missed: (label) => (label & truth) !== 0 && (label & predicted) === 0,
    wrong: (label) => (label & truth) === 0 && (label & predicted) !== 0,
  };
  const patterns = { hit: "solid", missed: "stripes", wrong: "backstripes" };
  return Object.keys(tests).map((kind) => ({
    name: `${NAMES[channel]} ${AGREEMENT[kind]}`,
    colour: header.agreement[kind],
    has: tests[kind],
    filled: true,
    dashed: kind === "missed",
    pattern: patterns[kind],
  }));
}

function draw(view) {
  const { header, canvas } = view;
  const room = view.stage.clientWidth;
  if (!room || !header) return;
  const aspect = (header.columns * header.pixelWidth) / (header.rows * header.pixelHeight);
  const tallest = Math.min(MAX_HEIGHT, Math.max(240, window.innerHeight * header.tallest));
  const width = Math.max(1, Math.round(Math.min(room, tallest * aspect)));
  const height = Math.max(1, Math.round(width / aspect));
  const whole = {
    width: Math.min(room, Math.max(width, width < 160 ? width + 2 * ROOM_FOR_MARKS : 0)),
    height: Math.max(height, height < 160 ? height + ROOM_FOR_MARKS : 0),
  };
  view.box = {
    left: (whole.width - width) / 2, top: (whole.height - height) / 2, width, height,
  };
  const density = window.devicePixelRatio || 1;
  canvas.style.width = `${whole.width}px`;
  canvas.style.height = `${whole.height}px`;
  canvas.width = Math.round(whole.width * density);
  canvas.height = Math.round(whole.height * density);
  const context = canvas.getContext("2d");
  context.scale(density, density);
  context.save();
  context.translate(view.box.left, view.box.top);
  context.imageSmoothingQuality = "high";
  context.drawImage(view.picture, 0, 0, width, height);
  context.imageSmoothingEnabled = false;
  context.globalAlpha = header.opacity;
  context.drawImage(view.fill, 0, 0, width, height);
  context.globalAlpha = 1;
  for (const region of view.regions) drawOutline(context, view, region, width, height);
  context.restore();
  drawMarks(context, header, whole.width, whole.height, width);
  canvas.setAttribute("aria-label", describe(view));
  canvas.dataset.slice = header.slice;
}

// Along the edges between voxels inside and outside; dashes are counted on the voxel grid.
function drawOutline(context, view, region, width, height) {
  const { rows, columns } = view.header;
  const { inside, box } = region;
  const stepX = width / columns;
  const stepY = height / rows;
  const dash = Math.max(2, Math.round(5 / Math.min(stepX, stepY)));
  const shown = (at) => !region.dashed || Math.floor(at / dash) % 2 === 0;
  context.beginPath();
  for (let row = box.top; row <= box.bottom + 1; row++) {
    for (let column = box.left; column <= box.right + 1; column++) {
      const at = row * columns + column;
      const here = row < rows && column < columns ? inside[at] : 0;
      const above = row > 0 && column < columns ? inside[at - columns] : 0;
      const before = column > 0 && row < rows ? inside[at - 1] : 0;
      if (here !== above && shown(column + row)) {
        context.moveTo(column * stepX, row * stepY);
        context.lineTo((column + 1) * stepX, row * stepY);
      }
      if (here !== before && shown(column + row)) {
        context.moveTo(column * stepX, row * stepY);
        context.lineTo(column * stepX, (row + 1) * stepY);
      }
    }
  }
  context.lineCap = "round";
  context.strokeStyle = region.colour;
  context.lineWidth = region.filled ? 1 : 1.6;
  context.stroke();
}

function drawMarks(context, header, width, height, pictureWidth) {
  const [left, right, top, bottom] = header.letters;
  context.font = "600 14px sans-serif";
  context.textBaseline = "middle";
  context.textAlign = "center";
  write(context, left, 14, height / 2);
  write(context, right, width - 14, height / 2);
  write(context, top, width / 2, 14);
  write(context, bottom, width / 2, height - 14);
  context.font = "12px sans-serif";
  context.textAlign = "left";
  write(context, `${header.slice} / ${header.count}`, 10, 16);
  if (header.stamp) {
    context.textAlign = "right";
    context.font = "600 12px sans-serif";
    write(context, header.stamp, width - 10, 16);
  }
  if (header.scaleBar) drawScaleBar(context, header, width, height, pictureWidth);
}

function drawScaleBar(context, header, width, height, pictureWidth) {
  const pixelsPerMm = pictureWidth / (header.columns * header.pixelWidth);
  const length = [100, 50, 20, 10, 5].find((mm) => mm * pixelsPerMm < 0.3 * width) ?? 5;
  const end = 12 + length * pixelsPerMm;
  context.strokeStyle = "#fff";
  context.lineWidth = 2;
  context.beginPath();
  context.moveTo(12, height - 17);
  context.lineTo(12, height - 12);
  context.lineTo(end, height - 12);
  context.lineTo(end, height - 17);
  context.stroke();
  context.font = "11px sans-serif";
  context.textAlign = "left";
  write(context, `${length / 10} cm`, 16, height - 23);
}

function write(context, text, x, y) {
  context.lineWidth = 3;
  context.strokeStyle = "rgba(0, 0, 0, 0.75)";
  context.strokeText(text, x, y);
  context.fillStyle = "#f2f5f8";
  context.fillText(text, x, y);
}

function describe(view) {
  const { header } = view;
  const marked = view.regions.map((region) => region.name.toLowerCase());
  const over = marked.length ? ` Marked: ${marked.join("; ")}.` : " Nothing is marked.";
  const stamp = header.stamp ? ` ${header.stamp}.` : "";
  return `${header.title} ${header.plane} slice ${header.slice} of ${header.count}.${stamp}${over}`;
}

function sayHint(view) {
  view.value.textContent = "Point at the picture to read its value";
}

function readValue(view, event) {
  const { header, values, labels, canvas } = view;
  const place = canvas.getBoundingClientRect();
  const { left, top, width, height } = view.box;
  const column = Math.floor(((event.clientX - place.left - left) / width) * header.columns);
  const row = Math.floor(((event.clientY - place.top - top) / height) * header.rows);
  if (row < 0 || column < 0 || row >= header.rows || column >= header.columns) {
    sayHint(view);
    return;
  }
  const at = row * header.columns + column;
  const about = header.unitKnown ? "" : "about ";
  const assumed = header.unitKnown ? "" : " (assumed)";
  const number = document.createElement("b");
  number.textContent = `${about}${String(values[at]).replace("-", "\u2212")} HU`;
  const inside = view.regions.filter((region) => region.has(labels[at])).map((r) => r.name);
  const rest = [`${assumed} at column ${column + 1}, row ${row + 1}`, ...inside].join(" · ");
  view.value.replaceChildren(number, document.createTextNode(rest));
}

function drawLegend(view) {
  view.legend.replaceChildren(
    ...view.regions.map((region) => {
      const item = document.createElement("span");
      item.className = "item";
      const swatch = document.createElement("span");
      swatch.className = "swatch";
      const line = region.dashed ? "dashed" : "solid";
      swatch.style.border = `2px ${line} ${region.colour}`;
      if (region.filled) {
        const angle = region.pattern === "stripes" ? "45deg" : "-45deg";
        swatch.style.background =
          region.pattern === "solid"
            ? `${region.colour}88`
            : `repeating-linear-gradient(${angle}, ${region.colour} 0 3px, transparent 3px 6px)`;
      }
      item.append(swatch, document.createTextNode(region.name));
      return item;
    }),
  );
}
