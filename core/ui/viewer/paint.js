// From values and labels to colours, in one pass over the voxels of a slice and two tables.

const AGREEMENT = { hit: "marked by both", missed: "only in the truth", wrong: "only predicted" };
const NAMES = { lung: "Lung", infection: "Infection" };
const STYLES = { fill: "Area", outline: "Outline", agreement: "Agreement", off: "Off" };
const NOT_HERE = 0xff241d17; // slices on their way, in pictures across them

function rgb(colour) {
  return [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
}

// What is drawn over the picture: one region for each mask, or for what agrees and what does not.
function regionsOf(header, look, masks) {
  const layers = (header.labels?.layers ?? []).filter((layer) => masks.includes(layer.source));
  const shown = layers.filter((layer) => !look.hidden.has(layerName(layer)));
  if (look.style === "off") return [];
  if (look.style === "agreement" && bothKnown(layers)) return agreementRegions(layers, look);
  const both = bothKnown(layers);
  return shown.map((layer) => ({
    name: regionName(layer, both),
    colour: layer.colour,
    has: (label) => (label & layer.bit) !== 0,
    // Side by side, truth is a dashed line and prediction an area, so that both can be seen.
    filled: look.style !== "outline" && !(both && layer.source === "truth"),
    dashed: layer.source === "truth",
    pattern: "solid",
  }));
}

function layerName(layer) {
  return `${layer.source} ${layer.channel}`;
}

function regionName({ channel, source }, both) {
  return both || source === "truth" ? `${NAMES[channel]}, ${source}` : NAMES[channel];
}

function bothKnown(layers) {
  return new Set(layers.map((layer) => layer.source)).size === 2;
}

// Of the infection or, where that is hidden or not known on both sides, of the lung.
function agreementRegions(layers, look) {
  const visible = (channel) => layers.filter((layer) => layer.channel === channel).length === 2 &&
    layers.some((layer) => layer.channel === channel && !look.hidden.has(layerName(layer)));
  const channel = ["infection", "lung"].find(visible);
  if (!channel) return [];
  const bit = (source) =>
    layers.find((l) => l.source === source && l.channel === channel).bit;
  const truth = bit("truth");
  const predicted = bit("prediction");
  const tests = {
    hit: (label) => (label & truth) !== 0 && (label & predicted) !== 0,
    missed: (label) => (label & truth) !== 0 && (label & predicted) === 0,
    wrong: (label) => (label & truth) === 0 && (label & predicted) !== 0,
  };
  const patterns = { hit: "solid", missed: "stripes", wrong: "backstripes" };
  return Object.keys(tests).map((kind) => ({
    name: `${NAMES[channel]} ${AGREEMENT[kind]}`,
    colour: look.agreement[kind],
    has: tests[kind],
    filled: true,
    dashed: kind === "missed",
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
function colourTable(regions, opacity) {
  const table = new Uint32Array(4 * 16 * 256);
  for (let kind = 0; kind < 4; kind++) {
    for (let label = 0; label < 16; label++) {
      const over = regions.filter((region) => region.filled && region.has(label) &&
        (region.pattern === "solid" || (kind & (region.pattern === "stripes" ? 1 : 2))));
      const [red, green, blue] = [0, 1, 2].map((channel) => mixed(over, channel, opacity));
      for (let grey = 0; grey < 256; grey++) {
        table[(kind << 12) | (label << 8) | grey] =
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
          code |= ((c + r) % 6 < 3 ? 4096 : 0) | ((c - r + 6 * rows) % 6 < 3 ? 8192 : 0);
        }
        pixels[at] = colours[code];
      }
    }
  }
}
