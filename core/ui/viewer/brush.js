// Which voxels a brush or an outline covers: plain geometry, in the picture of one slice.

// Every voxel whose centre lies within `radius` mm of the straight way between two places, given
// as column and row with fractions, and the voxels at both ends however small the brush is.
// `ball` goes through the neighbouring slices too.
function sweep(scan, plane, index, from, to, { radius, ball }, each) {
  const grid = gridOf(scan, plane);
  const step = scan.header.spacing[PLANES[plane].normal];
  const reach = ball ? Math.floor(radius / step) : 0;
  for (let away = -reach; away <= reach; away++) {
    const slice = index + away;
    if (slice < 0 || slice >= grid.count) continue;
    const across = Math.sqrt(radius * radius - away * step * away * step);
    sweepSlice(grid, from, to, across, stepsOf(scan, plane, slice), each);
  }
  for (const [column, row] of [from, to]) {
    const [c, r] = [Math.floor(column), Math.floor(row)];
    if (c < 0 || r < 0 || c >= grid.columns || r >= grid.rows) continue;
    const { first, column: right, row: down } = stepsOf(scan, plane, index);
    each(first + c * right + r * down);
  }
}

function sweepSlice(grid, from, to, radius, { first, column: right, row: down }, each) {
  const { pixelWidth, pixelHeight, columns, rows } = grid;
  const [ax, ay] = [from[0] * pixelWidth, from[1] * pixelHeight];
  const [bx, by] = [to[0] * pixelWidth, to[1] * pixelHeight];
  const [dx, dy] = [bx - ax, by - ay];
  const length = dx * dx + dy * dy;
  const inside = (value, count) => Math.min(Math.max(value, 0), count - 1);
  const left = inside(Math.floor((Math.min(ax, bx) - radius) / pixelWidth), columns);
  const last = inside(Math.floor((Math.max(ax, bx) + radius) / pixelWidth), columns);
  const top = inside(Math.floor((Math.min(ay, by) - radius) / pixelHeight), rows);
  const bottom = inside(Math.floor((Math.max(ay, by) + radius) / pixelHeight), rows);
  for (let r = top; r <= bottom; r++) {
    const y = (r + 0.5) * pixelHeight;
    for (let c = left; c <= last; c++) {
      const x = (c + 0.5) * pixelWidth;
      const share = length ? Math.min(Math.max(((x - ax) * dx + (y - ay) * dy) / length, 0), 1) : 0;
      const [ox, oy] = [x - ax - share * dx, y - ay - share * dy];
      if (ox * ox + oy * oy <= radius * radius) each(first + c * right + r * down);
    }
  }
}

// Every voxel whose centre lies inside a closed outline; where it crosses itself, by even and odd.
function fillOutline(scan, plane, index, points, each) {
  const { columns, rows } = gridOf(scan, plane);
  const { first, column: right, row: down } = stepsOf(scan, plane, index);
  for (let r = 0; r < rows; r++) {
    const y = r + 0.5;
    const crossings = [];
    points.forEach(([bx, by], at) => {
      const [ax, ay] = points[(at || points.length) - 1];
      if ((ay <= y) !== (by <= y)) crossings.push(ax + ((y - ay) * (bx - ax)) / (by - ay));
    });
    crossings.sort((a, b) => a - b);
    for (let pair = 0; pair + 1 < crossings.length; pair += 2) {
      const from = Math.max(Math.ceil(crossings[pair] - 0.5), 0);
      for (let c = from; c < columns && c + 0.5 < crossings[pair + 1]; c++) {
        each(first + c * right + r * down);
      }
    }
  }
}

// Voxels by number as runs: first number and count of each, as the server reads them.
function runsOf(numbers) {
  const sorted = Uint32Array.from(numbers).sort();
  const pairs = [];
  for (let at = 0; at < sorted.length;) {
    const start = sorted[at];
    let count = 1;
    while (at + count < sorted.length && sorted[at + count] === start + count) count++;
    pairs.push(start, count);
    at += count;
  }
  const packed = new DataView(new ArrayBuffer(4 * pairs.length));
  pairs.forEach((value, at) => packed.setUint32(4 * at, value, true));
  return packed.buffer;
}
