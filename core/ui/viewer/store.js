// Scans in the browser. What was fetched stays across pages, planes and widgets, for the last few
// scans. Chunks are asked for from the wanted slice outward; how they are packed is written in
// packing.py.

const KEPT_SCANS = 2;
const IN_FLIGHT = 3;
const TRIES = 5;
const AFTER_TRIES_MS = 10000;
const PAUSE_AFTER_MS = 1500;
const LOST = "The server no longer holds this scan; reload the page.";
const TOO_LARGE = "This scan is too large for this browser's memory.";
const SILENT = "Slices cannot be loaded: the server does not answer. Trying again.";

const shared = (globalThis.lunglens ??= {
  scans: new Map(), places: new Map(), scenes: new Map(), layouts: new Map(), look: null,
  views: new Set(),
});

function scanOf(header) {
  let scan = shared.scans.get(header.token);
  if (scan) {
    shared.scans.delete(header.token);
  } else {
    performance.mark("lunglens:open");
    scan = new Scan(header);
  }
  shared.scans.set(header.token, scan);
  for (const [token, old] of shared.scans) {
    if (shared.scans.size <= KEPT_SCANS) break;
    if (old.holders.size === 0) shared.scans.delete(token);
  }
  scan.update(header);
  return scan;
}

function appAddress(path) {
  return `${appBase()}/lunglens/slices/${path}`;
}

class Scan {
  constructor(header) {
    const [across, down, deep] = header.shape;
    this.header = this.given = header;
    this.columns = across;
    this.rows = down;
    this.slices = deep;
    this.area = across * down;
    this.valueChunks = new Chunks(deep, header.chunk);
    this.labels = null;
    this.labelChunks = null;
    this.labelVersion = 0;
    this.counts = null;
    this.focus = 0;
    this.holders = new Set();
    this.flights = new Set();
    this.trouble = "";
    this.lost = false;
    this.changes = 0;
    this.headers = 0;
    this.scores = null; // of two masks that are compared, see pair.js
    this.edited = 0; // counts changes of the corrected masks
    this.correcting = false;
    this.edits = new Edits(this);
    this.values = this.room(header.bits === 8 ? Uint8Array : Uint16Array);
  }

  // An array for all voxels; none where the browser has no room for one.
  room(kind) {
    try {
      return new kind(this.area * this.slices);
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      this.lost = true;
      this.trouble = TOO_LARGE;
      return null;
    }
  }

  // A header of the same token: other masks or another meaning of values, never other voxels.
  update(header) {
    this.given = header;
    if (header.correction) this.edits.follow(header.correction);
    this.completeHeader();
    const wanted = header.labels;
    if (!wanted && this.edits.holds) {
      // Drawn from nothing: the page does not know yet.
    } else if (!wanted) {
      this.labels = null;
      this.labelChunks = null;
      this.counts = null;
      this.labelVersion = 0;
    } else if (wanted.version !== this.labelVersion) {
      this.labelVersion = wanted.version;
      // Marks drawn before stay on the screen until each is replaced.
      this.labels ??= this.room(Uint8Array);
      this.labelChunks = new Chunks(this.slices, wanted.chunk);
      this.coming = new InfectionCounts(this);
    }
    this.changes += 1;
    this.fetchMore();
  }

  // While masks are corrected, and once they were, the corrected ones are among the layers.
  completeHeader() {
    const { given, edits } = this;
    const before = JSON.stringify(this.header);
    this.header = given;
    const known = given.labels?.layers.some((layer) => layer.source === "corrected");
    if (given.correction && (this.correcting || (edits.touched && edits.holds && !known))) {
      const layers = (given.labels?.layers ?? []).filter((layer) => layer.source !== "corrected");
      const added = Object.entries(given.correction.colours).map(([channel, colour]) => ({
        bit: CORRECTED[channel], source: "corrected", channel, colour,
      }));
      this.header = { ...given, labels: { ...given.labels, layers: [...layers, ...added] } };
    }
    if (JSON.stringify(this.header) !== before) this.headers += 1;
  }

