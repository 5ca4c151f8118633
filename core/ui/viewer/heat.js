// A map over axial slices, such as what speaks for a verdict: more colour where there is more of
// it, none where there is none. Maps are coarse and stretched over the whole slice.

function bytesOf(text) {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

class HeatLayer {
  constructor(header) {
    this.colours = bytesOf(header.colours);
    this.slices = header.slices;
    this.kept = new Map();
  }

  // A canvas with one pixel a cell of the map; none where there is no map of this slice.
  image(index) {
    const packed = this.slices[index];
    if (!packed) return null;
    if (!this.kept.has(index)) this.kept.set(index, this.paint(packed));
    return this.kept.get(index);
  }

  paint({ rows, columns, values }) {
    const canvas = document.createElement("canvas");
    canvas.width = columns;
    canvas.height = rows;
    const data = new ImageData(columns, rows);
    bytesOf(values).forEach((value, at) => {
      data.data.set(this.colours.subarray(3 * value, 3 * value + 3), 4 * at);
      data.data[4 * at + 3] = value;
    });
    canvas.getContext("2d").putImageData(data, 0, 0);
    return canvas;
  }
}

// Lays the map of a slice over its picture; `frame` is where that lies on the canvas.
function drawHeat(pane, index, frame) {
  const { view, context } = pane;
  const { heat } = view.header;
  if (!heat || pane.plane !== "axial") return;
  if (view.heat?.name !== heat.name) view.heat = { name: heat.name, layer: new HeatLayer(heat) };
  const image = view.heat.layer.image(index);
  if (!image) return;
  context.save();
  context.globalAlpha = heat.opacity;
  context.imageSmoothingEnabled = true;
  context.drawImage(image, frame.left, frame.top, frame.width, frame.height);
  context.restore();
}
