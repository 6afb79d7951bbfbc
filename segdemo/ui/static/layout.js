// Where boxes and arrows of a network's figure go. Pure: nothing is drawn here, and how wide a text is, is told.
export const LINE = 16; // of text, in pixels
export const PAD = 7; // within a box
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
  const w = Math.max(...nodes.map((node) => node.x + node.w));
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

// ---- which arrangement suits the width ----

function inputBox(net, boxes) {
  const first = boxes.find((box) => !box.inputs.length) ?? boxes[0];
  const free = (row, column) => row >= 0 && column >= 0 && !boxes.some((box) => box.row === row && box.column === column);
  const [row, column] = [[first.row - 1, first.column], [first.row, first.column - 1]].find((cell) => free(...cell))
    ?? [first.row - 1, first.column];
  const box = { label: '', short: net.t('input'), isInput: true, row, column, inputs: [], skips: [], flags: [] };
  return { ...box, thumbnail: net.value.picture, first: first.label };
}

// A grid too wide for the card is turned: its columns go down. A last resort, as a U then lies on its side.
const turn = (box) => ({ ...box, row: box.column, column: box.row });

export function layOut(net, options, width) {
  const tops = options.turned ? net.tops.map(turn) : net.tops;
  const input = inputBox(net, tops);
  const boxes = [input, ...tops.map((box) => (box.label === input.first ? { ...box, inputs: [''] } : box))];
  const side = sideOf(net.tops);
  const gap = options.text === 'beside' ? 26 : 16;
  const crowded = new Set(tops.map((box) => box.row).filter((row, i, rows) => rows.filter((one) => one === row).length > 2));
  const nodes = boxes.map((box) => makeNode(net, box, { ...options, crowded }, side));
  const plain = arrange(nodes, gap, 22);
  const spare = width - plain.w;
  if (!width || spare < 8 || plain.columns < 2) return plain;
  return arrange(nodes, gap + Math.min(70, spare / (plain.columns - 1)), 22);
}

// All ways to draw the boxes: with what is inside them or without, text beside or below, pictures large or small.
function candidates(isOpen_) {
  const sizes = isOpen_ ? [40, 33, 27, 22].flatMap((mini) => [1.6, 2.6].map((factor) => ({ mini, limit: mini * factor })))
    : [132, 108, 88, 72, 58, 46].map((limit) => ({ limit }));
  return ['beside', 'below', 'mixed'].flatMap((text) => sizes.map((size) => ({ ...size, text })));
}

// The best is large without being too high. Boxes that hold a figure of their own are drawn open wherever they fit;
// where they hold a mere chain, large pictures matter more.
export function fit(net, width) {
  const budget = Math.max(700, width * 1.25);
  let [best, narrowest] = [null, null];
  for (const turned of [false, true]) {
    for (const open of net.children.size ? [true, false] : [false]) {
      if (best && net.nested) break;
      for (const one of candidates(open)) {
        const options = { ...one, turned };
        const size = layOut(net, options, 0);
        const score = (open ? one.limit / 2 + one.mini * 2 + 20 : one.limit) - Math.max(0, size.h - budget) * 0.2;
        if (!narrowest || size.w < narrowest.w) narrowest = { options, w: size.w };
        if (size.w <= width && (!best || score > best.score)) best = { options, score };
      }
    }
    if (best) break;
  }
  return (best ?? narrowest).options;
}
