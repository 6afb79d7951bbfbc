import assert from 'node:assert/strict';
import {test} from 'node:test';
import {arrange, fit, layOut, makeNode, pathOf, readNetwork} from '../../build/javascript/static/layout.js';
import {expected} from './expected.js';

const WORDS = {t: (key, values = {}) => `${key} ${Object.values(values).join(' ')}`, textWidth: (text) => 7 * text.length};
const NETWORKS = Object.entries(expected.networks);
const WIDTHS = [340, 600, 1000, 1600];

const box = (label, row, column, more = {}) =>
  ({label, layer: label, row, column, inputs: [], skips: [], flags: [], dead_count: 0, shape: [8, 32, 32], channel: null, parent: null, ...more});
const network = (...boxes) => readNetwork({boxes, picture: null}, WORDS);
const overlap = (a, b) => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

// The corners of a path made of straight lines; curves at corners are passed through.
const points = (path) => {
  let [x, y] = [0, 0];
  return [...path.matchAll(/([MHVQ])([-\d.,e ]+)/g)].map(([, kind, text]) => {
    const at = text.trim().split(/[ ,]+/).map(Number);
    [x, y] = kind === 'H' ? [at[0], y] : kind === 'V' ? [x, at[0]] : at.slice(-2);
    return [x, y];
  });
};

test('there is nothing to lay out without boxes', () => {
  for (const value of [null, undefined, {boxes: []}]) assert.equal(readNetwork(value, WORDS), null);
});

for (const [name, value] of NETWORKS) {
  test(`${name}: no box lies on another, at any width`, () => {
    for (const width of WIDTHS) {
      const net = readNetwork(value, WORDS);
      const {nodes} = layOut(net, fit(net, width), width);
      assert.equal(nodes.length, net.tops.length + 1); // and the input
      for (const [i, a] of nodes.entries()) {
        for (const b of nodes.slice(i + 1)) assert.ok(!overlap(a, b), `${a.box.label} and ${b.box.label} at ${width}`);
      }
    }
  });

  test(`${name}: boxes stay within the figure, and inner boxes within their own`, () => {
    for (const width of WIDTHS) {
      const net = readNetwork(value, WORDS);
      const grid = layOut(net, fit(net, width), width);
      for (const node of grid.nodes) {
        assert.ok(node.x >= 0 && node.y >= 0 && node.x + node.w <= grid.w + 1e-6 && node.y + node.h <= grid.h + 1e-6);
        if (node.body) assert.ok(node.body.w <= node.w && node.body.h <= node.h);
      }
    }
  });

  test(`${name}: declared rows go down, declared columns go right, and arrows start and end at their boxes`, () => {
    const net = readNetwork(value, WORDS);
    const options = fit(net, 1600);
    assert.equal(options.turned, false);
    const {nodes, edges} = layOut(net, options, 1600);
    for (const a of nodes) {
      for (const b of nodes) {
        if (a.box.column < b.box.column) assert.ok(a.cx < b.cx, `${a.box.label} lies left of ${b.box.label}`);
        if (a.box.row < b.box.row && Math.abs(a.cx - b.cx) < (a.w + b.w) / 2) assert.ok(a.y + a.h <= b.y, `${a.box.label} above ${b.box.label}`);
      }
    }
    const declared = net.tops.reduce((count, one) => count + one.inputs.length + one.skips.length, 0);
    assert.equal(edges.length, declared + 1); // and that from the input
    for (const edge of edges.filter(({way}) => way === 'straight' || way.endsWith('first'))) {
      const corners = points(pathOf(edge));
      const touches = ([x, y], node) => x >= node.x - 1e-6 && x <= node.x + node.w + 1e-6 && y >= node.y - 1e-6 && y <= node.y + node.h + 1e-6;
      assert.ok(touches(corners[0], edge.a) && touches(corners.at(-1), edge.b), pathOf(edge));
    }
  });
}

test('a chain goes straight down, each arrow from edge to edge', () => {
  const net = network(box('a', 0, 0), box('b', 1, 0, {inputs: ['a']}), box('c', 2, 0, {inputs: ['b']}));
  const nodes = net.tops.map((one) => makeNode(net, one, {limit: 60, text: 'beside'}, 32));
  const {edges} = arrange(nodes, 20, 30);
  assert.deepEqual(edges.map(({a, b, way, skip}) => [a.box.label, b.box.label, way, skip]), [['a', 'b', 'straight', false], ['b', 'c', 'straight', false]]);
  const [a, b] = nodes;
  assert.equal(b.y - (a.y + a.h), 30);
  assert.equal(pathOf(edges[0]), `M${a.cx},${a.y + a.h} V${b.y}`);
});

test('an arrow goes around a box that stands in its way', () => {
  const net = network(box('a', 0, 0), box('b', 1, 0, {inputs: ['a']}), box('c', 2, 0, {inputs: ['b'], skips: ['a']}));
  const nodes = net.tops.map((one) => makeNode(net, one, {limit: 60, text: 'beside'}, 32));
  const skip = arrange(nodes, 20, 30).edges.find((edge) => edge.skip);
  assert.deepEqual([skip.a.box.label, skip.b.box.label, skip.way], ['a', 'c', 'arc']);
});

test('a skip connection to another column turns one corner, on the free side', () => {
  const net = network(box('a', 0, 0), box('b', 1, 0, {inputs: ['a']}), box('c', 1, 1, {inputs: ['b'], skips: ['a']}));
  const nodes = net.tops.map((one) => makeNode(net, one, {limit: 60, text: 'beside'}, 32));
  assert.equal(arrange(nodes, 20, 30).edges.find((edge) => edge.skip).way, 'across first');
});

test('the wider the card, the larger the pictures', () => {
  for (const [name, value] of NETWORKS) {
    const limits = WIDTHS.map((width) => {
      const net = readNetwork(value, WORDS);
      const options = fit(net, width);
      return options.mini && !options.turned ? options.limit + 1000 : options.limit;
    });
    assert.ok(limits.at(-1) >= limits[0], `${name}: ${limits}`);
  }
});
