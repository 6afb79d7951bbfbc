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
    const {nodes, edges} = layOut(net, {limit: 88, text: 'below'}, 1600);
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

const PANES = [[450, 640], [640, 820], [1400, 800]]; // on a laptop, on a large screen, over a whole window

for (const [name, value] of NETWORKS) {
  test(`${name}: a pane of a laptop shows the whole network in letters of 9 pixels or more`, () => {
    for (const [width, height] of PANES) {
      const net = readNetwork({...value, picture: [0, 0, 64, 48]}, WORDS);
      const options = fit(net, width, height);
      const {w, h} = layOut(net, options, 0);
      assert.ok(12 * options.scale >= 9, `${12 * options.scale} pixels at ${width} × ${height}`);
      assert.ok(w * options.scale <= width + 1e-6 && h * options.scale <= height + 1e-6, `${w} × ${h} by ${options.scale} at ${width} × ${height}`);
    }
  });

  test(`${name}: in a larger pane the pictures are larger`, () => {
    const sizes = [[450, 640], [1400, 860]].map(([width, height]) => {
      const options = fit(readNetwork(value, WORDS), width, height);
      return (options.mini ? options.limit / 2 + options.mini * 2 : options.limit) * options.scale;
    });
    assert.ok(sizes[1] > sizes[0], String(sizes));
  });
}

const chain = (count) => network(...Array.from({length: count}, (_, i) => box(`s${i}`, i, 0, {inputs: i ? [`s${i - 1}`] : []})));

test('a long chain is folded where the pane is wide and low, and each arrow still goes to a neighbour', () => {
  const net = chain(12);
  const options = fit(net, 600, 420);
  assert.ok(options.strips > 1);
  const {nodes, edges, w, h} = layOut(net, options, 0);
  assert.ok(w * options.scale <= 600 && h * options.scale <= 420);
  assert.equal(nodes.length, 13);
  for (const {a, b, way} of edges) {
    assert.equal(way, 'straight', `${a.box.label} to ${b.box.label}`);
    assert.equal(Math.abs(a.row - b.row) + Math.abs(a.col - b.col), 1, `${a.box.label} to ${b.box.label}`);
  }
});

test('what cannot be shown legibly as a whole keeps its letters and goes on below the pane', () => {
  const net = chain(40);
  const options = fit(net, 340, 200);
  const {w, h} = layOut(net, options, 0);
  assert.ok(12 * options.scale >= 9);
  assert.ok(w * options.scale <= 340 && h * options.scale > 200);
});

test('a network with skip connections is never folded', () => {
  const net = network(box('a', 0, 0), box('b', 1, 0, {inputs: ['a']}), box('c', 0, 1, {inputs: ['b'], skips: ['a']}));
  for (const [width, height] of [[200, 900], [900, 150], [340, 200]]) assert.equal(fit(net, width, height).strips, undefined);
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
