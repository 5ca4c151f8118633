// Turns the Plotly scene beside it and moves the slice in it; nothing goes to the server, and the
// surfaces are sent and drawn once.
// The chart is Streamlit's own; as long as it is not there, the buttons stay hidden.

const SECONDS_PER_TURN = 24;
const SLOW_FRAME_SECONDS = 0.1;
const LONGEST_REST_SECONDS = 0.5;
const VIEWS = {
  // Directions of the eye in RAS: the patient's left is -x, the front +y, the feet -z.
  front: [0, 1, 0.1],
  left: [-1, 0.02, 0.1],
  feet: [0, 0.02, -1],
};

export default function (component) {
  const { data, parentElement } = component;
  const root = parentElement.querySelector(".turntable");
  if (!root || !data) return;
  if (!hasWebGl()) {
    sayNoWebGl(root, data.chart);
    return;
  }
  const table = root.turntable ?? (root.turntable = build(root));
  table.key = data.chart;
  table.corners = data.corners;
  table.drawn = null;
  const loop = (table.loop += 1); // an older one that still waits for its frame ends there
  requestAnimationFrame((now) => tick(table, loop, now));
  return () => {
    table.loop += 1;
  };
}

function hasWebGl() {
  const context = document.createElement("canvas").getContext("webgl");
  context?.getExtension("WEBGL_lose_context")?.loseContext();
  return Boolean(context);
}

// In place of Plotly's own box, which is white and leads to a website.
function sayNoWebGl(root, chart) {
  const box = document.querySelector(`.st-key-${chart}`);
  if (box) box.style.display = "none";
  root.hidden = false;
  root.textContent = "This browser has no WebGL, or it is switched off, so the surfaces cannot be " +
    "drawn here. The slices, and the clip Rotating lungs under For slides, do not need it.";
}

function build(root) {
  const still = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
  const table = { root, chart: null, camera: null, turning: !still };
  Object.assign(table, { loop: 0, last: 0, rest: 0 });
  table.button = root.querySelector(".turn");
  table.button.addEventListener("click", () => setTurning(table, !table.turning));
  for (const button of root.querySelectorAll("[data-view]")) {
    button.addEventListener("click", () => {
      setTurning(table, false);
      lookFrom(table, VIEWS[button.dataset.view]);
    });
  }
  setTurning(table, table.turning);
  return table;
}

function setTurning(table, turning) {
  table.turning = turning;
  table.button.setAttribute("aria-pressed", String(turning));
  table.button.textContent = turning ? "Pause" : "Rotate";
}

// One loop for as long as the buttons are on the page: the chart may come later and may change.
function tick(table, loop, now) {
  if (loop !== table.loop) return;
  const seconds = (now - table.last) / 1000;
  table.last = now;
  const chart = findChart(table);
  if (chart && table.drawn !== chart.data) bringUpToDate(table, chart);
  if (chart && table.turning && isInSight(chart)) turn(chart, Math.min(seconds, 0.4));
  // Where drawing is slow, the rest of the page gets as much time as the scene.
  const drawing = seconds - table.rest;
  table.rest = drawing > SLOW_FRAME_SECONDS ? Math.min(drawing, LONGEST_REST_SECONDS) : 0;
  const next = () => requestAnimationFrame((then) => tick(table, loop, then));
  if (table.rest) setTimeout(next, 1000 * table.rest);
  else next();
}

function findChart(table) {
  if (table.chart?.isConnected) return table.chart;
  const chart = plotlyScene(table.key);
  table.root.hidden = !chart;
  table.chart = chart;
  if (chart) attach(table, chart);
  return table.chart;
}

// Streamlit may hand the chart its first data and camera again, as when its width becomes known.
function bringUpToDate(table, chart) {
  table.drawn = chart.data;
  if (table.camera) setCamera(chart, table.camera);
  placeSlice(table, chart);
}

// Both traces of the slice take the same closed line of corners.
function placeSlice(table, chart) {
  const around = [...table.corners, table.corners[0]];
  const [x, y, z] = [0, 1, 2].map((axis) => [around.map((corner) => corner[axis])]);
  const traces = [...chart.data.keys()].filter((index) => chart.data[index].meta === "slice");
  window.Plotly.restyle(chart, { x, y, z, visible: true }, traces);
}

function attach(table, chart) {
  const { x, y, z } = chart.layout.scene.camera.eye;
  table.distance ??= Math.hypot(x, y, z);
  const release = () => setTurning(table, false);
  chart.addEventListener("pointerdown", release);
  chart.addEventListener("wheel", release, { passive: true });
  chart.on("plotly_relayout", () => (table.camera = structuredClone(chart.layout.scene.camera)));
}

function isInSight(chart) {
  const { top, bottom } = chart.getBoundingClientRect();
  return bottom > 0 && top < window.innerHeight;
}

function turn(chart, seconds) {
  const camera = chart.layout.scene.camera;
  const angle = (2 * Math.PI * seconds) / SECONDS_PER_TURN;
  const { x, y, z } = camera.eye;
  const [sin, cos] = [Math.sin(angle), Math.cos(angle)];
  setCamera(chart, { ...camera, eye: { x: x * cos - y * sin, y: x * sin + y * cos, z } });
}

function lookFrom(table, direction) {
  const chart = findChart(table);
  if (!chart) return;
  const length = Math.hypot(...direction) / table.distance;
  const [x, y, z] = direction.map((along) => along / length);
  const center = { x: 0, y: 0, z: 0 };
  setCamera(chart, { ...chart.layout.scene.camera, center, eye: { x, y, z } });
}

function setCamera(chart, camera) {
  window.Plotly.relayout(chart, { "scene.camera": structuredClone(camera) });
}
