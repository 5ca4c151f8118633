// The mode in which masks are corrected: tools, strokes in hand, and what is asked of the server.

const TOOLS = {
  brush: { text: "Brush", key: "B", does: "marks what it passes" },
  eraser: { text: "Eraser", key: "E", does: "clears what it passes" },
  outline: { text: "Outline", key: "L", does: "marks what a line drawn by hand encloses" },
  part: { text: "Part", key: "G", does: "a click removes a marked part, fills a hole or, with Only, grows a region" },
};
const SIZE_STEP = 1.15;

shared.pen ??= null;
shared.correctsAsked ??= new Map();

Object.defineProperties(View.prototype, Object.getOwnPropertyDescriptors({
  get canCorrect() {
    const { header } = this;
    return header.tools === "all" && !header.comparison && Boolean(header.scans?.[0].correction);
  },

  get edits() {
    return this.sources[0].scan?.edits;
  },

  // Tool, size and mask are those of the tab, whichever scan is open.
  get pen() {
    shared.pen ??= {
      tool: "brush", channel: "infection", deep: false, only: false, free: false,
      ...this.header.scans[0].correction.pen,
    };
    return shared.pen;
  },

  toggleCorrecting() {
    if (!this.canCorrect && this.header.correctElsewhere) {
      this.tellCorrect();
      return;
    }
    const { locked } = this.header.scans?.[0].correction ?? {};
    if (!this.correcting && (!this.canCorrect || locked)) {
      this.say(locked || "Masks can be corrected on View, one scan at a time");
      return;
    }
    this.correcting = !this.correcting;
    if (this.correcting) {
      if (this.split) this.toggleSplit();
      if (this.measuring) this.toggleMeasuring(this.measuring);
      this.stopCine();
      const hidden = new Set(this.look.hidden);
      for (const channel of Object.keys(CORRECTED)) hidden.delete(`corrected ${channel}`);
      this.look.hidden = hidden;
      if (["off", "agreement"].includes(this.look.style)) this.look.style = "fill";
    } else {
      this.dropStroke();
    }
    this.sources[0].scan.correct(this.correcting);
    this.markCorrected();
    this.say(this.correcting ? `Correcting the ${this.pen.channel}: ${this.toolText()}`
      : "Correcting ended");
    for (const view of shared.views) view.changed({ layout: true });
  },

  // Asked for on another page; once for each time.
  obeyCorrecting() {
    const { correct = 0 } = this.header;
    if (correct <= (shared.correctsAsked.get(this.token) ?? 0)) return;
    shared.correctsAsked.set(this.token, correct);
    if (!this.correcting) this.toggleCorrecting();
  },

  // Without a word: the scan or the page is another one.
  endCorrecting() {
    this.correcting = false;
    this.hand = null;
    for (const { scan } of this.sources) scan?.correct(false);
    this.markCorrected();
  },

  markCorrected() {
    this.look.correcting = this.correcting ? this.pen.channel : null;
    this.look.marksChange += 1;
  },

  toolText() {
    const { tool, size, deep } = this.pen;
    const sized = ["brush", "eraser"].includes(tool) ? `, ${this.sizeText(size)}` : "";
    return `${TOOLS[tool].text.toLowerCase()}${sized}${deep ? ", through slices" : ""}`;
  },

  sizeText(size) {
    return `${Number(size.toFixed(1))} ${this.grid.nominal ? "pixels" : "mm"}`;
  },

  setPen(change) {
    Object.assign(this.pen, change);
    this.dropStroke();
    const { only, low, high, free, channel } = this.pen;
    const shown = (hu) => String(hu).replace("-", "\u2212");
    if ("channel" in change) this.markCorrected();
    if ("channel" in change) this.say(`Correcting the ${channel}`);
    else if ("only" in change || "low" in change || "high" in change) {
      this.say(only ? `Marks only ${shown(low)} to ${shown(high)} HU` : "Marks all values");
    } else if ("free" in change) {
      this.say(free ? "Infection may be marked outside the lung"
        : "Infection is marked inside the lung only");
    } else this.say(this.toolText()[0].toUpperCase() + this.toolText().slice(1));
    this.changed();
  },

  resizePen(factor) {
    const { low, high } = this.header.scans[0].correction.sizes;
    this.setPen({ size: Math.min(Math.max(this.pen.size * factor, low), high) });
  },

  // ------------------------------------------------------------ strokes

  // A stroke begins at a place on a pane; `erase` turns brush and outline into the eraser.
  beginStroke(pane, x, y, erase) {
    const { edits, pen } = this;
    this.dropStroke();
    if (!edits.ready) {
      this.say(MASKS_COMING);
      return;
    }
    const { scan } = this.sources[0];
    const place = pane.toPicture(x, y);
    const at = { plane: pane.plane, index: pane.index };
    if (pen.tool === "part") {
      this.hand = { pane, part: true, ...at, place };
      return;
    }
    const marked = pen.tool !== "eraser" && !erase;
    const stroke = edits.startStroke({ channel: pen.channel, marked, free: pen.free, ...at });
    this.hand = { pane, stroke, place, points: pen.tool === "outline" ? [place] : null, ...at };
    if (!this.hand.points) this.sweepTo(scan, place);
  },

  continueStroke(x, y) {
    const { hand } = this;
    if (!hand || hand.part) return;
    const place = hand.pane.toPicture(x, y);
    if (hand.points) {
      hand.points.push(place);
      this.changed();
    } else {
      this.sweepTo(this.sources[0].scan, place);
    }
  },

  sweepTo(scan, place) {
    const { hand, pen } = this;
    const options = { radius: pen.size / 2, ball: pen.deep };
    const mark = this.marker(scan, hand.stroke);
    sweep(scan, hand.plane, hand.index, hand.place, place, options, mark);
    hand.place = place;
    this.edits.changed();
  },

  // What marks one voxel: by the values it may have, too, where the person asked for that.
  marker(scan, stroke) {
    const { edits, pen } = this;
    if (!pen.only || !stroke.marked) return (number) => edits.mark(stroke, number);
    const { bits, slope, intercept } = scan.header;
    return (number) => {
      const code = scan.values[number];
      const hu = (bits === 16 && code > 32767 ? code - 65536 : code) * slope + intercept;
      const known = scan.hasSlice(Math.floor(number / scan.area));
      if (known && hu >= pen.low && hu <= pen.high) edits.mark(stroke, number);
    };
  },

  endStroke(cancelled) {
    const { hand, edits, pen } = this;
    if (!hand) return;
    if (cancelled) {
      this.dropStroke();
      return;
    }
    this.hand = null;
    const { scan } = this.sources[0];
    if (hand.part) {
      this.togglePart(hand, hand.place);
      return;
    }
    if (hand.points) {
      const mark = this.marker(scan, hand.stroke);
      fillOutline(scan, hand.plane, hand.index, hand.points, mark);
      edits.changed();
    }
    edits.finish(hand.stroke);
  },

  dropStroke() {
    const { hand } = this;
    this.hand = null;
    if (hand?.stroke && this.edits.open.includes(hand.stroke)) this.edits.cancel(hand.stroke);
    if (hand) this.changed();
  },

  togglePart({ plane, index }, [column, row]) {
    const grid = this.sources[0].grid(plane);
    const [c, r] = [Math.floor(column), Math.floor(row)];
    if (c < 0 || r < 0 || c >= grid.columns || r >= grid.rows) return;
    const voxel = voxelAt(this.sources[0].scan, plane, index, c, r);
    const { deep, only, low, high } = this.pen;
    const limits = only ? { low: Math.round(low), high: Math.round(high) } : {};
    this.ask({ edit: "part", plane, index, voxel: voxel.join(), whole: Number(deep), ...limits });
  },

  // By keys: the tool at the crosshair. An outline gets a corner, and is filled once the same
  // corner is set twice.
  drawAtCross(pane) {
    const { scan } = this.sources[0];
    const { column, row } = pixelOf(scan, pane.plane, this.place.voxel);
    const place = [column + 0.5, row + 0.5];
    this.cross = true;
    const going = this.hand?.points && this.hand.plane === pane.plane &&
      this.hand.index === pane.index;
    if (going) {
      const last = this.hand.points[this.hand.points.length - 1];
      if (String(last) === String(place)) {
        this.endStroke(false);
        return;
      }
      this.hand.points.push(place);
      this.say(`Corner ${this.hand.points.length}; Enter again fills the outline`);
      this.changed();
      return;
    }
    this.beginStroke(pane, ...pane.toCanvas(...place), false);
    if (!this.hand) return;
    if (this.hand.points) this.say("Corner 1: move the crosshair with Shift + arrows, Enter again");
    else this.endStroke(false);
  },

  // ------------------------------------------------------------ asked of the server

  ask(asked) {
    const { edits, pen } = this;
    this.dropStroke();
    if (!edits.ready) this.say(MASKS_COMING);
    else edits.send({ channel: pen.channel, ...asked }, { free: pen.free });
  },

  askHere(asked) {
    const pane = this.activePane();
    this.ask({ plane: pane.plane, index: pane.index, ...asked });
  },

  // ------------------------------------------------------------ told

  // To those who see the page and those who hear it.
  say(text) {
    this.value.textContent = text;
    this.spoken.textContent = text;
  },

  // What follows the masks on the page is computed anew.
  edited() {
    if (this.header.tools !== "all") return;
    clearTimeout(this.telling);
    this.telling = setTimeout(() => {
      if (this.left) return;
      if (this.hand || !this.edits.quiet) this.edited();
      else this.tellEdited({ token: this.token, revision: this.edits.revision });
    }, REPORT_MS);
  },
}));

