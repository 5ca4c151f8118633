// The corrected masks of one scan in the browser. Strokes are drawn at once and sent on release,
// one after the other; what the server computes (parts, interpolation, undo) comes back as runs.

const CORRECTED = { lung: 16, infection: 32 };
const EDIT_TRIES = 4;
const MASKS_COMING = "The masks are still loading; draw again in a moment";
const OUT_OF_STEP = "The masks were loaded again from the server";

class Edits {
  constructor(scan) {
    this.scan = scan;
    this.revision = this.undoable = this.redoable = 0;
    this.touched = false;
    this.holds = false; // whether the labels hold the corrected masks
    this.queue = []; // what the server has not answered yet
    this.open = []; // strokes drawn here that it has not confirmed, the one in hand last
    this.lungVoxels = 0;
  }

  // What the page says. It may lie behind what was drawn since, but never ahead of it, unless
  // somebody else has changed the masks.
  follow({ revision, undoable, redoable, touched }) {
    if (this.known && revision <= this.revision + this.queue.length) return;
    const behind = this.known;
    this.known = true;
    Object.assign(this, { revision, undoable, redoable, touched });
    if (behind && (this.holds || touched)) this.reload();
  }

  // Nothing drawn here is unknown to the server.
  get quiet() {
    return this.queue.length === 0 && this.open.length === 0;
  }

  get ready() {
    return Boolean(this.scan.labels) && this.scan.labelChunks.left === 0;
  }

  // The corrected masks begin as the network's, or with nothing.
  begin() {
    const { scan } = this;
    if (!scan.labels) {
      scan.labels = scan.room(Uint8Array);
      if (!scan.labels) return;
      scan.labelVersion = scan.given.correction.labels;
      scan.labelChunks = new Chunks(scan.slices, scan.slices);
      scan.labelChunks.finish(0);
      scan.counts = scan.coming = new InfectionCounts(scan);
    }
    if (this.holds) return;
    this.holds = true;
    deriveCorrected(scan.labels);
    scan.scores = null;
    for (const counts of new Set([scan.counts, scan.coming])) counts?.takeOver();
  }

  // Labels that the server has sent; without corrected masks, they are the network's.
  take(bytes, corrected) {
    if (corrected) this.holds = true;
    else if (this.holds) deriveCorrected(bytes);
  }

  startStroke({ channel, marked, free, plane, index }) {
    const voxels = { turned: [], withIt: [], passed: new Set() }; // by number
    const stroke = { channel, marked, free, plane, index, ...voxels };
    this.open.push(stroke);
    return stroke;
  }

  // One voxel of a stroke, by the rule on the lung.
  mark(stroke, number) {
    // What is asked for before it may leave other voxels to be turned.
    if (this.asking) stroke.passed.add(number);
    const { labels } = this.scan;
    const label = labels[number];
    const { channel, marked, free } = stroke;
    if (((label & CORRECTED[channel]) !== 0) === marked) return;
    if (marked && channel === "infection" && !free && this.lung && !(label & CORRECTED.lung)) {
      stroke.limited = true;
      return;
    }
    this.turn(channel, number);
    stroke.turned.push(number);
    if (marked || channel !== "lung" || free || !(label & CORRECTED.infection)) return;
    this.turn("infection", number);
    stroke.withIt.push(number);
  }

  get asking() {
    return this.queue.some((entry) => !entry.stroke);
  }

  // Whether any lung is marked.
  get lung() {
    return this.scan.counts.correctedLung > 0;
  }

  turn(channel, number) {
    const { scan } = this;
    const before = scan.labels[number];
    scan.labels[number] ^= CORRECTED[channel];
    scan.scores?.turn(number, before, scan.labels[number]);
    scan.counts.turn(channel, number, (scan.labels[number] & CORRECTED[channel]) !== 0 ? 1 : -1);
  }

  takeBack(stroke) {
    for (const number of stroke.turned) this.turn(stroke.channel, number);
    for (const number of stroke.withIt) this.turn("infection", number);
    stroke.turned = [];
    stroke.withIt = [];
  }

  cancel(stroke) {
    this.takeBack(stroke);
    this.open.splice(this.open.indexOf(stroke), 1);
    this.changed();
    this.scan.fetchMore();
  }

  finish(stroke) {
    if (!stroke.turned.length && !stroke.passed.size) {
      this.cancel(stroke);
      this.tell(stroke.limited ? "Nothing changed: infection is marked inside the lung only (U)."
        : "Nothing changed.");
      return;
    }
    const { channel, marked, free, plane, index } = stroke;
    this.send({ edit: "paint", channel, marked: Number(marked), plane, index }, { free, stroke });
  }

