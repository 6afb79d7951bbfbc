// Regions of a mask: their outlines, and where a name fits in each. Pure functions on labels, row by row.

export const [DARK, LIGHT] = [1, 2];

// The outlines of the regions of classes that are shown: DARK along their borders, LIGHT right inside, else 0. What the
// mask's own border cuts off has no outline there. shown: by class, whether it is shown.
export const outline = (labels, width, height, shown) => {
  const lines = new Uint8Array(labels.length);
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const own = labels[i];
      if (!shown[own]) continue;
      if ((x > 0 && labels[i - 1] !== own) || (x < width - 1 && labels[i + 1] !== own) ||
        (y > 0 && labels[i - width] !== own) || (y < height - 1 && labels[i + width] !== own)) lines[i] = DARK;
    }
  }
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      if (lines[i] || !shown[labels[i]]) continue;
      if ((x > 0 && lines[i - 1] === DARK) || (x < width - 1 && lines[i + 1] === DARK) ||
        (y > 0 && lines[i - width] === DARK) || (y < height - 1 && lines[i + width] === DARK)) lines[i] = LIGHT;
    }
  }
  return lines;
};

// Numbers the connected regions of shown classes, from 1; 0 is no region. {numbers, classes: of each number}
const numbered = (labels, width, height, shown) => {
  const numbers = new Int32Array(labels.length);
  const classes = [null];
  const stack = [];
  for (let start = 0; start < labels.length; start++) {
    if (numbers[start] || !shown[labels[start]]) continue;
    const number = classes.push(labels[start]) - 1;
    numbers[start] = number;
    stack.push(start);
    while (stack.length) {
      const i = stack.pop();
      const x = i % width;
      for (const j of [x > 0 ? i - 1 : -1, x < width - 1 ? i + 1 : -1, i - width, i + width]) {
        if (j >= 0 && j < labels.length && !numbers[j] && labels[j] === labels[start]) {
          numbers[j] = number;
          stack.push(j);
        }
      }
    }
  }
  return {numbers, classes};
};

// How far each place is from the nearest of another region, in steps also along diagonals; the mask's border counts.
const depths = (numbers, width, height) => {
  const depth = new Int32Array(numbers.length);
  const at = (x, y, number) => {
    if (x < 0 || y < 0 || x >= width || y >= height) return 0;
    const j = y * width + x;
    return numbers[j] === number ? depth[j] : 0;
  };
  for (let y = 0, i = 0; y < height; y++) {
    for (let x = 0; x < width; x++, i++) {
      const own = numbers[i];
      if (own) depth[i] = 1 + Math.min(at(x - 1, y, own), at(x - 1, y - 1, own), at(x, y - 1, own), at(x + 1, y - 1, own));
    }
  }
  for (let y = height - 1, i = numbers.length - 1; y >= 0; y--) {
    for (let x = width - 1; x >= 0; x--, i--) {
      const own = numbers[i];
      if (!own) continue;
      depth[i] = Math.min(depth[i], 1 + Math.min(at(x + 1, y, own), at(x + 1, y + 1, own), at(x, y + 1, own), at(x - 1, y + 1, own)));
    }
  }
  return depth;
};

// How far the region reaches from a place to one side, in steps, at most `most`.
const reach = (numbers, width, i, step, most) => {
  const [own, x] = [numbers[i], i % width];
  const room = step < 0 ? x : width - 1 - x;
  let count = 0;
  while (count < Math.min(room, most) && numbers[i + (count + 1) * step] === own) count++;
  return count;
};

// Where the names of regions go: for each connected region of a shown class the place, [x, y] of the middle of a label,
// around which a box of the size of its name, boxOf(class) = [width, height] in labels, lies inside, and which is deepest
// inside of all such. Regions without such a place are left out.
export const namePlaces = (labels, width, height, shown, boxOf) => {
  const {numbers, classes} = numbered(labels, width, height, shown);
  const depth = depths(numbers, width, height);
  const best = classes.map(() => ({depth: 0, i: -1}));
  const boxes = classes.map((index) => index === null ? null : boxOf(index));
  for (let i = 0; i < numbers.length; i++) {
    const number = numbers[i];
    if (!number || depth[i] <= best[number].depth) continue;
    const [wide, high] = boxes[number].map((side) => Math.ceil((side - 1) / 2));
    const y = Math.floor(i / width);
    if (y < high || y + high >= height) continue;
    let inside = true;
    for (let row = -high; inside && row <= high; row++) {
      const j = i + row * width;
      inside = numbers[j] === number && reach(numbers, width, j, -1, wide) >= wide && reach(numbers, width, j, 1, wide) >= wide;
    }
    if (inside) best[number] = {depth: depth[i], i};
  }
  return best.flatMap(({i}, number) => i < 0 ? []
    : [{index: classes[number], x: i % width + 0.5, y: Math.floor(i / width) + 0.5}]);
};
