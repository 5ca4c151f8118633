// Marks that are there already: choosing one, moving it or one of its ends, and taking it away.

const GRAB = 7; // pixels on the screen within which a mark is taken hold of
const GRAB_FINGER = 16;
const NUDGE_MS = 400;

Object.defineProperties(View.prototype, Object.getOwnPropertyDescriptors({
  // The mark that is chosen, as long as it is there and in sight.
  get chosen() {
    const { picked } = this;
    const there = picked && !this.correcting && this.measures.includes(picked);
    return there && picked.index === this.sliceOf(picked.plane) ? picked : null;
  },

  get canMoveMarks() {
    return this.header.tools === "all" && !this.correcting && !this.header.annotations?.locked;
  },

  choose(mark) {
    if (this.picked === mark) return;
    this.picked = mark;
    if (mark) {
      const words = [mark.kind, mark.text, markText(this, mark)].filter(Boolean).join(", ");
      this.say(`Chosen: ${words}. Drag it, or Shift + arrows; Delete removes it`);
    }
    this.changed();
  },

  // By keys: one mark after the other on this slice.
  chooseNext() {
    const { plane, index } = this.activePane();
    const here = this.measures.filter((one) => one.plane === plane && one.index === index);
    if (!here.length || !this.canMoveMarks) {
      this.say(this.header.annotations?.locked || "There is no mark on this slice");
      return;
    }
    this.choose(here[(here.indexOf(this.chosen) + 1) % here.length]);
  },

  // What lies at a place of the canvas: a mark, and which of its ends; none for all of it.
  markAt(pane, x, y, reach) {
    if (!this.canMoveMarks || pane.foreignAt(x)) return null;
    const here = this.measures.filter(
      (one) => one.plane === pane.plane && one.index === pane.index);
    const { chosen } = this;
    // Those placed last lie above, and the chosen one above all.
    here.sort((a, b) => (a === chosen) - (b === chosen));
    for (const mark of here.reverse()) {
      const ends = mark.ends.map((end) => pane.toCanvas(...end));
      const apart = ends.map(([endX, endY]) => Math.hypot(x - endX, y - endY));
      const end = apart.indexOf(Math.min(...apart));
      // Corners of a region are seen only once it is chosen.
      const seen = mark.kind !== "region" || mark === chosen;
      if (seen && apart[end] <= reach) return { mark, end: ends.length > 1 ? end : null };
      if (ends.length > 1 && distanceTo(mark.kind, ends, x, y) <= reach) return { mark, end: null };
    }
    return null;
  },

  beginMove(pane, drag, { mark, end }) {
    drag.already = this.chosen === mark;
    this.choose(mark);
    drag.grabbed = {
      mark, end, from: pane.toPicture(drag.x, drag.y), ends: mark.ends.map((one) => [...one]),
    };
  },

  continueMove(pane, { grabbed }, x, y) {
    const { mark, end, from, ends } = grabbed;
    const [column, row] = pane.toPicture(x, y);
    this.placeEnds(mark, end, ends, column - from[0], row - from[1]);
  },

  // A click on a note that is chosen already opens its text.
  endMove(drag, cancelled) {
    const { mark, ends } = drag.grabbed;
    if (cancelled) mark.ends = ends;
    else if (drag.moved) this.tellMoved(mark);
    else if (drag.already && mark.kind === "note") this.writeText(mark);
    this.changed();
  },

  nudgeMark(columns, rows) {
    const mark = this.chosen;
    this.placeEnds(mark, null, mark.ends, columns, rows);
    clearTimeout(this.nudged);
    this.nudged = setTimeout(() => this.tellMoved(mark), NUDGE_MS);
  },

  tellMoved(mark) {
    if (!this.measures.includes(mark)) return;
    this.say([`${mark.kind[0].toUpperCase()}${mark.kind.slice(1)} moved`, markText(this, mark)]
      .filter(Boolean).join(": "));
    this.tellMarks();
  },

  // Moves one end, or all of a mark; none of it leaves the picture.
  placeEnds(mark, end, ends, byColumns, byRows) {
    const { columns, rows } = this.sources[0].grid(mark.plane);
    const moving = end === null ? ends : [ends[end]];
    const within = (by, places, most) =>
      Math.max(-Math.min(...places), Math.min(by, most - Math.max(...places)));
    const right = within(byColumns, moving.map(([column]) => column), columns);
    const down = within(byRows, moving.map(([, row]) => row), rows);
    mark.ends = ends.map(([column, row], at) =>
      end === null || end === at ? [column + right, row + down] : [column, row]);
    this.changed();
  },
}));

// How far a place is from the line of a mark, in pixels on the screen.
function distanceTo(kind, [[ax, ay], [bx, by]], x, y) {
  if (kind === "region") {
    const [across, down] = [Math.abs(bx - ax) / 2, Math.abs(by - ay) / 2];
    const [dx, dy] = [x - (ax + bx) / 2, y - (ay + by) / 2];
    const share = Math.hypot(dx / (across || 1), dy / (down || 1));
    // Along the ray from the middle: exact for circles, close enough for ellipses.
    return share ? Math.abs(1 - 1 / share) * Math.hypot(dx, dy) : Math.min(across, down);
  }
  const [dx, dy] = [bx - ax, by - ay];
  const along = ((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy || 1);
  const share = Math.min(Math.max(along, 0), 1);
  return Math.hypot(x - ax - share * dx, y - ay - share * dy);
}

// Small squares by which the ends of the chosen mark are moved.
function drawHandles(pane) {
  const { view, context } = pane;
  const { chosen } = view;
  if (!chosen || chosen.plane !== pane.plane || chosen.index !== pane.index) return;
  for (const end of chosen.ends) {
    const [x, y] = pane.toCanvas(...end);
    context.fillStyle = "#0e1319";
    context.fillRect(x - 5, y - 5, 10, 10);
    context.fillStyle = RULER;
    context.fillRect(x - 3.5, y - 3.5, 7, 7);
  }
}
