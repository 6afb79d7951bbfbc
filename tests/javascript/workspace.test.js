import assert from 'node:assert/strict';
import {test} from 'node:test';
import {SHARES, moved, recalled} from '../../build/javascript/static/workspace.js';

const close = (a, b) => a.forEach((share, i) => assert.ok(Math.abs(share - b[i]) < 1e-9, `${a} is not ${b}`));

test('what one pane gains the next one loses, and the third keeps', () => {
  close(moved([0.3, 0.3, 0.4], 0, 0.1), [0.4, 0.2, 0.4]);
  close(moved([0.3, 0.3, 0.4], 1, -0.1), [0.3, 0.2, 0.5]);
});

test('every pane keeps some room, however far a divider is dragged', () => {
  close(moved([0.3, 0.3, 0.4], 0, -5), [0.14, 0.46, 0.4]);
  close(moved([0.3, 0.3, 0.4], 1, 5), [0.3, 0.56, 0.14]);
});

test('widths are remembered as they were; what is no set of widths counts for nothing', () => {
  assert.deepEqual(recalled('[0.2,0.3,0.5]'), [0.2, 0.3, 0.5]);
  for (const text of [null, '', 'x', '{}', '[0.5,0.5]', '[0.1,0.4,0.5]', '[0.3,0.3,0.3]', '["a","b","c"]', '[null,0.5,0.5]']) {
    assert.deepEqual(recalled(text), SHARES, text);
  }
});
