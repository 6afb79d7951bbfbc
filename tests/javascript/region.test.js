import assert from 'node:assert/strict';
import {test} from 'node:test';
import {labelAt} from '../../build/javascript/static/linked.js';
import {cornersIn, thinned} from '../../build/javascript/static/region.js';

test('a line of many corners is thinned evenly, a short one stays', () => {
  const line = Array.from({length: 1000}, (_, x) => [x, 0]);
  assert.deepEqual(thinned(line, 4), [[0, 0], [250, 0], [500, 0], [750, 0]]);
  assert.equal(thinned(line, 1000), line);
});

test('corners are read from text, and what is none stays for the server to refuse', () => {
  assert.deepEqual(cornersIn(' 1,2  30,40 '), [[1, 2], [30, 40]]);
  assert.deepEqual(cornersIn('one,2'), [[NaN, 2]]);
  assert.deepEqual(cornersIn('7'), [[7]]);
  assert.deepEqual(cornersIn(''), []);
});

test('a pixel of a large picture lies on the label of its reduced map', () => {
  const labels = {width: 3, height: 2};
  assert.equal(labelAt(labels, [0, 0], [300, 200]), 0);
  assert.equal(labelAt(labels, [299, 199], [300, 200]), 5);
  assert.equal(labelAt(labels, [150, 99], [300, 200]), 1);
  assert.equal(labelAt(labels, [150, 100], [300, 200]), 4);
});
