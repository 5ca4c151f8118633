// Contrast of one slice, computed as OpenCV computes it: window, CLAHE, equalisation, gamma and
// unsharp mask. Pictures are Uint8Array, row by row. tests/test_tuner_browser.py compares every
// pixel with OpenCV's.

const LEVELS = 256;

// Half goes to the even neighbour, as in OpenCV and NumPy; for values from 0 on.
function roundEven(value) {
  const low = Math.floor(value);
  const rest = value - low;
  if (rest > 0.5 || (rest === 0.5 && low % 2 === 1)) return low + 1;
  return low;
}

function toByte(value) {
  return value <= 0 ? 0 : value >= 255 ? 255 : roundEven(value);
}

// Values of the scan through a window in HU, in single precision as in Python.
function windowed(values, { slope, intercept }, { window_center: center, window_width: width }, out) {
  const low = center - width / 2;
  const factor = Math.fround((slope * 255) / width);
  const offset = Math.fround(((intercept - low) * 255) / width);
  if (values instanceof Float32Array) {
    for (let at = 0; at < values.length; at++) {
      out[at] = toByte(Math.fround(Math.fround(values[at] * factor) + offset));
    }
    return out;
  }
  const first = values instanceof Int16Array ? 32768 : 0;
  const table = new Uint8Array(first ? 65536 : 256);
  for (let code = 0; code < table.length; code++) {
    table[code] = toByte(Math.fround(Math.fround((code - first) * factor) + offset));
  }
  for (let at = 0; at < values.length; at++) out[at] = table[values[at] + first];
  return out;
}

function enhanced(grey, rows, columns, settings, out) {
  const { method } = settings;
  if (method === "clahe") {
    return clahe(grey, rows, columns, settings.clip_limit, settings.tile_grid, out);
  }
  if (method === "equalize") return through(grey, equalizeTable(histogram(grey)), out);
  if (method === "gamma") return through(grey, gammaTable(settings.gamma), out);
  if (method === "unsharp") {
    const { unsharp_radius: radius, unsharp_amount: amount } = settings;
    return unsharp(grey, rows, columns, radius, amount, out);
  }
  out.set(grey);
  return out;
}

function through(grey, table, out) {
  for (let at = 0; at < grey.length; at++) out[at] = table[grey[at]];
  return out;
}

function histogram(grey, mask = null) {
  const counts = new Uint32Array(LEVELS);
  if (mask) {
    for (let at = 0; at < grey.length; at++) counts[grey[at]] += mask[at];
  } else {
    for (let at = 0; at < grey.length; at++) counts[grey[at]] += 1;
  }
  return counts;
}

function gammaTable(gamma) {
  return Uint8Array.from({ length: LEVELS }, (_, level) => toByte(255 * (level / 255) ** gamma));
}

function equalizeTable(counts) {
  const table = new Uint8Array(LEVELS);
  const total = counts.reduce((sum, count) => sum + count, 0);
  const first = counts.findIndex((count) => count > 0);
  if (first < 0 || counts[first] === total) return table.fill(Math.max(first, 0));
  const scale = Math.fround((LEVELS - 1) / (total - counts[first]));
  let sum = 0;
  for (let level = first + 1; level < LEVELS; level++) {
    sum += counts[level];
    table[level] = toByte(Math.fround(sum * scale));
  }
  return table;
}

// Index of a row or column beyond the picture: 1, 0, 1, 2 … n-2, n-1, n-2, as BORDER_REFLECT_101.
function mirrored(at, length) {
  if (length === 1) return 0;
  let index = at;
  while (index < 0 || index >= length) index = index < 0 ? -index : 2 * (length - 1) - index;
  return index;
}