// The outline in hand, and how large the brush is.
function drawHand(pane) {
  const { view, context } = pane;
  if (!view.correcting) return;
  const { hand, pen, pointer } = view;
  if (hand?.points && hand.pane === pane) {
    strokePoints(pane, hand.points, { closed: true, colour: "#f2f5f8", line: "dashed" });
  }
  if (!pointer || pointer.pane !== pane || !["brush", "eraser"].includes(pen.tool)) return;
  const { scale } = pane;
  const across = Math.max((pen.size / 2) * scale, 2);
  for (const [colour, wide] of [["rgba(0, 0, 0, 0.7)", 3], ["#f2f5f8", 1.25]]) {
    context.strokeStyle = colour;
    context.lineWidth = wide;
    context.setLineDash(pen.tool === "eraser" ? [3, 3] : []);
    context.beginPath();
    context.arc(pointer.x, pointer.y, across, 0, 7);
    context.stroke();
  }
  context.setLineDash([]);
}

// Keys of the mode; none where it is off.
function correctingKey(view, event) {
  const { pen } = view;
  const key = event.key.toLowerCase();
  if (key === "escape" && !view.controls.help.hidden) return undefined;
  if (event.ctrlKey || event.metaKey) {
    if (key === "z") return () => view.ask({ edit: event.shiftKey ? "redo" : "undo" });
    return key === "y" ? () => view.ask({ edit: "redo" }) : undefined;
  }
  if (event.shiftKey && key === "v") return () => view.askHere({ edit: "copy", step: 1 });
  if (event.shiftKey && ["backspace", "delete"].includes(key)) return () => view.ask({ edit: "back" });
  const tool = Object.keys(TOOLS).find((name) => TOOLS[name].key.toLowerCase() === key);
  if (tool) return () => view.setPen({ tool });
  return {
    "[": () => view.resizePen(1 / SIZE_STEP),
    "]": () => view.resizePen(SIZE_STEP),
    m: () => view.say("Distances can be measured once correcting has ended"),
    x: () => view.setPen({ channel: pen.channel === "lung" ? "infection" : "lung" }),
    h: () => view.setPen({ deep: !pen.deep }),
    t: () => view.setPen({ only: !pen.only }),
    u: () => view.setPen({ free: !pen.free }),
    j: () => view.askHere({ edit: "interpolate" }),
    v: () => view.askHere({ edit: "copy", step: -1 }),
    backspace: () => view.askHere({ edit: "back" }),
    delete: () => view.askHere({ edit: "back" }),
    enter: () => view.drawAtCross(view.activePane()),
    escape: () => (view.hand ? view.dropStroke() : view.toggleCorrecting()),
  }[key];
}
