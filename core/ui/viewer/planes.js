// Where the voxels of a picture lie: axis 0 runs to the patient's left, 1 to the back, 2 to the
// head, and axial slices lie one after the other, rows from front to back.

const PLANES = {
  axial: { normal: 2, across: 0, down: 1, flipped: false, letters: ["R", "L", "A", "P"] },
  coronal: { normal: 1, across: 0, down: 2, flipped: true, letters: ["R", "L", "S", "I"] },
  sagittal: { normal: 0, across: 1, down: 2, flipped: true, letters: ["A", "P", "S", "I"] },
};

function gridOf(scan, plane) {
  const { shape, spacing, oriented } = scan.header;
  const { across, down, normal, letters } = PLANES[plane];
  return {
    columns: shape[across],
    rows: shape[down],
    pixelWidth: spacing[across],
    pixelHeight: spacing[down],
    count: shape[normal],
    letters: oriented ? letters : ["", "", "", ""],
    nominal: scan.header.nominal,
  };
}

// First voxel of a slice and the steps to the next column and row.
function stepsOf(scan, plane, index) {
  const { columns, area, slices } = scan;
  if (plane === "axial") return { first: index * area, column: 1, row: columns };
  const top = (slices - 1) * area;
  if (plane === "coronal") return { first: index * columns + top, column: 1, row: -area };
  return { first: index + top, column: columns, row: -area };
}

function voxelAt(scan, plane, index, column, row) {
  const { normal, across, down, flipped } = PLANES[plane];
  const voxel = [0, 0, 0];
  voxel[normal] = index;
  voxel[across] = column;
  voxel[down] = flipped ? scan.header.shape[down] - 1 - row : row;
  return voxel;
}

function pixelOf(scan, plane, voxel) {
  const { across, down, flipped } = PLANES[plane];
  const row = voxel[down];
  return {
    column: voxel[across],
    row: flipped ? scan.header.shape[down] - 1 - row : row,
  };
}

function millimetres(scan, voxel) {
  const { affine } = scan.header;
  return [0, 1, 2].map((axis) =>
    affine[axis][0] * voxel[0] + affine[axis][1] * voxel[1] + affine[axis][2] * voxel[2] +
    affine[axis][3]);
}

// "S 12.5 mm": how far a slice lies from the scanner's origin, along the axis it is nearest to.
function positionText(scan, plane, voxel) {
  const axis = { sagittal: 0, coronal: 1, axial: 2 }[plane];
  const place = millimetres(scan, voxel)[axis];
  const [low, high] = [["L", "R"], ["P", "A"], ["I", "S"]][axis]; // RAS grows towards the second
  return `${place < 0 ? low : high} ${Math.abs(place).toFixed(1)} mm`;
}