// Contrast-limited adaptive histogram equalisation (Zuiderveld 1994).
function clahe(grey, rows, columns, clipLimit, grid, out) {
  // Where tiles do not fit, OpenCV extends both sides, the one that fits by a whole row of tiles.
  const fits = rows % grid === 0 && columns % grid === 0;
  const tileRows = fits ? rows / grid : (rows + grid - (rows % grid)) / grid;
  const tileColumns = fits ? columns / grid : (columns + grid - (columns % grid)) / grid;
  const tables = new Uint8Array(grid * grid * LEVELS);
  const area = tileRows * tileColumns;
  const limit = Math.max(Math.trunc((clipLimit * area) / LEVELS), 1);
  const rowAt = Int32Array.from({ length: grid * tileRows }, (_, at) => mirrored(at, rows));
  const columnAt = Int32Array.from({ length: grid * tileColumns }, (_, at) => mirrored(at, columns));
  const counts = new Int32Array(LEVELS);
  const scale = Math.fround((LEVELS - 1) / area);
  for (let down = 0; down < grid; down++) {
    for (let across = 0; across < grid; across++) {
      counts.fill(0);
      for (let row = down * tileRows; row < (down + 1) * tileRows; row++) {
        const start = rowAt[row] * columns;
        for (let at = across * tileColumns; at < (across + 1) * tileColumns; at++) {
          counts[grey[start + columnAt[at]]] += 1;
        }
      }
      clip(counts, limit);
      let sum = 0;
      const first = (down * grid + across) * LEVELS;
      for (let level = 0; level < LEVELS; level++) {
        sum += counts[level];
        tables[first + level] = toByte(Math.fround(sum * scale));
      }
    }
  }
  return interpolate(grey, rows, columns, { tables, grid, tileRows, tileColumns }, out);
}

// What lies above the limit is spread over all levels.
function clip(counts, limit) {
  let clipped = 0;
  for (let level = 0; level < LEVELS; level++) {
    if (counts[level] > limit) {
      clipped += counts[level] - limit;
      counts[level] = limit;
    }
  }
  const batch = Math.floor(clipped / LEVELS);
  let rest = clipped - batch * LEVELS;
  for (let level = 0; level < LEVELS; level++) counts[level] += batch;
  if (!rest) return;
  const step = Math.max(Math.floor(LEVELS / rest), 1);
  for (let level = 0; level < LEVELS && rest > 0; level += step, rest--) counts[level] += 1;
}

// Each pixel between the tables of the four tiles around it.
function interpolate(grey, rows, columns, { tables, grid, tileRows, tileColumns }, out) {
  const left = new Int32Array(columns);
  const right = new Int32Array(columns);
  const share = new Float32Array(columns);
  const inverse = Math.fround(1 / tileColumns);
  for (let column = 0; column < columns; column++) {
    const place = Math.fround(Math.fround(column * inverse) - 0.5);
    const tile = Math.floor(place);
    share[column] = place - tile;
    left[column] = Math.max(tile, 0) * LEVELS;
    right[column] = Math.min(tile + 1, grid - 1) * LEVELS;
  }
  const inverseDown = Math.fround(1 / tileRows);
  for (let row = 0; row < rows; row++) {
    const place = Math.fround(Math.fround(row * inverseDown) - 0.5);
    const tile = Math.floor(place);
    const below = place - tile;
    const top = Math.max(tile, 0) * grid * LEVELS;
    const bottom = Math.min(tile + 1, grid - 1) * grid * LEVELS;
    const start = row * columns;
    for (let column = 0; column < columns; column++) {
      const level = grey[start + column];
      const across = share[column];
      const one = tables[top + left[column] + level] * (1 - across) +
        tables[top + right[column] + level] * across;
      const two = tables[bottom + left[column] + level] * (1 - across) +
        tables[bottom + right[column] + level] * across;
      out[start + column] = toByte(one * (1 - below) + two * below);
    }
  }
  return out;
}

// The picture plus `amount` times its difference from a blur of it.
function unsharp(grey, rows, columns, radius, amount, out) {
  const soft = blurred(grey, rows, columns, radius);
  for (let at = 0; at < grey.length; at++) {
    out[at] = toByte(grey[at] * (1 + amount) - soft[at] * amount);
  }
  return out;
}

