// The scan from feet to head, a row for each kind of finding and a cell for each slice, at the very
// places where the slider of the picture has it. A click, a drag or an arrow key asks for a slice.

const NAME = 15; // of a row, above its cells
const CELLS = 12;
const ROW = NAME + CELLS + 3;
const INSET = 8; // as the slider of the picture has at both ends
const EMPTY = "#17202a"; // dark in a light theme, too, as the slider under the picture

export default function (component) {
  const { data, parentElement, setTriggerValue } = component;
  const canvas = parentElement.querySelector("canvas");
  if (!canvas || !data) return;
  const strip = canvas.strip ?? (canvas.strip = build(canvas));
  strip.ask = (index) => setTriggerValue("slice", index + 1);
  strip.data = data;
  strip.here = data.current;
  strip.observer.observe(canvas.parentElement);
  const follow = ({ detail }) => {
    if (strip.pressed || detail.slices !== strip.data.slices) return;
    strip.here = detail.slice;
    draw(strip);
  };
  document.addEventListener("lunglens:slice", follow);
  draw(strip);
  return () => {
    document.removeEventListener("lunglens:slice", follow);
    strip.observer.disconnect();
  };
}

function build(canvas) {
  const strip = { canvas, over: null };
  strip.observer = new ResizeObserver(() => draw(strip));
  canvas.addEventListener("pointerdown", (event) => {
    strip.pressed = true;
    canvas.setPointerCapture(event.pointerId);
    point(strip, event);
  });
  canvas.addEventListener("pointermove", (event) => {
    strip.over = sliceAt(strip, event);
    if (strip.pressed) point(strip, event);
    else canvas.title = words(strip, strip.over);
  });
  canvas.addEventListener("pointerup", () => {
    strip.pressed = false;
    strip.ask(strip.here);
  });
  canvas.addEventListener("pointercancel", () => (strip.pressed = false));
  canvas.addEventListener("keydown", (event) => {
    const last = strip.data.slices - 1;
    const to = {
      ArrowLeft: strip.here - 1, ArrowRight: strip.here + 1, Home: 0, End: last,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    strip.here = Math.min(Math.max(to, 0), last);
    draw(strip);
    clearTimeout(strip.waiting);
    strip.waiting = setTimeout(() => strip.ask(strip.here), 250);
  });
  return strip;
}

function point(strip, event) {
  strip.here = sliceAt(strip, event);
  draw(strip);
}

function sliceAt(strip, event) {
  const place = strip.canvas.getBoundingClientRect();
  const share = (event.clientX - place.left - INSET) / (place.width - 2 * INSET);
  const last = strip.data.slices - 1;
  return Math.min(Math.max(Math.round(share * last), 0), last);
}

function words(strip, index) {
  const { rows, slices } = strip.data;
  const found = rows.filter(({ cells }) => cells.includes(index)).map(({ label }) => label);
  return `Slice ${index + 1} of ${slices}: ${found.join(", ") || strip.data.nothing}`;
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

function draw(strip) {
  const { canvas, data } = strip;
  const width = canvas.parentElement.clientWidth;
  if (!width) return;
  const height = Math.max(data.rows.length, 1) * ROW + 4;
  const density = window.devicePixelRatio || 1;
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(height * density);
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context.setTransform(density, 0, 0, density, 0, 0);
  const { slices } = data;
  const step = (width - 2 * INSET) / Math.max(slices - 1, 1);
  const middle = (index) => INSET + (slices > 1 ? index : 0.5) * step;
  const edge = (index) => Math.min(Math.max(middle(index) - step / 2, 0), width);
  context.font = "11.5px sans-serif";
  context.textBaseline = "middle";
  if (!data.rows.length) drawRow(context, { label: capital(data.nothing), cells: [] }, 0, edge, slices);
  data.rows.forEach((row, at) => drawRow(context, row, at, edge, slices));
  context.strokeStyle = "#f2f5f8";
  context.lineWidth = 1.5;
  context.beginPath();
  context.moveTo(middle(strip.here), 0);
  context.lineTo(middle(strip.here), height);
  context.stroke();
  describe(strip);
}

function drawRow(context, row, at, x, slices) {
  const { canvas } = context;
  const top = at * ROW;
  context.fillStyle = getComputedStyle(canvas).color;
  context.textAlign = "left";
  context.fillText(row.label, INSET, top + NAME / 2);
  context.fillStyle = EMPTY;
  context.fillRect(x(0), top + NAME, x(slices) - x(0), CELLS);
  context.fillStyle = row.colour;
  // A cell is never thinner than a line that can be seen, however many slices there are.
  for (const index of row.cells) {
    const wide = x(index + 1) - x(index);
    context.fillRect(x(index), top + NAME, Math.max(wide - (wide > 4 ? 1 : 0), 1.5), CELLS);
  }
}

function describe(strip) {
  const { canvas, data, here } = strip;
  canvas.title = words(strip, strip.over ?? here);
  canvas.setAttribute("aria-valuemin", "1");
  canvas.setAttribute("aria-valuemax", String(data.slices));
  canvas.setAttribute("aria-valuenow", String(here + 1));
  canvas.setAttribute("aria-valuetext", words(strip, here));
}
