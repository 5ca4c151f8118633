// Pictures that lie on their side are shown upright: turned clockwise by quarter turns about their
// middle. Columns and rows stay those of the file.

const TURNS = [[1, 0], [0, 1], [-1, 0], [0, -1]]; // cosine and sine, with rows running down

// A step across the picture, as it points on the screen; with a negative number of turns the inverse.
function turnStep(x, y, turns) {
  const [cosine, sine] = TURNS[((turns % 4) + 4) % 4];
  return [x * cosine - y * sine, x * sine + y * cosine];
}

function turnAbout([x, y], [middleX, middleY], turns) {
  const [right, down] = turnStep(x - middleX, y - middleY, turns);
  return [middleX + right, middleY + down];
}
