// What is written and drawn over a picture: letters, scale bar, boxes, distances, crosshair.

const CROSS = "rgba(108, 195, 213, 0.85)";
const LABELS_FROM = 48; // Above stand slice number and position.

function drawMarks(pane) {
  const { view, context } = pane;
  context.save();
  drawBoxes(pane);
  drawLines(pane);
  drawMeasures(pane);
  drawHandles(pane);
  drawHand(pane);
  if (view.crossShown) drawCross(pane);
  context.restore();
  drawWords(pane);
  if (!pane.leading.grid(pane.plane).nominal) drawScaleBar(pane);
  const notice = view.trouble || (pane.waiting ? "Loading this slice…" : "");
  if (notice) {
    context.textAlign = "center";
    context.font = "14px sans-serif";
    write(context, notice, pane.width / 2, pane.height / 2, pane.width - 24);
  }
}

function write(context, text, x, y, widest) {
  if (!text) return;
  context.textBaseline = "middle";
  context.lineJoin = "round";
  context.lineWidth = 3;
  context.strokeStyle = "rgba(0, 0, 0, 0.75)";
  context.strokeText(text, x, y, widest);
  context.fillStyle = "#f2f5f8";
  context.fillText(text, x, y, widest);
}

function drawWords(pane) {
  const { context, width, height, view } = pane;
  const { letters } = pane.leading.grid(pane.plane);
  context.font = "600 14px sans-serif";
  context.textAlign = "center";
  write(context, letters[0], 13, height / 2);
  write(context, letters[1], width - 13, height / 2);
  const middle = clearOfDivider(pane, width / 2);
  write(context, letters[2], middle, 14);
  write(context, letters[3], middle, height - 14);
  context.font = "12px sans-serif";
  context.textAlign = "left";
  const { scan } = pane.leading;
  const roomy = width > 300;
  if (scan) {
    // Where the first scan is says nothing of where the second one lies.
    const where = pane.side === 1 ? "" : pane.where;
    const number = numberOf(pane);
    write(context, roomy && where ? `${number} · ${where}` : number, 10, 16);
    if (!roomy) write(context, where, 10, 32);
  }
  const stamp = pane.sources.map((source) => source.header.stamp).find(Boolean) ?? "";
  context.textAlign = "right";
  context.font = `600 ${roomy ? 12 : 10}px sans-serif`;
  write(context, stamp, width - 10, 16);
  if (view.sources.length > 1) drawNames(pane);
}

// "12 / 80", in the second scan's own slices where it was laid on those of the first.
function numberOf({ plane, index, leading, sources: [source] }) {
  const at = source.indexOf(plane, index, leading);
  const { numbers } = source.header;
  if (plane !== "axial" || !numbers) return `${at + 1} / ${source.grid(plane).count}`;
  return numbers.slices[at] < 0 ? "beyond this scan" : `${numbers.slices[at] + 1} / ${numbers.of}`;
}

// A letter on the divider could not be read.
function clearOfDivider({ sources, dividerX }, x) {
  const off = x - dividerX;
  return sources.length > 1 && Math.abs(off) < 16 ? dividerX + (off < 0 ? -16 : 16) : x;
}

function drawNames(pane) {
  const { context, width, view, dividerX } = pane;
  const { left, right } = view.comparison;
  context.font = "600 12px sans-serif";
  if (pane.side !== null) {
    context.textAlign = "center";
    write(context, pane.side ? right : left, width / 2, width > 300 ? 38 : 50, width - 24);
    return;
  }
  context.textAlign = "right";
  if (dividerX > 60) write(context, left, dividerX - 10, 38, dividerX - 16);
  context.textAlign = "left";
  if (width - dividerX > 60) write(context, right, dividerX + 10, 38, width - dividerX - 16);
}

function drawScaleBar(pane) {
  const { context, width, height, scale } = pane;
  const length = [100, 50, 20, 10, 5, 2].find((mm) => mm * scale < 0.3 * width) ?? 1;
  const end = 12 + length * scale;
  for (const [colour, wide] of [["rgba(0, 0, 0, 0.6)", 4], ["#fff", 2]]) {
    context.strokeStyle = colour;
    context.lineWidth = wide;
    context.beginPath();
    context.moveTo(12, height - 17);
    context.lineTo(12, height - 12);
    context.lineTo(end, height - 12);
    context.lineTo(end, height - 17);
    context.stroke();
  }
  context.font = "11px sans-serif";
  context.textAlign = "left";
  write(context, length < 10 ? `${length} mm` : `${length / 10} cm`, 16, height - 24);
}

function drawCross(pane) {
  const { context, width, height, view, plane } = pane;
  const { scan } = pane.leading;
  if (!scan) return;
  const { column, row } = pixelOf(scan, plane, view.place.voxel);
  const [x, y] = pane.toCanvas(column + 0.5, row + 0.5);
  const gap = 9;
  const [farX, farY] = view.layout === "linked" ? [width, height] : [22, 22];
  context.strokeStyle = CROSS;
  context.lineWidth = 1;
  context.setLineDash([]);
  context.beginPath();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    context.moveTo(x + dx * gap, y + dy * gap);
    context.lineTo(x + dx * farX, y + dy * farY);
  }
  context.stroke();
}

function drawBoxes(pane) {
  const { view, plane, context } = pane;
  const { normal, across, down, flipped } = PLANES[plane];
  for (const { start, stop, label, colour, line } of view.header.boxes) {
    const rows = pane.leading.grid(plane).rows;
    const [top, bottom] = flipped
      ? [rows - stop[down], rows - start[down]] : [start[down], stop[down]];
    const inside = pane.index >= start[normal] && pane.index < stop[normal];
    const corners = [
      [start[across], top], [stop[across], top], [stop[across], bottom], [start[across], bottom],
    ];
    context.globalAlpha = inside ? 1 : 0.35;
    strokePoints(pane, corners, { closed: true, colour, line, label, edged: true });
  }
  context.globalAlpha = 1;
}

function drawLines(pane) {
  for (const line of pane.view.header.lines) {
    const { slices, plane } = line;
    if (plane !== pane.plane) continue;
    if (slices && (pane.index < slices[0] || pane.index > slices[1])) continue;
    strokePoints(pane, line.points, line);
  }
}

function strokePoints(pane, points, { closed, colour, line, label, edged }) {
  const { context } = pane;
  if (!points.length) return;
  context.beginPath();
  for (const [column, row] of points) context.lineTo(...pane.toCanvas(column, row));
  if (closed) context.closePath();
  // A dark edge, for what is drawn in no colour over bright bone.
  for (const [drawn, wide] of edged ? [["rgba(0, 0, 0, 0.6)", 3.5], [colour, 1.75]] : [[colour, 1.75]]) {
    context.lineWidth = wide;
    context.strokeStyle = drawn;
    context.setLineDash({ dashed: [6, 4], dotted: [2, 3] }[line] ?? []);
    context.stroke();
  }
  context.setLineDash([]);
  if (!label) return;
  const [x, y] = pane.toCanvas(...points[0]);
  context.font = "600 12px sans-serif";
  context.textAlign = "left";
  write(context, label, Math.max(x, 8) + 3, Math.max(y > 56 ? y - 9 : y + 12, LABELS_FROM));
}
