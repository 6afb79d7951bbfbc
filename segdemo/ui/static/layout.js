// Where boxes and arrows of a network's figure go. Pure: nothing is drawn here, and how wide a text is, is told.
export const LINE = 16; // of text, in pixels
export const PAD = 7; // within a box
const GAP = 22; // between rows of boxes
export const clamp = (x, low, high) => Math.min(high, Math.max(low, x));

// A network to lay out: the value, its boxes by label, the smaller boxes in them, those at the top.
// t: texts of the figure; textWidth(text, kind): pixels. null where there is nothing to draw.
export function readNetwork(value, { t, textWidth }) {
  if (!value?.boxes?.length) return null;
  const net = { value, t, textWidth, boxes: new Map(), children: new Map(), bodies: new Map(), tops: [] };
  for (const box of value.boxes) {
    net.boxes.set(box.label, box);
    if (!box.parent) net.tops.push(box);
    else net.children.set(box.parent, [...(net.children.get(box.parent) ?? []), box]);
  }
  net.ratio = value.picture ? value.picture[3] / value.picture[2] : 0.75;
  net.nested = value.boxes.some((box) => box.parent && box.skips.length);
  return net;
}

// ---- text ----

function wrap({ textWidth }, text, limit, kind) {
  const words = text.replaceAll(' · ', '\u00a0· ').split(/(?<=[ -])/); // no line begins with a dot
  if (words.length < 2 || textWidth(text, kind) <= limit) return [text];
  const halves = words.slice(1).map((_, i) => [words.slice(0, i + 1).join('').trim(), words.slice(i + 1).join('')]);
  const longer = (pair) => Math.max(...pair.map((half) => textWidth(half, kind)));
  return halves.reduce((best, pair) => (longer(pair) < longer(best) ? pair : best));
}

// A few dead channels are the rule with ReLU; in a small picture only what is serious gets a mark.
export const isAlarming = (box) => box.flags.some((flag) => flag !== 'dead') || 2 * box.dead_count >= (box.shape?.[0] ?? Infinity);
export const isVector = (box) => box.shape?.length === 1;
const sizeOf = (box) => (isVector(box) ? (box.thumbnail?.slice(2).reverse() ?? [1, 1]) : box.shape.slice(1)); // height, width
const shapeText = (box) => (box.shape ? box.shape.join(' × ') : 'C × h × w');
export const flagTexts = ({ t }, box, form) => box.flags.map((flag) =>
  t(`${flag}_${form}`, { count: box.dead_count, total: box.shape?.[0] ?? '?' }));

function linesOf(net, box, stacked, pictureWidth) {
  const limit = stacked ? Math.max(pictureWidth, 62) : 108;
  const lines = wrap(net, box.short ?? box.label, limit, 'label').map((text) => ({ text, kind: 'label' }));
  if (!box.isInput) {
    const split = stacked && net.textWidth(shapeText(box), 'shape') > limit + 8;
    const shapes = split ? shapeText(box).split(/(?<=^[^×]*×) /) : [shapeText(box)];
    lines.push(...shapes.map((text) => ({ text, kind: 'shape' })));
  }
  lines.push(...flagTexts(net, box, 'short').map((text) => ({ text: '▲ ' + text, kind: 'warn' })));
  return lines;
}

// ---- sizes ----

// Pictures shrink with their maps, but much more slowly, so that the smallest can still be seen.
function pictureSize(net, box, limit, largest, power) {
  const [high, wide] = box.shape ? sizeOf(box) : [net.ratio, 1];
  const ratio = clamp(high / wide, 0.4, 2.5);
  const share = box.isInput ? 1 : box.shape ? (Math.max(high, wide) / largest) ** power : 0.86 ** box.row;
  const long = Math.round(limit * clamp(share, 0.45, 1));
  return ratio > 1 ? [Math.round(long / ratio), long] : [long, Math.round(long * ratio)];
}