  correct(on) {
    this.correcting = on;
    if (on) this.edits.begin();
    this.completeHeader();
    this.changes += 1;
  }

  hold(view) {
    this.holders.add(view);
    clearTimeout(this.pausing);
    this.fetchMore();
  }

  release(view) {
    this.holders.delete(view);
    clearTimeout(this.pausing);
    this.pausing = setTimeout(() => {
      if (this.holders.size) return;
      for (const flight of this.flights) flight.abort();
    }, PAUSE_AFTER_MS);
  }

  look(slice) {
    this.focus = slice;
  }

  hasSlice(slice) {
    return this.valueChunks.done[Math.floor(slice / this.valueChunks.size)] === 1;
  }

  // Changes whenever the picture of a slice does, but not while other slices arrive.
  stateOf(plane, index) {
    if (plane !== "axial") return `${index} ${this.changes} ${this.edited}`;
    const marked = this.labelChunks?.done[Math.floor(index / this.labelChunks.size)];
    return `${index} ${this.hasSlice(index)} ${this.headers} ${marked} ${this.edited}`;
  }

  get complete() {
    return this.valueChunks.left === 0;
  }

  get share() {
    return 1 - this.valueChunks.left / this.valueChunks.count;
  }

  fetchMore() {
    if (this.holders.size === 0 || this.lost) return;
    while (this.flights.size < IN_FLIGHT) {
      const value = this.valueChunks.nearest(this.focus);
      // What was drawn here would be lost.
      const label = this.edits.quiet ? this.labelChunks?.nearest(this.focus) : null;
      if (!value && !label) return;
      const labelFirst = label && (!value || (label.distance <= value.distance && !value.holds));
      if (labelFirst) this.fetchChunk(this.labelChunks, label.at, this.labelVersion);
      else this.fetchChunk(this.valueChunks, value.at, 0);
    }
  }

  async fetchChunk(chunks, at, version) {
    const flight = new AbortController();
    this.flights.add(flight);
    chunks.flying[at] = 1;
    const kind = version ? `labels/${version}` : "values";
    let wait = 0;
    try {
      const answer = await fetch(appAddress(`${this.header.token}/${kind}/${at}`), {
        signal: flight.signal, cache: "no-store",
      });
      if (answer.status === 404) {
        // Labels of an older version are gone because newer ones are being announced.
        if (version) chunks.done[at] = 2;
        else this.lose();
      } else if (!answer.ok) {
        throw new Error(`status ${answer.status}`);
      } else {
        const bytes = new Uint8Array(await answer.arrayBuffer());
        if (version && (version !== this.labelVersion || chunks !== this.labelChunks)) return;
        if (version && !this.edits.quiet) return; // drawn on meanwhile: asked for again
        if (version) this.takeLabels(bytes, at, answer.headers.get("X-Lunglens-Corrected") === "1");
        else this.takeValues(bytes, at);
        chunks.finish(at);
        this.trouble = "";
        this.tell();
      }
    } catch (error) {
      if (error.name !== "AbortError") wait = this.stumble(chunks, at);
    } finally {
      this.flights.delete(flight);
      if (wait) {
        setTimeout(() => {
          chunks.flying[at] = 0;
          this.fetchMore();
        }, wait);
      } else {
        chunks.flying[at] = 0;
      }
      this.fetchMore();
    }
  }

  // How long to wait before the next try.
  stumble(chunks, at) {
    chunks.tries[at] += 1;
    if (chunks.tries[at] < TRIES) return 250 * 2 ** chunks.tries[at];
    this.trouble = SILENT;
    this.tell();
    return AFTER_TRIES_MS;
  }

  lose() {
    this.lost = true;
    this.trouble = LOST;
    this.tell();
  }

  tell() {
    this.changes += 1;
    if (this.complete && !this.marked) {
      this.marked = true;
      performance.mark("lunglens:all");
    }
    for (const view of this.holders) view.scanChanged();
  }

