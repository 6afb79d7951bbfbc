import assert from 'node:assert/strict';
import {test} from 'node:test';
import {namePlaces, outline} from '../../build/javascript/static/regions.js';

const parse = (...rows) => ({labels: Uint8Array.from(rows.join('')), width: rows[0].length, height: rows.length});
const SHOWN = [false, true, true];
const drawn = (...rows) => {
  const {labels, width, height} = parse(...rows);
  const lines = Array.from(outline(labels, width, height, SHOWN), (line) => '.DL'[line]).join('');
  return rows.map((_, y) => lines.slice(y * width, (y + 1) * width));
};
const named = (box, ...rows) => {
  const {labels, width, height} = parse(...rows);
  return namePlaces(labels, width, height, SHOWN, () => box).map(({index, x, y}) => [index, x, y]);
};

test('an outline is dark along the border of a region and light right inside', () => {
  assert.deepEqual(drawn(
    '00000000',
    '01111110',
    '01111110',
    '01111110',
    '01111110',
    '01111110',
    '00000000'), [
    '........',
    '.DDDDDD.',
    '.DLLLLD.',
    '.DL..LD.',
    '.DLLLLD.',
    '.DDDDDD.',
    '........']);
});

test('two regions that touch have a dark border each, and the picture\'s own border has none', () => {
  assert.deepEqual(drawn('11112222', '11112222'), ['..LDDL..', '..LDDL..']);
});

test('what is not shown has no outline', () => {
  assert.deepEqual(drawn('0000', '0000'), ['....', '....']);
});

test('a name stands in the largest part of its region', () => {
  // A thin arm, and a body of 5 x 5 around (8, 2).
  assert.deepEqual(named([3, 1],
    '00000011111',
    '00000011111',
    '11111111111',
    '00000011111',
    '00000011111'), [[1, 8.5, 2.5]]);
});

test('a name that does not fit is left out, and every connected region has one of its own', () => {
  const rows = ['1110222220', '1110222220', '1110222220', '0000000000', '1100000000'];
  assert.deepEqual(named([3, 3], ...rows), [[1, 1.5, 1.5], [2, 5.5, 1.5]]);
  assert.deepEqual(named([5, 3], ...rows), [[2, 6.5, 1.5]]);
  assert.deepEqual(named([7, 3], ...rows), []);
});

test('the box of a name lies in its region as a whole, also in a ring', () => {
  const ring = ['1111111', '1000001', '1000001', '1111111', '1111111', '1111111'];
  assert.deepEqual(named([5, 3], ...ring).map(([index, , y]) => [index, y]), [[1, 4.5]]);
});