function makeHead(net, box, limit, stacked, largest) {
  const [width, height] = pictureSize(net, box, limit, largest, 0.3);
  const sheets = box.shape && !isVector(box) ? clamp(Math.round(Math.log2(box.shape[0]) / 2.2) - 1, 0, 4) : 0;
  const [w, h] = [width + 2 * sheets, height + 2 * sheets];
  const lines = linesOf(net, box, stacked, w);
  const textW = Math.max(...lines.map((line) => net.textWidth(line.text, line.kind)));
  const textH = lines.length * LINE;
  const picture = { w: width, h: height, sheets };
  if (stacked) {
    const all = Math.max(w, textW);
    Object.assign(picture, { x: (all - width) / 2, y: 2 * sheets });
    return { w: all, h: h + 4 + textH, picture, lines, textX: all / 2, textY: h + 4, stacked };
  }
  const tall = Math.max(h, textH);
  Object.assign(picture, { x: 0, y: (tall - h) / 2 + 2 * sheets });
  return { w: w + 8 + textW, h: tall, picture, lines, textX: w + 8, textY: (tall - textH) / 2, stacked };
}

export const sideOf = (boxes) => Math.max(1, ...boxes.filter((box) => box.shape).map((box) => Math.max(...sizeOf(box))));

function makeMini(net, box, limit, largest) {
  const [w, h] = pictureSize(net, box, limit, largest, 0.18);
  return { box, w, h, anchor: h / 2, picture: { x: 0, y: 0, w, h, sheets: 0 } };
}

// What is inside a box, small; the same for every arrangement of the boxes themselves.
function makeBody(net, box, limit) {
  const key = `${box.label} ${limit}`;
  const inside = limit ? net.children.get(box.label) : null;
  if (inside && !net.bodies.has(key)) {
    const side = sideOf(inside);
    net.bodies.set(key, arrange(inside.map((child) => makeMini(net, child, limit, side)), 9, 7));
  }
  return inside ? net.bodies.get(key) : null;
}

export function makeNode(net, box, options, largest) {
  const body = makeBody(net, box, options.mini);
  const crowded = options.crowded?.has(box.row) || options.mini;
  const stacked = options.text === 'below' || (options.text === 'mixed' && !body && crowded);
  const head = makeHead(net, box, options.limit, stacked, largest);
  const node = { box, head, w: head.w + 2 * PAD, h: head.h + 2 * PAD };
  node.anchor = PAD + head.picture.y + head.picture.h / 2;
  if (body) {
    node.body = body;
    node.w = Math.max(node.w, body.w + 2 * PAD);
    node.h += body.h + PAD;
  }
  return node;
}

// ---- the grid: declared rows and columns become positions ----

// Which way an arrow goes, decided by free cells alone: straight, around one corner, or as a curve.
function plan(a, b, taken) {
  const own = [`${a.col},${a.row}`, `${b.col},${b.row}`];
  const clear = (...corners) => corners.slice(1).every(([c, r], i) => {
    let [x, y] = corners[i];
    for (let left = 50; left; left--) {
      if (taken.has(`${x},${y}`) && !own.includes(`${x},${y}`)) return false;
      if (x === c && y === r) return true;
      [x, y] = [x + Math.sign(c - x), y + Math.sign(r - y)];
    }
    return false;
  });
  const [from, to] = [[a.col, a.row], [b.col, b.row]];
  if (a.col === b.col || a.row === b.row) return clear(from, to) ? 'straight' : 'arc';
  const ways = { 'down first': [a.col, b.row], 'across first': [b.col, a.row] };
  const order = b.row > a.row ? ['down first', 'across first'] : ['across first', 'down first'];
  return order.find((way) => clear(from, ways[way], to)) ?? 'curve';
}

// The smallest positions that keep every distance in `gaps` ([from, to, distance], from < to), and then their mean with
// the largest ones, which puts what is free to move in the middle.
function solve(keys, gaps, centred) {
  const low = new Map(keys.map((key) => [key, 0]));
  keys.forEach((key, i) => gaps.concat(i ? [[keys[i - 1], key, 8]] : [])
    .forEach(([from, to, gap]) => to === key && low.set(key, Math.max(low.get(key), low.get(from) + gap))));
  if (!centred) return low;
  const high = new Map(keys.map((key) => [key, gaps.some(([from]) => from === key) ? Infinity : low.get(key)]));
  [...keys].reverse().forEach((key) => gaps.forEach(([from, to, gap]) =>
    from === key && high.set(key, Math.min(high.get(key), high.get(to) - gap))));
  return new Map(keys.map((key) => [key, (low.get(key) + high.get(key)) / 2]));
}