  takeValues(bytes, at) {
    const { columns, values } = this;
    const start = at * this.valueChunks.size * this.area;
    if (this.header.bits === 8) {
      for (let p = 0; p < bytes.length;) {
        let value = 0;
        for (const end = p + columns; p < end; p++) values[start + p] = value += bytes[p];
      }
      return;
    }
    const count = bytes.length / 2;
    for (let p = 0; p < count;) {
      let value = 0;
      for (const end = p + columns; p < end; p++) {
        const folded = bytes[p] | (bytes[count + p] << 8);
        value += (folded >>> 1) ^ -(folded & 1);
        values[start + p] = value;
      }
    }
  }

  takeLabels(bytes, at, corrected) {
    this.edits.take(bytes, corrected);
    const first = at * this.labelChunks.size;
    this.labels.set(bytes, first * this.area);
    this.scores = null;
    this.coming.add(bytes, first);
    if (this.labelChunks.left === 1) this.counts = this.coming;
  }
}

// Which chunks are here, under way or still wanted.
class Chunks {
  constructor(slices, size) {
    this.size = size;
    this.count = Math.ceil(slices / size);
    this.left = this.count;
    this.done = new Uint8Array(this.count);
    this.flying = new Uint8Array(this.count);
    this.tries = new Uint8Array(this.count);
  }

  nearest(slice) {
    let best = null;
    for (let at = 0; at < this.count; at++) {
      if (this.done[at] || this.flying[at]) continue;
      const first = at * this.size;
      const holds = slice >= first && slice < first + this.size;
      const distance = holds ? 0 : Math.min(
        Math.abs(slice - first), Math.abs(slice - (first + this.size - 1)));
      if (!best || distance < best.distance) best = { at, distance, holds };
    }
    return best;
  }

  finish(at) {
    if (this.done[at] === 0) this.left -= 1;
    this.done[at] = 1;
  }
}

// Infected voxels of every slice in all three planes, counted as labels arrive.
class InfectionCounts {
  constructor(scan) {
    this.area = scan.area;
    this.columns = scan.columns;
    this.slices = scan.slices;
    const empty = () => ({
      sagittal: new Float64Array(scan.columns),
      coronal: new Float64Array(scan.rows),
      axial: new Float64Array(scan.slices),
    });
    this.truth = empty();
    this.second = empty();
    this.prediction = empty();
    this.corrected = empty();
    this.correctedLung = 0;
    this.predictedLung = 0;
  }

  // The corrected masks begin as the network's.
  takeOver() {
    for (const [plane, counts] of Object.entries(this.corrected)) counts.set(this.prediction[plane]);
    this.correctedLung = this.predictedLung;
  }

  // A voxel of a corrected mask is marked (1) or no longer (-1).
  turn(channel, number, by) {
    if (channel === "lung") {
      this.correctedLung += by;
      return;
    }
    const within = number % this.area;
    const i = within % this.columns;
    this.corrected.axial[(number - within) / this.area] += by;
    this.corrected.coronal[(within - i) / this.columns] += by;
    this.corrected.sagittal[i] += by;
  }

  add(bytes, firstSlice) {
    const { truth, second, prediction, corrected, area, columns } = this;
    for (let start = 0, k = firstSlice; start < bytes.length; start += area, k++) {
      for (let p = 0; p < area; p++) {
        const label = bytes[start + p];
        if (label & 4) this.predictedLung += 1;
        if (label & CORRECTED.lung) this.correctedLung += 1;
        if ((label & 170) === 0) continue;
        const i = p % columns;
        const j = (p - i) / columns;
        if (label & 2) {
          truth.axial[k] += 1;
          truth.coronal[j] += 1;
          truth.sagittal[i] += 1;
        }
        if (label & 8) {
          prediction.axial[k] += 1;
          prediction.coronal[j] += 1;
          prediction.sagittal[i] += 1;
        }
        if (label & 128) {
          second.axial[k] += 1;
          second.coronal[j] += 1;
          second.sagittal[i] += 1;
        }
        if (label & CORRECTED.infection) {
          corrected.axial[k] += 1;
          corrected.coronal[j] += 1;
          corrected.sagittal[i] += 1;
        }
      }
    }
  }
}
