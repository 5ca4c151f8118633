// The edge of a region as closed lines along the sides of its voxels.

// Columns and rows beyond the picture count as outside, so the table has a border of one.
function insideTable(labels, region, columns, rows) {
  const has = Uint8Array.from({ length: 256 }, (_, label) => (region.has(label) ? 1 : 0));
  const wide = columns + 2;
  const inside = new Uint8Array(wide * (rows + 2));
  let any = false;
  for (let row = 0, at = 0; row < rows; row++) {
    let to = (row + 1) * wide + 1;
    for (let column = 0; column < columns; column++, at++, to++) {
      if (labels[at] && has[labels[at]]) {
        inside[to] = 1;
        any = true;
      }
    }
  }
  return any ? inside : null;
}

// Follows each edge with the region on the right-hand side; corners that touch stay apart.
function contourPath(labels, region, columns, rows) {
  const path = new Path2D();
  const inside = insideTable(labels, region, columns, rows);
  if (!inside) return path;
  const wide = columns + 2;
  const seen = new Uint8Array(inside.length);
  // For east, south, west, north: the step, and the voxels ahead on the right and on the left.
  const stepX = [1, 0, -1, 0];
  const stepY = [0, 1, 0, -1];
  const right = [0, -1, -1 - wide, -wide];
  const left = [-wide, 0, -1, -1 - wide];
  for (let start = wide + 1; start < inside.length; start++) {
    if (!inside[start] || inside[start - wide] || seen[start]) continue;
    let at = start;
    let x = (start % wide) - 1;
    let y = (start - x - 1) / wide - 1;
    let heading = 0;
    path.moveTo(x, y);
    do {
      if (heading === 0) seen[at] = 1;
      x += stepX[heading];
      y += stepY[heading];
      at += stepX[heading] + stepY[heading] * wide;
      const turn = !inside[at + right[heading]] ? 1 : inside[at + left[heading]] ? 3 : 0;
      if (turn) {
        path.lineTo(x, y);
        heading = (heading + turn) % 4;
      }
    } while (at !== start || heading !== 0);
    path.closePath();
  }
  return path;
}
