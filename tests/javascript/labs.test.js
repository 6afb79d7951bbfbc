import assert from 'node:assert/strict';
import {test} from 'node:test';
import {pointsOf, stroke, wordOf} from '../../build/javascript/panels/labs_drawing.js';
import {grown} from '../../build/javascript/panels/labs_tree.js';

test('a word has a digit for four points, the first the greatest', () => {
  assert.deepEqual(pointsOf('a1'), [true, false, true, false, false, false, false, true]);
  assert.equal(wordOf(pointsOf('0123456789abcdef')), '0123456789abcdef');
});

test('a pen leaves ink around its way, and none elsewhere', () => {
  const side = 16;
  const points = stroke(Array(side * side).fill(false), side, [4, 8], [12, 8]);
  const row = (y) => points.slice(y * side, (y + 1) * side).map(Number).join('');
  assert.equal(row(7), '0011111111111100'); // as far as 2.3 points beyond both ends
  assert.equal(row(5), '0000000000000000'); // 2.5 points away
  assert.equal(row(6), row(9)); // as far above as below
  assert.deepEqual(stroke(points, side, [8, 8], [8, 8]), points);
});

test('names grow into a tree, in order', () => {
  const leaf = (key) => ({key, fate: 'loaded', shape: []});
  const tree = grown(['fc', 'conv.weight', 'bn.mean', 'conv.bias', 'conv.in.weight'].map(leaf));
  assert.deepEqual(tree.map(({name, inside}) => [name, inside?.length]), [['fc', undefined], ['conv', 3], ['bn', 1]]);
  assert.deepEqual(tree[1].inside.map(({name}) => name), ['weight', 'bias', 'in']);
});