function edgesOf(nodes) {
  const known = new Map(nodes.map((node) => [node.box.label, node]));
  const taken = new Set(nodes.map((node) => `${node.col},${node.row}`));
  const edge = (label, to, skip) => known.has(label)
    && { a: known.get(label), b: to, skip, way: plan(known.get(label), to, taken) };
  return nodes.flatMap((to) => [
    ...to.box.inputs.map((label) => edge(label, to, false)), ...to.box.skips.map((label) => edge(label, to, true)),
  ]).filter(Boolean);
}

function columnGaps(nodes, edges, gap) {
  const gaps = [];
  const add = (a, b, distance) => gaps.push(a.col < b.col ? [a.col, b.col, distance] : [b.col, a.col, distance]);
  for (const a of nodes) {
    const right = nodes.filter((b) => b.row === a.row && b.col > a.col).sort((b, c) => b.col - c.col)[0];
    if (right) add(a, right, (a.w + right.w) / 2 + gap);
  }
  for (const { a, b, way } of edges) {
    if (way === 'down first') add(a, b, b.w / 2 + gap * 0.7);
    if (way === 'across first') add(a, b, a.w / 2 + gap * 0.7);
    if (way === 'curve') add(a, b, (a.w + b.w) / 2 + gap);
  }
  return gaps;
}

function rowGaps(nodes, edges, gap) {
  const gaps = [];
  const below = (node) => node.h - node.anchor;
  for (const a of nodes) {
    for (const b of nodes) {
      const apart = Math.abs(a.cx - b.cx) - (a.w + b.w) / 2;
      if (a.row < b.row && apart < 6) gaps.push([a.row, b.row, below(a) + gap + b.anchor]);
    }
  }
  for (const { a, b, way } of edges) {
    const [upper, lower] = a.row < b.row ? [a, b] : [b, a];
    const cornerIsLow = (way === 'down first') === (lower === b);
    if (way === 'down first' || way === 'across first') {
      gaps.push([upper.row, lower.row, cornerIsLow ? below(upper) + gap * 0.7 : lower.anchor + gap * 0.7]);
    }
  }
  return gaps;
}

export function arrange(nodes, gapX, gapY) {
  for (const node of nodes) [node.col, node.row] = [node.box.column, node.box.row];
  const keys = (key) => [...new Set(nodes.map((node) => node[key]))].sort((a, b) => a - b);
  const edges = edgesOf(nodes);
  const columns = solve(keys('col'), columnGaps(nodes, edges, gapX), true);
  for (const node of nodes) node.cx = columns.get(node.col);
  const rows = solve(keys('row'), rowGaps(nodes, edges, gapY), false);
  for (const node of nodes) [node.x, node.y] = [node.cx - node.w / 2, rows.get(node.row) - node.anchor];
  const [left, top] = [Math.min(...nodes.map((node) => node.x)), Math.min(...nodes.map((node) => node.y))];
  for (const node of nodes) [node.x, node.y, node.cx] = [node.x - left, node.y - top, node.cx - left];
  const arcs = edges.filter(({ a, b, way }) => way === 'arc' && a.row !== b.row); // they go around, at the right
  const w = Math.max(...nodes.map((node) => node.x + node.w), ...arcs.map(({ a, b }) => Math.max(a.x + a.w, b.x + b.w) + 14));
  return { nodes, edges, w, h: Math.max(...nodes.map((node) => node.y + node.h)), columns: columns.size };
}