// A Gaussian blur. A wide one is computed on every second or fourth pixel of a narrower one, which
// has no detail that these would miss, and read between them.
function blurred(grey, rows, columns, sigma) {
  const step = sigma >= 8 ? 4 : sigma >= 4 ? 2 : 1;
  if (step === 1) {
    const across = blurRows(grey, rows, columns, kernel(sigma), { step, start: 0, count: columns });
    return turned(blurRows(turned(across, rows, columns), columns, rows, kernel(sigma),
      { step, start: 0, count: rows }), columns, rows);
  }
  const first = kernel(step);
  const second = kernel(Math.sqrt(sigma * sigma - step * step) / step);
  const margin = second.length + 2; // in steps, on either side
  const wide = (length) => ({ step, start: -margin * step, count: Math.ceil(length / step) + 2 * margin });
  const [x, y] = [wide(columns), wide(rows)];
  let coarse = blurRows(grey, rows, columns, first, x);
  coarse = blurRows(turned(coarse, rows, x.count), x.count, rows, first, y);
  const whole = (count) => ({ step: 1, start: 0, count });
  coarse = blurRows(coarse, x.count, y.count, second, whole(y.count));
  coarse = blurRows(turned(coarse, x.count, y.count), y.count, x.count, second, whole(x.count));
  const across = between(coarse, y.count, x.count, columns, step, margin);
  return turned(between(turned(across, y.count, columns), columns, y.count, rows, step, margin),
    columns, rows);
}

// Half of a Gaussian from its middle, as long as OpenCV's for single precision.
function kernel(sigma) {
  const half = (roundEven(sigma * 8 + 1) | 1) >> 1;
  const weights = Array.from({ length: half + 1 }, (_, at) => Math.exp(-(at * at) / (2 * sigma * sigma)));
  const sum = weights.reduce((total, weight) => total + 2 * weight, -weights[0]);
  return Float64Array.from(weights, (weight) => weight / sum);
}

// Rows blurred, at every `step`-th column from `start` on.
function blurRows(values, rows, columns, weights, { step, start, count }) {
  const half = weights.length - 1;
  const out = new Float32Array(rows * count);
  const before = Math.max(0, half - start);
  const line = new Float32Array(before + Math.max(start + (count - 1) * step, columns - 1) + half + 1);
  const places = Int32Array.from(line, (_, at) => mirrored(at - before, columns));
  for (let row = 0; row < rows; row++) {
    const from = row * columns;
    for (let at = 0; at < line.length; at++) line[at] = values[from + places[at]];
    for (let at = 0; at < count; at++) {
      const middle = before + start + at * step;
      let sum = line[middle] * weights[0];
      for (let k = 1; k <= half; k++) sum += (line[middle - k] + line[middle + k]) * weights[k];
      out[row * count + at] = sum;
    }
  }
  return out;
}

function turned(values, rows, columns) {
  const out = new Float32Array(values.length);
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      out[column * rows + row] = values[row * columns + column];
    }
  }
  return out;
}

// Rows of coarse values read at every pixel, by cubic polynomials through four of them.
function between(values, rows, columns, count, step, margin) {
  const out = new Float32Array(rows * count);
  for (let row = 0; row < rows; row++) {
    const first = row * columns + margin;
    for (let phase = 0; phase < step; phase++) {
      const t = phase / step;
      const a = (-t * (t - 1) * (t - 2)) / 6;
      const b = ((t + 1) * (t - 1) * (t - 2)) / 2;
      const c = (-(t + 1) * t * (t - 2)) / 2;
      const d = ((t + 1) * t * (t - 1)) / 6;
      for (let at = phase, from = first; at < count; at += step, from++) {
        out[row * count + at] =
          a * values[from - 1] + b * values[from] + c * values[from + 1] + d * values[from + 2];
      }
    }
  }
  return out;
}
