// Which part of a picture a frame shows, magnified. Pure: places are in pixels of the picture, screens in CSS pixels.
// view: {zoom, centre}: zoom 1 shows all that the frame spans, whatever the centre.
// frame: {extent, size}: the pixels of the picture that it spans at zoom 1, and its size on screen, [width, height].

const AXES = [0, 1];
const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

export const WHOLE = {zoom: 1, centre: [0, 0]};

// So far that a pixel of the picture takes some dozens of pixels of the screen.
export const greatest = ({extent}) => Math.max(8, Math.max(...extent) / 8);

// How many pixels of the screen a pixel of the picture takes, [right, down].
export const scaleOf = ({zoom}, {extent, size}) => AXES.map((axis) => size[axis] / extent[axis] * zoom);

// How far the magnified content is moved [left, up], so that the centre is in the middle and no gap at a border.
export const originOf = (view, frame) => {
  const scale = scaleOf(view, frame);
  return AXES.map((axis) => clamp(view.centre[axis] * scale[axis] - frame.size[axis] / 2, 0, frame.size[axis] * (view.zoom - 1)));
};

export const toScreen = (view, frame, place) => {
  const [scale, origin] = [scaleOf(view, frame), originOf(view, frame)];
  return AXES.map((axis) => place[axis] * scale[axis] - origin[axis]);
};

export const toPlace = (view, frame, screen) => {
  const [scale, origin] = [scaleOf(view, frame), originOf(view, frame)];
  return AXES.map((axis) => (screen[axis] + origin[axis]) / scale[axis]);
};

// A view of a zoom whose content is moved by an origin, as far as there is content.
const settled = (zoom, origin, frame) => {
  const scale = scaleOf({zoom}, frame);
  return {zoom, centre: AXES.map((axis) =>
    (clamp(origin[axis], 0, frame.size[axis] * (zoom - 1)) + frame.size[axis] / 2) / scale[axis])};
};

// The view after zooming by a factor: the place under a point of the screen stays there.
export const zoomed = (view, frame, factor, screen) => {
  const zoom = clamp(view.zoom * factor, 1, greatest(frame));
  const [place, scale] = [toPlace(view, frame, screen), scaleOf({zoom}, frame)];
  return settled(zoom, AXES.map((axis) => place[axis] * scale[axis] - screen[axis]), frame);
};

// The view after its content has been dragged by pixels of the screen.
export const panned = (view, frame, by) => {
  const origin = originOf(view, frame);
  return settled(view.zoom, AXES.map((axis) => origin[axis] - by[axis]), frame);
};

// The view moved by so little that a place is in it, at least a margin from its border.
export const showing = (view, frame, place, margin = 24) => {
  const screen = toScreen(view, frame, place);
  const by = AXES.map((axis) => {
    const edge = Math.min(margin, frame.size[axis] / 2);
    return clamp(screen[axis], edge, frame.size[axis] - edge) - screen[axis];
  });
  return by.some((part) => part) ? panned(view, frame, by) : view;
};

// Which columns and rows of a grid of [columns, rows] over an extent are in view, [[first, end], [first, end]], and how
// large a cell is on screen, [width, height].
export const cellsIn = (view, frame, grid, extent) => {
  const [from, to] = [toPlace(view, frame, [0, 0]), toPlace(view, frame, frame.size)];
  const ranges = AXES.map((axis) => [Math.max(0, Math.floor(from[axis] / extent[axis] * grid[axis])),
    Math.min(grid[axis], Math.ceil(to[axis] / extent[axis] * grid[axis]))]);
  const scale = scaleOf(view, frame);
  return {ranges, cell: AXES.map((axis) => scale[axis] * extent[axis] / grid[axis])};
};