export function pathOf({ a, b, way }) {
  const [right, down] = [Math.sign(b.cx - a.cx), Math.sign(b.row - a.row)];
  const middle = (n) => n.y + n.anchor;
  const side = (n, s) => (s > 0 ? n.x + n.w : n.x);
  const edge = (n, s) => (s > 0 ? n.y + n.h : n.y);
  if (way === 'arc') {
    const high = a.row === b.row ? Math.min(a.y, b.y) - 16 : 0;
    const far = Math.max(a.x + a.w, b.x + b.w) + 16;
    return a.row === b.row ? `M${a.cx},${a.y} C${a.cx},${high} ${b.cx},${high} ${b.cx},${b.y}`
      : `M${a.x + a.w},${middle(a)} C${far},${middle(a)} ${far},${middle(b)} ${b.x + b.w},${middle(b)}`;
  }
  if (way === 'straight' && a.col === b.col) return `M${a.cx},${edge(a, down)} V${edge(b, -down)}`;
  if (way === 'straight') return `M${side(a, right)},${middle(a)} H${side(b, -right)}`;
  if (way === 'curve') {
    const [x1, x2] = [side(a, right), side(b, -right)];
    const half = (x1 + x2) / 2;
    return `M${x1},${middle(a)} C${half},${middle(a)} ${half},${middle(b)} ${x2},${middle(b)}`;
  }
  const bend = Math.min(8, a.h / 3, b.h / 3);
  if (way === 'down first') {
    return `M${a.cx},${edge(a, down)} V${middle(b) - down * bend} Q${a.cx},${middle(b)} ${a.cx + right * bend},${middle(b)}`
      + ` H${side(b, -right)}`;
  }
  return `M${side(a, right)},${middle(a)} H${b.cx - right * bend} Q${b.cx},${middle(a)} ${b.cx},${middle(a) + down * bend}`
    + ` V${edge(b, -down)}`;
}

// ---- the input ----

function inputBox(net, boxes) {
  const first = boxes.find((box) => !box.inputs.length) ?? boxes[0];
  const free = (row, column) => row >= 0 && column >= 0 && !boxes.some((box) => box.row === row && box.column === column);
  const [row, column] = [[first.row - 1, first.column], [first.row, first.column - 1]].find((cell) => free(...cell))
    ?? [first.row - 1, first.column];
  const box = { label: '', short: net.t('input'), isInput: true, row, column, inputs: [], skips: [], flags: [] };
  return { ...box, thumbnail: net.value.picture, first: first.label };
}

// ---- other grids than the declared one ----

const swapped = (boxes) => boxes.map((box) => ({ ...box, row: box.column, column: box.row }));

// Every box in the row of its distance from the input: a chain becomes one column, whatever was declared.
function inLine(boxes) {
  const rows = new Map();
  const known = new Map(boxes.map((box) => [box.label, box]));
  const rowOf = (box) => {
    if (!rows.has(box.label)) {
      rows.set(box.label, 0); // ends what goes in circles
      const before = box.inputs.filter((label) => known.has(label)).map((label) => rowOf(known.get(label)) + 1);
      rows.set(box.label, Math.max(0, ...before));
    }
    return rows.get(box.label);
  };
  const taken = new Map();
  return boxes.map((box) => {
    const row = rowOf(box);
    const column = taken.get(row) ?? 0;
    taken.set(row, column + 1);
    return { ...box, row, column };
  });
}

// A tall grid goes on beside itself: its rows in strips from left to right, every other one upwards.
function folded(boxes, strips) {
  const rows = [...new Set(boxes.map((box) => box.row))].sort((a, b) => a - b);
  const each = Math.ceil(rows.length / strips);
  const first = Math.min(...boxes.map((box) => box.column));
  const wide = Math.max(...boxes.map((box) => box.column)) - first + 1;
  return boxes.map((box) => {
    const [strip, row] = [Math.floor(rows.indexOf(box.row) / each), rows.indexOf(box.row) % each];
    return { ...box, column: strip * wide + box.column - first, row: strip % 2 ? each - 1 - row : row };
  });
}

// turned: columns go down; line: boxes in one line; strips: of a folded grid, `across`: strips below each other.
function regrid(boxes, { turned, line, strips = 1, across }) {
  const start = line ? inLine(boxes) : turned ? swapped(boxes) : boxes;
  if (strips === 1) return across ? swapped(start) : start;
  return across ? swapped(folded(start, strips)) : folded(start, strips);
}

const withInput = (net, tops) => {
  const input = inputBox(net, tops);
  return [input, ...tops.map((box) => (box.label === input.first ? { ...box, inputs: [''] } : box))];
};

