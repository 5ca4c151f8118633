// Every key of the viewer, wherever in it the focus is. Where the focus is nowhere in particular, as
// when a page opens, the page's first picture in sight takes them.

const OWN_KEYS = "input, textarea, select, iframe, [contenteditable=true], [role=slider], " +
  "[role=combobox], [role=listbox], [role=menu], [role=dialog], [role=grid], [role=spinbutton]";
const SCROLLING = ["ArrowUp", "ArrowDown", "PageUp", "PageDown", "Home", "End", " "];

// Once for all viewers of the tab, whichever component they are of.
function listenToPage() {
  if (shared.listens) return;
  shared.listens = true;
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.isComposing) return;
    const inner = event.composedPath()[0];
    if (inner.closest?.(OWN_KEYS) || inner.getRootNode?.() !== document) return;
    if (inner.closest?.("a, button") && (event.key === " " || event.key === "Enter")) return;
    if (String(document.getSelection()) && (event.ctrlKey || event.metaKey)) return;
    const view = viewInSight();
    if (!view) return;
    // A small picture leaves the page its keys for scrolling.
    if (view.header.tools === "few" && SCROLLING.includes(event.key)) return;
    view.pressKey(event);
  });
}

function viewInSight() {
  const inSight = [...shared.views].filter(({ root }) => {
    const { top, bottom, height } = root.getBoundingClientRect();
    return height > 0 && Math.min(bottom, innerHeight) - Math.max(top, 0) > height / 3;
  });
  const first = (views) => views.sort((a, b) =>
    a.root.getBoundingClientRect().top - b.root.getBoundingClientRect().top)[0];
  return first(inSight.filter(({ header }) => header.tools === "all")) ?? first(inSight);
}

function pressKey(view, event) {
  if (event.composedPath()[0].matches?.("input, select") || event.altKey) return;
  const inner = event.composedPath()[0];
  if (inner.matches?.(".divider") && dividerKey(view, event)) return;
  if (inner.matches?.("button") && (event.key === " " || event.key === "Enter")) return;
  const act = actionOf(view, event, inner);
  if (!act) return;
  event.preventDefault();
  event.stopPropagation();
  act();
}

function dividerKey(view, event) {
  const to = {
    ArrowLeft: view.divider - 0.02, ArrowRight: view.divider + 0.02, Home: 0, End: 1,
  }[event.key];
  if (to === undefined) return false;
  event.preventDefault();
  event.stopPropagation();
  view.moveDivider(to);
  return true;
}

function actionOf(view, event, inner) {
  const { key } = event;
  const correcting = view.correcting && correctingKey(view, event);
  if (correcting) return correcting;
  if (event.ctrlKey || event.metaKey) {
    if (String(document.getSelection())) return undefined;
    return { c: () => view.copyPicture(), s: () => view.savePicture() }[key.toLowerCase()];
  }
  if (key === "Escape") return () => escape(view);
  const pane = view.activePane();
  const common = {
    "+": () => view.zoomBy(1.25),
    "=": () => view.zoomBy(1.25),
    "-": () => view.zoomBy(1 / 1.25),
    0: () => view.resetZoom(),
    "?": () => view.controls.toggleHelp(),
    b: view.sources.length > 1 ? () => view.toggleAside() : undefined,
  };
  if (!view.sources[0].scan) return common[key];
  if (event.shiftKey && key.startsWith("Arrow")) return crossKey(view, pane, key);
  return common[key] ?? sliceKey(view, pane, key) ?? letterKey(view, pane, key.toLowerCase());
}

function crossKey(view, pane, key) {
  const step = {
    ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
  }[key];
  const [columns, rows] = turnStep(...step, -pane.turns);
  if (view.chosen) return () => view.nudgeMark(columns, rows);
  return () => view.nudgeCross(pane, columns, rows);
}

function sliceKey(view, pane, key) {
  const { plane } = pane;
  const by = {
    ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10,
  }[key];
  if (by) return () => view.step(plane, by);
  if (key === "Home") return () => view.goTo(plane, 0);
  if (key === "End") return () => view.goTo(plane, pane.leading.grid(plane).count - 1);
  return undefined;
}

function letterKey(view, pane, key) {
  if (key === "c" && view.header.correctElsewhere) return () => view.toggleCorrecting();
  if (view.header.tools !== "all" && "ackslhxq".includes(key)) return undefined;
  if (view.sources[0].scan.slices === 1 && " akslipnw".includes(key)) return undefined;
  if (view.keepsMarks && view.header.tools === "all" && "rtv".includes(key)) {
    return () => view.toggleMeasuring({ r: "region", t: "note", v: "arrow" }[key]);
  }
  const preset = view.header.presets[Number(key) - 1];
  if (preset) return () => view.setWindow(preset.center, preset.width);
  const { center, width } = view.look;
  return {
    " ": () => view.toggleCine(),
    a: () => view.choosePlane("axial"),
    c: () => view.toggleCorrecting(),
    k: () => view.choosePlane("coronal"),
    s: () => view.choosePlane("sagittal"),
    l: () => !view.header.comparison && view.choosePlane("linked"),
    d: view.canSplit ? () => view.toggleSplit() : undefined,
    o: () => view.cycleStyle(),
    g: () => view.controls.lobes.next(),
    i: () => view.jump("most"),
    p: () => view.jump("previous"),
    n: () => view.jump("next"),
    m: () => view.toggleMeasuring(),
    q: () => view.chooseNext(),
    w: () => view.jumpToWorst(),
    f: () => view.toggleFullscreen(),
    x: () => view.saveFigure(),
    h: () => view.togglePresent(),
    "[": () => view.setWindow(center, width * 0.9),
    "]": () => view.setWindow(center, width / 0.9),
    ",": () => view.setWindow(center - 0.04 * width, width),
    ".": () => view.setWindow(center + 0.04 * width, width),
    enter: view.measuring ? () => view.measureAtCross(pane) : undefined,
    delete: () => view.removeMeasure(),
    backspace: () => view.removeMeasure(),
  }[key];
}

function escape(view) {
  if (view.presenting) view.endPresent();
  else if (!view.controls.help.hidden) view.controls.toggleHelp(false);
  else if (!view.controls.menu.panel.hidden) view.controls.menu.toggle(false);
  else if (view.cine) view.toggleCine();
  else if (view.chosen) view.choose(null);
  else if (view.measures.length && !view.keepsMarks) view.removeMeasure();
  else if (view.measuring) view.toggleMeasuring(view.measuring);
  else if (view.cross) {
    view.cross = false;
    view.changed();
  }
}
