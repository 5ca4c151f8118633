// Mouse, pen and touch on a picture.
//
// Left drag steps through slices; once enlarged it moves the picture, and with linked planes the
// crosshair. Right drag changes the window, middle or shift drag moves the picture, two fingers
// enlarge and move it. While masks are corrected, left drag, pen and one finger draw.

const STEP_PIXELS = 6;
const WHEEL_STEP = 40;
const PEN_ERASER = 5;

function listenToPointer(pane) {
  const { canvas, view } = pane;
  const fingers = new Map();
  let drag = null;
  let wheeled = 0;

  const at = (event) => {
    const place = canvas.getBoundingClientRect();
    return [event.clientX - place.left, event.clientY - place.top];
  };

  canvas.addEventListener("contextmenu", (event) => event.preventDefault());

  canvas.addEventListener("wheel", (event) => {
    // A small picture on a page that scrolls takes the wheel only once it has been clicked.
    if (view.header.tools === "few" && !view.hasFocus() && !event.ctrlKey) return;
    event.preventDefault();
    const amount = event.deltaMode === 1 ? event.deltaY * WHEEL_STEP : event.deltaY;
    if ((event.ctrlKey || event.metaKey) && view.correcting) {
      view.resizePen(Math.exp(-Math.max(Math.min(amount, 100), -100) / 700));
      return;
    }
    if (event.ctrlKey || event.metaKey) {
      pane.zoomBy(Math.exp(-amount / 240), ...at(event));
      view.changed();
      return;
    }
    if (Math.sign(amount) !== Math.sign(wheeled)) wheeled = 0;
    wheeled += amount;
    const steps = Math.trunc(wheeled / WHEEL_STEP);
    wheeled -= steps * WHEEL_STEP;
    // A notch of a mouse is one slice, however far it scrolls.
    const step = Math.abs(amount) >= 100 ? Math.sign(steps) : steps;
    view.step(pane.plane, -step);
  }, { passive: false });

  canvas.addEventListener("pointerdown", (event) => {
    canvas.focus({ preventScroll: true });
    fingers.set(event.pointerId, at(event));
    if (fingers.size === 2) {
      if (drag?.kind === "draw") view.dropStroke();
      if (drag?.kind === "mark") view.endMove(drag, true);
      drag = pinchStart(fingers);
      return;
    }
    try {
      canvas.setPointerCapture(event.pointerId);
    } catch {
      // The pointer is gone already.
    }
    const [x, y] = at(event);
    const erase = event.altKey || event.button === PEN_ERASER;
    const grabbed = markUnder(pane, event, x, y);
    const kind = grabbed ? "mark" : dragKind(pane, event, x);
    drag = { kind, erase, x, y, fromX: x, fromY: y, moved: false };
    if (grabbed) view.beginMove(pane, drag, grabbed);
    else view.choose(null);
    beginDrag(pane, drag);
    if (event.button === 1) event.preventDefault();
  });

  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = at(event);
    view.pointAt(pane, x, y);
    if (!drag) canvas.style.cursor = markUnder(pane, event, x, y) ? "move" : "";
    if (!fingers.has(event.pointerId) || !drag) return;
    fingers.set(event.pointerId, [x, y]);
    if (drag.kind === "pinch") {
      pinch(pane, drag, fingers);
      return;
    }
    const moved = Math.abs(x - drag.fromX) + Math.abs(y - drag.fromY) > 3;
    if (!drag.moved && !moved) return;
    drag.moved = true;
    continueDrag(pane, drag, x, y);
    drag.x = x;
    drag.y = y;
  });

  const end = (event) => {
    if (!fingers.delete(event.pointerId)) return;
    if (fingers.size === 0 && drag) {
      endDrag(pane, drag, event.type === "pointercancel");
      drag = null;
    } else if (drag?.kind === "pinch") {
      drag = { kind: "none" };
    }
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("pointerleave", () => view.pointAway());
  canvas.addEventListener("dblclick", () => view.correcting || view.resetZoom(pane.plane));
}

// A mark under the pointer that a drag would move.
function markUnder(pane, event, x, y) {
  if (event.button > 0 || event.shiftKey) return null;
  return pane.view.markAt(pane, x, y, event.pointerType === "touch" ? GRAB_FINGER : GRAB);
}

function dragKind(pane, event, x) {
  const { view } = pane;
  if (event.button === 2) return "window";
  if (event.button === 1 || event.shiftKey) return "pan";
  if (view.correcting) return "draw";
  if (view.measuring && pane.foreignAt(x)) {
    view.say("Marks are placed on the first scan");
    return "none";
  }
  if (view.measuring) return "measure";
  if (view.layout === "linked") return "cross";
  return pane.zoom.factor > 1.01 || !pane.leading.scan ? "pan" : "slices";
}

function beginDrag(pane, drag) {
  const { view } = pane;
  view.busy = true;
  drag.slice = pane.index;
  drag.window = { center: view.look.center, width: view.look.width };
  if (drag.kind === "cross") view.crossTo(pane, drag.x, drag.y);
  if (drag.kind === "draw") view.beginStroke(pane, drag.x, drag.y, drag.erase);
  if (drag.kind === "measure") {
    const end = pane.toPicture(drag.x, drag.y);
    drag.measure = view.beginMeasure(pane, end);
  }
}

function continueDrag(pane, drag, x, y) {
  const { view } = pane;
  const [dx, dy] = [x - drag.fromX, y - drag.fromY];
  if (drag.kind === "pan") {
    pane.pan(x - drag.x, y - drag.y);
    view.changed();
  } else if (drag.kind === "draw") {
    view.continueStroke(x, y);
  } else if (drag.kind === "mark") {
    view.continueMove(pane, drag, x, y);
  } else if (drag.kind === "slices") {
    view.goTo(pane.plane, drag.slice + Math.round((dx - dy) / STEP_PIXELS));
  } else if (drag.kind === "cross") {
    view.crossTo(pane, x, y);
  } else if (drag.kind === "window") {
    // Wider windows move in larger steps, as the eye expects.
    const unit = Math.max(drag.window.width, 100) / 300;
    view.setWindow(drag.window.center + dy * unit, drag.window.width + dx * unit);
  } else if (drag.kind === "measure") {
    view.moveMeasure(drag.measure, pane.toPicture(x, y));
  }
}

function endDrag(pane, drag, cancelled) {
  const { view } = pane;
  view.busy = false;
  const click = !drag.moved && !cancelled;
  if (click && ["slices", "pan"].includes(drag.kind) && pane.leading.scan) {
    view.crossTo(pane, drag.fromX, drag.fromY);
  }
  if (drag.kind === "draw") view.endStroke(cancelled);
  if (drag.kind === "mark") view.endMove(drag, cancelled);
  if (drag.kind === "measure") view.endMeasure(drag.measure, drag.moved);
  view.report();
}

function pinchStart(fingers) {
  return { kind: "pinch", ...pinchOf(fingers) };
}

function pinchOf(fingers) {
  const [[ax, ay], [bx, by]] = [...fingers.values()];
  return { apart: Math.hypot(ax - bx, ay - by) || 1, midX: (ax + bx) / 2, midY: (ay + by) / 2 };
}

function pinch(pane, drag, fingers) {
  if (fingers.size < 2) return;
  const now = pinchOf(fingers);
  pane.pan(now.midX - drag.midX, now.midY - drag.midY);
  pane.zoomBy(now.apart / drag.apart, now.midX, now.midY);
  Object.assign(drag, now);
  pane.view.changed();
}