export function layOut(net, options, width) {
  const { line, strips = 1 } = options;
  // In a line the input is the first of its boxes; else it takes a free cell beside the first.
  const boxes = line || strips > 1 ? regrid(withInput(net, net.tops), options) : withInput(net, regrid(net.tops, options));
  const side = sideOf(net.tops);
  const gap = options.tight ? 10 : options.text === 'beside' ? 26 : 16;
  const down = options.tight ? 13 : GAP;
  const crowded = new Set(boxes.map((box) => box.row).filter((row, i, rows) => rows.filter((one) => one === row).length > 2));
  const nodes = boxes.map((box) => makeNode(net, box, { ...options, crowded }, side));
  const plain = arrange(nodes, gap, down);
  const spare = width - plain.w;
  if (!width || spare < 8 || plain.columns < 2) return plain;
  return arrange(nodes, gap + Math.min(70, spare / (plain.columns - 1)), down);
}

// ---- which of them suits the pane ----

const SMALLEST = 9 / 12; // of the letters, which are 12 pixels high: smaller they cannot be read
const LIMITS = [280, 220, 170, 132, 108, 88, 72, 58, 46];
const MINIS = [110, 85, 64, 52, 40, 33, 27, 22];
const INSIDE = 130; // pixels below closed boxes, for what is inside the one picked

// All grids worth trying. A U, and whatever else has skip connections, keeps the form that was declared for it.
function grids(net) {
  const all = [{ turned: false }, { turned: true }];
  if (net.tops.some((box) => box.skips.length)) return all;
  all.push({ line: true }, { line: true, across: true });
  for (let strips = 2; strips <= Math.min(6, net.tops.length / 2); strips++) {
    all.push({ line: true, strips }, { line: true, strips, across: true });
  }
  return all;
}

const sizes = (open) => (open ? MINIS.flatMap((mini) => [1.6, 2.6].map((factor) => ({ mini, limit: mini * factor })))
  : LIMITS.map((limit) => ({ limit })));

// How one way to draw the boxes fills the pane: the scale that shows all of it, and how large its pictures are then.
function tried(net, options, { width, height }) {
  const { w, h } = layOut(net, options, 0);
  const room = net.children.size && !options.mini && !options.tight ? height - INSIDE : height;
  const scale = Math.min(1, width / w, room / h);
  const worth = options.mini ? options.limit / 2 + options.mini * 2 + (net.nested ? 80 : 20) : options.limit;
  const plain = options.turned ? 0.8 : (options.strips ?? 1) > 1 ? 0.95 : 1;
  return { options, w, h, scale, score: worth * scale * plain };
}

const bestBy = (key, all) => all.reduce((best, one) => (best && best[key] >= one[key] ? best : one), null);

// The way with the largest pictures that shows the whole network with letters one can read: boxes with what is inside
// them or without, text beside or below, in the declared grid or another. Where there is none, one goes on below the
// pane. `scale`: how much smaller than laid out it is to be drawn.
export function fit(net, width, height = Math.max(700, width * 1.25)) {
  const [found, others] = sought(net, { width, height }, {});
  const [tight, last] = found.length ? [[], []] : sought(net, { width, height }, { tight: true });
  const best = bestBy('score', found) ?? bestBy('score', tight) ?? bestBy('flat', [...others, ...last]);
  return { ...best.options, scale: best.scale >= SMALLEST ? best.scale : clamp(width / best.w, SMALLEST, 1) };
}

// What fits of all ways to draw the boxes, and what does not. tight: with small gaps, and with what is inside the box
// that was picked below the pane.
function sought(net, pane, more) {
  const [found, others] = [[], []];
  for (const open of net.children.size ? [true, false] : [false]) {
    const middle = open ? { mini: 27, limit: 43 } : { limit: 58 };
    const ways = grids(net).flatMap((grid) => ['beside', 'below', 'mixed'].map((text) => ({ ...grid, ...more, text })));
    const first = ways.map((way) => tried(net, { ...way, ...middle }, pane));
    const narrow = [...first].sort((a, b) => a.w - b.w).slice(0, 2);
    const promising = new Set([...first.sort((a, b) => b.score - a.score).slice(0, 6), ...narrow]);
    for (const { options: way } of promising) {
      for (const size of sizes(open)) {
        const one = tried(net, { ...way, ...size }, pane);
        if (one.scale >= SMALLEST) found.push(one);
        else others.push({ ...one, flat: pane.width / one.w >= SMALLEST ? -one.h : -1e4 - one.w });
      }
    }
  }
  return [found, others];
}
