import assert from 'node:assert/strict';
import {test} from 'node:test';
import {WHOLE, cellsIn, greatest, originOf, panned, showing, toPlace, toScreen, zoomed} from '../../build/javascript/static/zoom.js';

const FRAME = {extent: [400, 200], size: [800, 400]}; // two pixels of the screen for each of the picture
const close = (found, expected) => found.forEach((value, axis) => assert.ok(Math.abs(value - expected[axis]) < 1e-9, `${found} is not ${expected}`));

test('the whole is where it is without a lens', () => {
  assert.deepEqual(originOf(WHOLE, FRAME), [0, 0]);
  assert.deepEqual(toScreen(WHOLE, FRAME, [100, 50]), [200, 100]);
  assert.deepEqual(toPlace(WHOLE, FRAME, [200, 100]), [100, 50]);
});

test('what is under the pointer stays there while it is zoomed', () => {
  let view = WHOLE;
  for (const [factor, screen] of [[1.7, [300, 120]], [2, [10, 390]], [1.3, [799, 1]], [0.6, [400, 200]], [3, [5, 5]]]) {
    const place = toPlace(view, FRAME, screen);
    const before = view.zoom;
    view = zoomed(view, FRAME, factor, screen);
    if (view.zoom > before) close(toScreen(view, FRAME, place), screen);
  }
});

test('a zoom ends at the whole and where a pixel takes dozens of the screen', () => {
  assert.equal(zoomed(WHOLE, FRAME, 0.1, [0, 0]).zoom, 1);
  assert.equal(zoomed(WHOLE, FRAME, 1e9, [0, 0]).zoom, greatest(FRAME));
  assert.equal(greatest(FRAME), 50);
  assert.equal(greatest({extent: [8, 8]}), 8);
  assert.deepEqual(originOf(zoomed(zoomed(WHOLE, FRAME, 9, [70, 70]), FRAME, 1e-9, [3, 3]), FRAME), [0, 0]);
});

test('no gap opens at a border, however far it is dragged', () => {
  const view = {zoom: 4, centre: [200, 100]};
  assert.deepEqual(originOf(panned(view, FRAME, [1e6, 1e6]), FRAME), [0, 0]);
  assert.deepEqual(originOf(panned(view, FRAME, [-1e6, -1e6]), FRAME), [2400, 1200]);
  assert.deepEqual(panned(panned(view, FRAME, [1e6, 0]), FRAME, [-8, 0]).centre, [51, 100]); // it follows at once
});

test('dragging moves the content by as much', () => {
  const view = {zoom: 4, centre: [200, 100]};
  close(toScreen(panned(view, FRAME, [30, -20]), FRAME, [190, 95]), toScreen(view, FRAME, [190, 95]).map((at, axis) => at + [30, -20][axis]));
});

test('a place is brought into view by the shortest way, and one in view moves nothing', () => {
  const view = {zoom: 4, centre: [200, 100]};
  assert.equal(showing(view, FRAME, [200, 100]), view);
  assert.deepEqual(toScreen(showing(view, FRAME, [10, 100]), FRAME, [10, 100]), [24, 200]);
  assert.deepEqual(toScreen(showing(view, FRAME, [0, 0]), FRAME, [0, 0]), [0, 0]); // no further than the border
});

test('frames of different extents that share a view look at the same place', () => {
  const batch = {extent: [400, 400], size: [400, 400]}; // with padding below the picture
  const view = zoomed(WHOLE, FRAME, 5, [400, 200]);
  close(toPlace(view, batch, [200, 200]), toPlace(view, FRAME, [400, 200]));
});

test('cells are counted in view alone, with their size on screen', () => {
  const view = {zoom: 8, centre: [200, 100]};
  const {ranges, cell} = cellsIn(view, FRAME, [40, 20], [400, 200]); // 10 x 10 pixels a cell
  assert.deepEqual(cell, [160, 160]);
  assert.deepEqual(ranges, [[17, 23], [8, 12]]);
  assert.deepEqual(cellsIn(WHOLE, FRAME, [40, 20], [400, 200]), {ranges: [[0, 40], [0, 20]], cell: [20, 20]});
});