  send(asked, { free = false, stroke = null } = {}) {
    const body = stroke ? runsOf(new Set([...stroke.passed, ...stroke.turned])) : null;
    this.queue.push({ asked: { ...asked, free: Number(free) }, body, stroke, tries: 0 });
    this.pump();
  }

  async pump() {
    if (this.sending || !this.queue.length) return;
    const entry = this.queue[0];
    this.sending = true;
    let wait = 0;
    try {
      const query = new URLSearchParams({ ...entry.asked, revision: this.revision });
      const answer = await fetch(appAddress(`${this.scan.given.token}/edit?${query}`), {
        method: "POST", body: entry.body, cache: "no-store",
        headers: { "Content-Type": "application/octet-stream" },
      });
      if (answer.status >= 500) throw new Error(`status ${answer.status}`);
      // It has been given up meanwhile.
      if (this.queue[0] !== entry) return;
      if (answer.ok) this.takeAnswer(entry, await answer.arrayBuffer());
      else await this.refused(entry, answer);
    } catch (error) {
      if (!(error instanceof TypeError) && !String(error.message).startsWith("status")) throw error;
      entry.tries += 1;
      wait = 300 * 2 ** entry.tries;
      if (entry.tries >= EDIT_TRIES) this.tell("The server does not answer. Trying again.");
    } finally {
      this.sending = false;
      if (wait) setTimeout(() => this.pump(), Math.min(wait, 5000));
      else this.pump();
      if (this.quiet) this.scan.fetchMore();
    }
  }

  takeAnswer(entry, bytes) {
    this.queue.shift();
    const length = new DataView(bytes).getUint32(0, true);
    const change = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 4, length)));
    const { revision, undoable, redoable, touched, text, voxels, flips } = change;
    Object.assign(this, { revision, undoable, redoable, touched });
    if (entry.stroke) {
      const { channel, turned, withIt } = entry.stroke;
      this.open.splice(this.open.indexOf(entry.stroke), 1);
      const same = (voxels[channel] ?? 0) === turned.length &&
        (!withIt.length || voxels.infection === withIt.length);
      if (!same) {
        this.reload();
        this.tell(OUT_OF_STEP);
        return;
      }
    } else {
      this.applyFlips(flips, bytes, 4 + length);
    }
    this.tell(text);
    this.changed();
    for (const view of this.scan.holders) view.edited();
  }

  // The server did not know of strokes drawn since: they are taken back and drawn again.
  applyFlips(flips, bytes, start) {
    const drawn = this.open.map((stroke) =>
      [stroke, new Set([...stroke.passed, ...stroke.turned])]);
    for (const stroke of [...this.open].reverse()) this.takeBack(stroke);
    let at = start;
    for (const { channel, runs } of flips) {
      const pairs = new Uint32Array(bytes, at, 2 * runs);
      for (let p = 0; p < pairs.length; p += 2) {
        for (let number = pairs[p], end = number + pairs[p + 1]; number < end; number++) {
          this.turn(channel, number);
        }
      }
      at += 8 * runs;
    }
    for (const [stroke, numbers] of drawn) for (const number of numbers) this.mark(stroke, number);
  }

  async refused(entry, answer) {
    const sentence = answer.status === 404 ? LOST : await answer.text();
    this.queue.shift();
    if (answer.status === 404) {
      this.scan.lose();
    } else if (answer.status === 409) {
      this.revision = Number(answer.headers.get("X-Lunglens-Revision"));
      this.reload();
    } else if (entry.stroke) {
      this.cancel(entry.stroke);
    }
    this.tell(sentence);
  }

  // The masks as the server has them; what is not there is lost.
  reload() {
    this.queue = [];
    this.open = [];
    this.scan.labelChunks = new Chunks(
      this.scan.slices, this.scan.given.labels?.chunk ?? this.scan.given.correction.chunk);
    this.scan.coming = new InfectionCounts(this.scan);
    for (const view of this.scan.holders) view.dropStroke();
    this.scan.fetchMore();
  }

  changed() {
    this.scan.edited += 1;
    for (const view of this.scan.holders) view.changed({ now: true });
  }

  tell(text) {
    for (const view of this.scan.holders) view.say(text);
  }
}

// Bits of the network's masks, where there are any, become those of the corrected ones.
function deriveCorrected(labels) {
  for (let at = 0; at < labels.length; at++) {
    const label = labels[at];
    if (label) labels[at] = (label & ~48) | ((label & 12) << 2);
  }
}
