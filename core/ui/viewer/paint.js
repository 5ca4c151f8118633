// From values and labels to colours, in one pass over the voxels of a slice and two tables.

const SOURCES = {
  truth: "Truth", second: "Second network", prediction: "Prediction", corrected: "Corrected",
};
const NAMES = { lung: "Lung", infection: "Infection" };
const STYLES = { fill: "Area", outline: "Outline", agreement: "Agreement", off: "Off" };
const DASHES = { truth: [5, 4], second: [8, 3, 2, 3], prediction: [1.5, 3], corrected: [] };
const NOT_HERE = 0xff241d17; // slices on their way, in pictures across them

// What is marked in one mask alone, in words.
const ALONE = {
  "truth prediction": ["only in the truth", "only predicted"],
  "truth corrected": ["only in the truth", "only in the corrected mask"],
  "prediction corrected": ["removed by hand", "added by hand"],
  "truth second": ["only in the truth", "only by the second network"],
  "second prediction": ["only by the second network", "only by the first network"],
  "second corrected": ["only by the second network", "only in the corrected mask"],
};

function rgb(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

// What is drawn over the picture: one region for each mask, or for what agrees and what does not.
function regionsOf(header, look, masks) {
  const layers = (header.labels?.layers ?? []).filter((layer) => masks.includes(layer.source));
  const shown = layers.filter((layer) => !look.hidden.has(layerName(layer)));
  if (look.style === "off") return [];
  if (look.style === "agreement" && comparedPair(layers, look)) return agreementRegions(layers, look);
  const sources = sourcesOf(layers);
  return shown.map((layer) => ({
    name: regionName(layer, sources),
    colour: layer.colour,
    channel: layer.channel,
    has: (label) => (label & layer.bit) !== 0,
    ...drawnAs(layer, sources, look),
    pattern: "solid",
  }));
}

// Of several masks the last is an area, and the others are lines of their own kind, so that all
// can be seen. While one is corrected, it is the only area. Lungs that are coloured by lobe are
// lines, so that lobes have the colours of their legend.
function drawnAs({ source, channel }, sources, { style, correcting, lobes }) {
  const last = sources[sources.length - 1];
  const dash = source === "prediction" && last !== "corrected" ? [] : DASHES[source];
  const coloured = channel === "lung" && lobes === "colours";
  const area = source === last && (!correcting || channel === correcting) && !coloured;
  return { filled: style !== "outline" && area, dash, dashed: dash.length > 0 };
}

// Which sources there are, in the order of `SOURCES`.
function sourcesOf(layers) {
  return Object.keys(SOURCES).filter((source) => layers.some((layer) => layer.source === source));
}

function layerName(layer) {
  return `${layer.source} ${layer.channel}`;
}

function regionName({ channel, source }, sources) {
  return sources.length > 1 || source !== "prediction" ? `${NAMES[channel]}, ${SOURCES[source].toLowerCase()}`
    : NAMES[channel];
}

// All pairs of sources that can be compared.
function pairsOf(layers) {
  const sources = sourcesOf(layers);
  return sources.flatMap((one, at) => sources.slice(at + 1).map((other) => [one, other]));
}

// The pair that the person has chosen, or the one that was made last; none of a single source.
function comparedPair(layers, look) {
  const pairs = pairsOf(layers);
  return pairs.find((pair) => String(pair) === look?.pair) ?? pairs[pairs.length - 1] ?? null;
}

// Of the infection or, where that is hidden or not known on both sides, of the lung.
function comparedChannel(layers, look, pair) {
  const compared = layers.filter((layer) => pair.includes(layer.source));
  const visible = (channel) => compared.filter((layer) => layer.channel === channel).length === 2 &&
    compared.some((layer) => layer.channel === channel && !look.hidden.has(layerName(layer)));
  return ["infection", "lung"].find(visible);
}

function agreementRegions(layers, look) {
  const pair = comparedPair(layers, look);
  const compared = layers.filter((layer) => pair.includes(layer.source));
  const channel = comparedChannel(layers, look, pair);
  if (!channel) return [];
  const [first, second] = pair.map((source) =>
    compared.find((layer) => layer.source === source && layer.channel === channel).bit);
  const tests = {
    hit: (label) => (label & first) !== 0 && (label & second) !== 0,
    missed: (label) => (label & first) !== 0 && (label & second) === 0,
    wrong: (label) => (label & first) === 0 && (label & second) !== 0,
  };
  const [missed, wrong] = ALONE[pair.join(" ")];
  const words = { hit: "marked by both", missed, wrong };
  const patterns = { hit: "solid", missed: "stripes", wrong: "backstripes" };
  return Object.keys(tests).map((kind) => ({
    name: `${NAMES[channel]} ${words[kind]}`,
    colour: look.agreement[kind],
    has: tests[kind],
    filled: true,
    dashed: kind === "missed",
    dash: kind === "missed" ? DASHES.truth : [],
    pattern: patterns[kind],
  }));
}

// Grey of every stored value, from black to white of the window.
function greyTable(header, { center, width }) {
  const size = header.bits === 8 ? 256 : 65536;
  const table = new Uint8ClampedArray(size);
  const low = center - width / 2;
  for (let code = 0; code < size; code++) {
    const value = header.bits === 8 || code < 32768 ? code : code - 65536;
    table[code] = ((value * header.slope + header.intercept - low) * 255) / width;
  }
  return table;
}

// Colour of every grey under every label, for each of four kinds of pixels: on one, the other,
// both or none of two sets of stripes, which tell areas apart without colour.
function colourTable(regions, opacity, labels) {
  const table = new Uint32Array(4 * 256 * 256);
  for (let kind = 0; kind < 4; kind++) {
    for (let label = 0; label < labels; label++) {
      const marked = regions.filter((region) => region.filled && region.has(label) &&
        (region.pattern === "solid" || (kind & (region.pattern === "stripes" ? 1 : 2))));
      // Infection lies in the lung: with the lung's colour below, it would not be that of the legend.
      const infected = marked.some(({ channel }) => channel === "infection");
      const over = infected ? marked.filter(({ channel }) => channel !== "lung") : marked;
      const [red, green, blue] = [0, 1, 2].map((channel) => mixed(over, channel, opacity));
      for (let grey = 0; grey < 256; grey++) {
        table[(kind << 16) | (label << 8) | grey] =
          (255 << 24) | (blue(grey) << 16) | (green(grey) << 8) | red(grey);
      }
    }
  }
  return table;
}

// One colour channel of a grey pixel with areas laid over it, one after the other.
function mixed(over, channel, opacity) {
  let share = 1;
  let added = 0;
  for (const { colour } of over) {
    share *= 1 - opacity;
    added = added * (1 - opacity) + rgb(colour)[channel] * opacity;
  }
  return (grey) => Math.round(grey * share + added);
}

// Fills `pixels` (one a voxel, as RGBA in a Uint32) and `labels` with one slice.
function paintSlice(scan, plane, index, { grey, colours, striped, pixels, labels }) {
  const { columns, rows } = gridOf(scan, plane);
  const { first, column, row } = stepsOf(scan, plane, index);
  const { values } = scan;
  const marks = scan.labels;
  let at = 0;
  for (let r = 0; r < rows; r++) {
    let from = first + r * row;
    if (plane !== "axial" && !scan.hasSlice(scan.slices - 1 - r)) {
      pixels.fill(NOT_HERE, at, at + columns);
      labels.fill(0, at, at + columns);
      at += columns;
    } else if (!marks) {
      for (let c = 0; c < columns; c++, at++, from += column) pixels[at] = colours[grey[values[from]]];
    } else {
      for (let c = 0; c < columns; c++, at++, from += column) {
        const label = marks[from];
        labels[at] = label;
        let code = (label << 8) | grey[values[from]];
        if (striped && label) {
          code |= ((c + r) % 6 < 3 ? 65536 : 0) | ((c - r + 6 * rows) % 6 < 3 ? 131072 : 0);
        }
        pixels[at] = colours[code];
      }
    }
  }
}
