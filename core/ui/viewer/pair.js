// How well two masks of one scan agree, slice by slice, in all three planes: the line under the
// slider, and the slice where they agree least.

const PAIR_SLICES = 8; // counted in one go, so that no stroke waits for it

class PairScores {
  constructor(scan, pair, bits) {
    this.scan = scan;
    this.pair = pair;
    this.bits = bits;
    this.next = 0;
    const empty = () => ({
      sagittal: new Float64Array(scan.columns),
      coronal: new Float64Array(scan.rows),
      axial: new Float64Array(scan.slices),
    });
    [this.first, this.second, this.both] = [empty(), empty(), empty()];
  }

  get complete() {
    return this.next >= this.scan.slices;
  }

  // Counts some more slices; the rest follows by itself.
  count() {
    const { scan, bits: [first, second] } = this;
    if (scan.scores !== this) return;
    const end = Math.min(this.next + PAIR_SLICES, scan.slices);
    const { labels, area, columns } = scan;
    for (let at = this.next * area; at < end * area; at++) {
      const label = labels[at];
      if (label === 0 || (label & (first | second)) === 0) continue;
      const within = at % area;
      const i = within % columns;
      this.add(label, i, (within - i) / columns, (at - within) / area, 1);
    }
    this.next = end;
    if (!this.complete) setTimeout(() => this.count());
    else for (const view of scan.holders) view.changed();
  }

  add(label, i, j, k, by) {
    const [first, second] = this.bits;
    const one = (label & first) !== 0;
    const other = (label & second) !== 0;
    for (const [is, counts] of [[one, this.first], [other, this.second], [one && other, this.both]]) {
      if (!is) continue;
      counts.sagittal[i] += by;
      counts.coronal[j] += by;
      counts.axial[k] += by;
    }
  }

  // A voxel has another label than before.
  turn(number, before, after) {
    const { area, columns } = this.scan;
    const within = number % area;
    const k = (number - within) / area;
    if (k >= this.next) return;
    const i = within % columns;
    const j = (within - i) / columns;
    this.add(before, i, j, k, -1);
    this.add(after, i, j, k, 1);
  }

  // Dice of every slice; NaN where neither marks anything.
  dice(plane) {
    const [first, second, both] = [this.first, this.second, this.both].map((one) => one[plane]);
    return Array.from(both, (shared, at) => (2 * shared) / (first[at] + second[at]));
  }

  // Slices from the one that agrees least, those that differ in more voxels first among equals.
  worst(plane) {
    const dice = this.dice(plane);
    const off = (at) => this.first[plane][at] + this.second[plane][at] - 2 * this.both[plane][at];
    return [...dice.keys()].filter((at) => dice[at] < 1)
      .sort((a, b) => dice[a] - dice[b] || off(b) - off(a));
  }
}

Object.defineProperties(View.prototype, Object.getOwnPropertyDescriptors({
  // The scores of the pair that is compared; none of a single mask, or while masks arrive.
  get pairScores() {
    const { scan } = this.sources[0];
    if (!scan?.labels || !scan.labelChunks || scan.labelChunks.left || this.header.tools !== "all") {
      return null;
    }
    const layers = scan.header.labels?.layers ?? [];
    const pair = comparedPair(layers, this.look);
    const channel = pair && comparedChannel(layers, this.look, pair);
    if (!channel) return null;
    const bits = pair.map((source) =>
      layers.find((layer) => layer.source === source && layer.channel === channel).bit);
    if (!scan.scores || String(scan.scores.bits) !== String(bits)) {
      scan.scores = new PairScores(scan, pair, bits);
      setTimeout(() => scan.scores?.count());
    }
    return scan.scores.complete ? scan.scores : null;
  },

  // The slice where both masks agree least, and pressed again the next one.
  jumpToWorst() {
    const { plane } = this.place;
    const scores = this.pairScores;
    const order = scores?.worst(plane) ?? [];
    if (!order.length) {
      this.say(scores ? "Both masks are the same in every slice"
        : "There are no two masks to compare");
      return;
    }
    const here = this.sliceOf(plane);
    const again = this.worstAt?.plane === plane && order[this.worstAt.rank] === here;
    const rank = again ? (this.worstAt.rank + 1) % order.length : 0;
    this.worstAt = { plane, rank };
    this.goTo(plane, order[rank]);
    this.say(`Slice ${order[rank] + 1}: Dice ${scores.dice(plane)[order[rank]].toFixed(3)}, ` +
      `${pairText(scores.pair)}`);
  },
}));

function pairText([one, other]) {
  return `${SOURCES[one].toLowerCase()} and ${SOURCES[other].toLowerCase()}`;
}
