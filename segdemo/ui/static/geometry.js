// Where a pixel of the picture lies in a map, and back: a map spans the batch, of which the picture takes the top left.
// placed: {picture_size, resized, seen_size}, each [width, height] in pixels, as the segmentation's payload has them.

const AXES = [0, 1];

// The [column, row] of a map of a size [width, height] over the pixel [x, y] of the picture.
export const cellAt = ({picture_size: whole, resized: part, seen_size: batch}, point, size) => AXES.map((axis) =>
  Math.min(Math.trunc((point[axis] + 0.5) * part[axis] / whole[axis] * size[axis] / batch[axis]), size[axis] - 1));

// The pixel of the picture under the middle of a value of a map, null where that is padding.
export const pointAt = ({picture_size: whole, resized: part, seen_size: batch}, cell, size) => {
  const point = AXES.map((axis) => Math.trunc((cell[axis] + 0.5) * batch[axis] / size[axis] * whole[axis] / part[axis]));
  return AXES.every((axis) => point[axis] < whole[axis]) ? point : null;
};

// How far [right, down] the middle of a pixel of the picture is in anything that spans the batch, each in [0, 1].
export const shareAt = ({picture_size: whole, resized: part, seen_size: batch}, point) =>
  AXES.map((axis) => (point[axis] + 0.5) / whole[axis] * part[axis] / batch[axis]);

// The pixel at a share of the batch, [right, down]: of the picture, or beyond it, of the padding.
export const pixelAt = ({picture_size: whole, resized: part, seen_size: batch}, share) =>
  AXES.map((axis) => Math.floor(Math.min(Math.max(share[axis], 0), 1 - 1e-9) * batch[axis] / part[axis] * whole[axis]));

// How many pixels of the picture the batch spans, padding included: [width, height].
export const extentOf = ({picture_size: whole, resized: part, seen_size: batch}) =>
  AXES.map((axis) => batch[axis] / part[axis] * whole[axis]);
