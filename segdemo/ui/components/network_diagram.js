// The network as a figure. network_layout.js, which comes before, says where everything goes: that depends on the width
// of the card, so the server cannot know it.
const NS = 'http://www.w3.org/2000/svg';
const find = (selector) => element.querySelector(selector);
const [svg, figure, tip] = [find('.drawing'), find('.figure'), find('.tip')];
const root = element.closest('.block') ?? element;
const unique = 'diagram-' + Math.random().toString(36).slice(2);
let net = null; // what is drawn: value, boxes by label, their children
let placed = new Map(); // label -> { g, box, rect }
let [selected, focused, loading, drawnWidth, isOpen] = [null, null, 0, 0, false];

const make = (name, attributes, parent, text) => {
  const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text !== undefined) node.textContent = text;
  parent?.append(node);
  return node;
};

// ---- drawing ----

// The frame belongs to the box, the picture lies over it: as a part of the box, the uncut sprite would count for its size.
function drawPicture(parent, layer, box, { x, y, w, h, sheets }, [left, top]) {
  for (let k = sheets; k > 0; k--) make('rect', { class: 'sheet', x: x + 2 * k, y: y - 2 * k, width: w, height: h }, parent);
  make('rect', { class: 'frame', x: x - 0.5, y: y - 0.5, width: w + 1, height: h + 1 }, parent);
  if (box.thumbnail && net.value.sprite) {
    const window_ = make('svg', { class: 'picture', x: left + x, y: top + y, width: w, height: h,
      viewBox: box.thumbnail.join(' '), preserveAspectRatio: 'none' }, layer);
    const [width, height] = net.value.sprite_size;
    // Enlarged maps keep their pixels; reduced ones are averaged, as leaving pixels out would mislead.
    const look = w * devicePixelRatio >= box.thumbnail[2] && !box.isInput ? 'exact' : 'reduced';
    make('image', { href: net.value.sprite.url, width, height, class: look }, window_);
  } else {
    make('rect', { x, y, width: w, height: h, fill: `url(#${unique}-hatch)` }, parent);
  }
}

function describe(box) {
  const [c, h, w] = box.shape ?? [];
  return [box.label, box.shape ? t(isVector(box) ? 'values' : 'shape_spoken', { c, h, w }) : t('shape_unknown'), ...flagTexts(box, 'long')].join(', ');
}

function drawNode(layer, node, left, top) {
  const { box, head, w, h } = node;
  const [x, y] = [left + node.x, top + node.y];
  const kind = box.isInput ? 'input' : head ? 'node' : 'node mini';
  const g = make('g', { class: kind, transform: `translate(${x} ${y})` }, layer);
  if (!box.isInput) {
    const attributes = { role: 'button', tabindex: -1, 'aria-pressed': false, 'aria-label': describe(box) };
    for (const [key, value] of Object.entries({ ...attributes, 'data-label': box.label })) g.setAttribute(key, value);
    placed.set(box.label, { g, box, rect: { x, y, w, h: node.body ? head.h + 2 * PAD : h } });
  }
  if (head) {
    make('rect', { class: 'box', width: w, height: h, rx: 8 }, g);
    const indent = head.stacked ? (w - head.w) / 2 : PAD;
    const inner = make('g', { transform: `translate(${indent} ${PAD})` }, g);
    drawPicture(inner, layer, box, head.picture, [x + indent, y + PAD]);
    head.lines.forEach((line, i) => make('text', { class: line.kind, x: head.textX, y: head.textY + i * LINE + 12,
      'text-anchor': head.stacked ? 'middle' : 'start' }, inner, line.text));
  } else {
    const hit = Math.max(28, w + 8);
    make('rect', { class: 'hit', x: (w - hit) / 2, y: -4, width: hit, height: h + 8, rx: 4 }, g);
    drawPicture(g, layer, box, node.picture, [x, y]);
    if (isAlarming(box)) make('circle', { class: 'mark', cx: x + w, cy: y, r: 3.5 }, layer);
  }
  if (node.body) drawGrid(layer, node.body, x + (w - node.body.w) / 2, y + PAD + head.h + PAD, 'small');
}

function drawGrid(layer, grid, left, top, size = '') {
  const arrows = make('g', { class: `arrows ${size}`, transform: `translate(${left} ${top})` }, layer);
  for (const edge of grid.edges) {
    const kind = edge.skip ? 'skip' : 'data';
    make('path', { class: `arrow ${kind}`, d: pathOf(edge), 'marker-end': `url(#${unique}-${kind})` }, arrows);
  }
  for (const node of grid.nodes) drawNode(layer, node, left, top);
}

function drawDefinitions() {
  const defs = make('defs', {}, svg);
  for (const kind of ['data', 'skip']) {
    const marker = make('marker', { id: `${unique}-${kind}`, viewBox: '0 0 10 10', refX: 9, refY: 5, markerWidth: 5.5,
      markerHeight: 5.5, orient: 'auto-start-reverse' }, defs);
    make('path', { class: `tip-of ${kind}`, d: 'M0,1 L10,5 L0,9 Z' }, marker);
  }
  const hatch = make('pattern', { id: `${unique}-hatch`, width: 7, height: 7, patternUnits: 'userSpaceOnUse',
    patternTransform: 'rotate(45)' }, defs);
  make('rect', { class: 'hatch-ground', width: 7, height: 7 }, hatch);
  make('path', { class: 'hatch-line', d: 'M0,0 V7' }, hatch);
}

// Where boxes are drawn closed, what is inside the picked one is drawn in a panel below.
function drawPanel(layer, top, width) {
  const holder = net.boxes.get(selected)?.parent ?? selected;
  const inside = net.children.get(holder);
  make('text', { class: inside ? 'label' : 'shape', x: 12, y: top + 22 }, layer,
    inside ? t('inside', { label: holder }) : t(net.children.size && !selected ? 'inside_hint' : 'inside_none'));
  let height = 34;
  if (inside) {
    const short = (box) => ({ ...box, short: box.label.startsWith(`${holder} · `) ? box.label.slice(holder.length + 3) : box.label });
    const grids = [[56, 'beside'], [44, 'beside'], [64, 'below'], [44, 'below']].map(([limit, text]) =>
      arrange(inside.map((box) => makeNode(short(box), { limit, text }, sideOf(inside))), 22, 18));
    const grid = grids.find((one) => one.w <= width - 24) ?? grids[3];
    drawGrid(layer, grid, 12, top + 34);
    height += grid.h + 12;
  }
  layer.prepend(make('rect', { class: 'panel', x: 0.5, y: top + 0.5, width: width - 1, height, rx: 8 }));
  return height + 1;
}

function drawFigure() {
  const start = performance.now();
  drawnWidth = Math.min(figure.clientWidth || 600, 1800);
  const options = fit(drawnWidth - 4);
  const grid = layOut(options, drawnWidth - 4);
  const width = Math.max(drawnWidth, grid.w + 2);
  isOpen = Boolean(options.mini) || !net.children.size;
  const hadFocus = svg.contains(document.activeElement);
  svg.replaceChildren();
  placed = new Map();
  drawDefinitions();
  const layer = make('g', {}, svg);
  drawGrid(layer, grid, (width - grid.w) / 2, 8);
  let height = grid.h + 16;
  if (!isOpen) height += 8 + drawPanel(layer, height + 8, width);
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  // A scroll bar that comes up may make the figure a little smaller; one that is too wide scrolls in its card.
  svg.style.minWidth = width > drawnWidth ? `${width}px` : '0';
  svg.style.maxWidth = `${width}px`;
  svg.setAttribute('aria-label', t('figure_spoken', { title: net.value.title, count: placed.size }));
  mark();
  if (hadFocus) placed.get(focused).g.focus({ preventScroll: true });
  element.dataset.layout = isOpen ? 'open' : 'closed';
  element.dataset.drawMs = (performance.now() - start).toFixed(1);
}

function drawWords() {
  const { value } = net ?? {};
  for (const part of ['figure', 'legend']) find('.' + part).hidden = !net;
  find('.empty').hidden = Boolean(net);
  find('.enlarge').hidden = !net;
  find('.empty').textContent = t('empty');
  find('.heading').textContent = t('heading');
  find('.network').textContent = value?.title ?? '';
  find('.badge').hidden = !value?.untrained;
  find('.badge').textContent = t('untrained');
  find('.badge').title = t('untrained_long');
  find('.before').hidden = !net || net.value.boxes.some((box) => box.thumbnail);
  find('.before').textContent = t('before');
  const item = (kind, key) => {
    const span = document.createElement('span');
    const sample = make('svg', { width: 34, height: 10, 'aria-hidden': true }, span);
    if (kind) make('path', { class: `arrow ${kind}`, d: 'M1,5 H31', 'marker-end': `url(#${unique}-${kind})` }, sample);
    else sample.remove();
    span.append(t(key));
    return span;
  };
  find('.legend').replaceChildren(item('data', 'legend_data'), item('skip', 'legend_skip'), item('', 'legend_picture'));
}

async function draw() {
  const value = props.value;
  const mine = ++loading;
  if (value?.sprite) {
    const image = new Image();
    image.src = value.sprite.url;
    await image.decode().catch(() => {}); // a lost picture leaves its boxes empty
    if (mine !== loading) return;
  }
  tip.hidden = true;
  net = value?.boxes?.length ? { value, boxes: new Map(), children: new Map(), bodies: new Map(), tops: [] } : null;
  for (const box of value?.boxes ?? []) {
    net.boxes.set(box.label, box);
    if (!box.parent) net.tops.push(box);
    else net.children.set(box.parent, [...(net.children.get(box.parent) ?? []), box]);
  }
  if (net) {
    net.ratio = value.picture ? value.picture[3] / value.picture[2] : 0.75;
    net.nested = value.boxes.some((box) => box.parent && box.skips.length);
    selected = net.boxes.has(value.selected) ? value.selected : null;
  }
  drawWords();
  if (net) drawFigure();
  if (net && selected) writeAddress();
  element.dataset.ready = `${Date.now()}-${mine}`;
}

// ---- picking ----

function mark() {
  const holder = net.boxes.get(selected)?.parent;
  if (!placed.has(focused)) focused = placed.has(selected) ? selected : placed.keys().next().value;
  for (const [label, { g }] of placed) {
    g.setAttribute('aria-pressed', String(label === selected));
    g.setAttribute('tabindex', label === focused ? 0 : -1);
    g.classList.toggle('holds', label === holder);
  }
}

function writeAddress() {
  const address = new URL(location.href);
  address.searchParams.set('stage', selected);
  history.replaceState(history.state, '', address);
}

function pick(label) {
  selected = focused = label;
  props.value = { ...props.value, selected: label };
  if (isOpen) mark();
  else drawFigure();
  find('.picked').textContent = t('picked', { label });
  writeAddress();
  trigger('select', { index: label, value: label });
}

function showTip(label) {
  const spot = placed.get(label);
  if (!spot) return;
  const box = net.boxes.get(label);
  const line = (text, kind) => Object.assign(document.createElement('div'), { textContent: text, className: kind });
  const [c, h, w] = box.shape ?? [];
  const inside = net.children.get(label)?.length;
  const lines = [line(label, 'tip-label'), line(box.layer, 'tip-layer')];
  lines.push(line(box.shape ? t(isVector(box) ? 'values' : 'shape_long', { c, h, w }) : t('shape_unknown'), ''));
  if (isVector(box) && box.thumbnail) lines.push(line(t('shown_all', { count: c }), ''));
  if (box.channel !== null && box.shape) lines.push(line(t(c > 1 ? 'shown' : 'shown_only', { channel: box.channel }), ''));
  if (box.inputs.length) lines.push(line(t('from', { labels: box.inputs.join(', ') }), ''));
  if (box.skips.length) lines.push(line(t('skip_from', { labels: box.skips.join(', ') }), ''));
  if (inside) lines.push(line(t('holds', { count: inside }), ''));
  lines.push(...flagTexts(box, 'long').map((text) => line(text, 'tip-warn')));
  tip.replaceChildren(...lines);
  tip.hidden = false;
  const [outer, inner] = [figure.getBoundingClientRect(), spot.g.getBoundingClientRect()];
  tip.style.left = `${clamp(inner.left - outer.left, 0, Math.max(0, outer.width - tip.offsetWidth))}px`;
  const below = inner.bottom + tip.offsetHeight + 12 < innerHeight;
  tip.style.top = `${below ? inner.bottom - outer.top + 8 : inner.top - outer.top - tip.offsetHeight - 8}px`;
}

function neighbour(label, key) {
  const flat = key === 'ArrowLeft' || key === 'ArrowRight';
  const sign = key === 'ArrowRight' || key === 'ArrowDown' ? 1 : -1;
  const centre = ({ x, y, w, h }) => (flat ? [x + w / 2, y + h / 2] : [y + h / 2, x + w / 2]);
  const here = placed.get(label);
  const [along, across] = centre(here.rect);
  const others = [...placed].filter(([other]) => other !== label).map(([other, { box, rect }]) => {
    const [a, b] = centre(rect);
    return { other, near: box.parent === here.box.parent, ahead: sign * (a - along), aside: Math.abs(b - across) };
  }).filter(({ ahead }) => ahead > 3);
  const siblings = others.filter(({ near }) => near);
  const pool = flat && siblings.length ? siblings : others;
  return pool.sort((p, q) => p.ahead + 3 * p.aside - q.ahead - 3 * q.aside)[0]?.other;
}

function onKey(event) {
  const label = event.target.closest('.node')?.dataset.label;
  if (!label) return;
  const next = event.key.startsWith('Arrow') ? neighbour(label, event.key)
    : event.key === 'Escape' && tip.hidden ? net.boxes.get(label).parent : null;
  if (event.key === 'Enter' || event.key === ' ') pick(label);
  else if (event.key === 'Escape' && !tip.hidden) tip.hidden = true;
  else if (next) {
    focused = next;
    mark();
    placed.get(next).g.focus();
  } else if (!event.key.startsWith('Arrow')) return;
  event.preventDefault();
}

function enlarge() {
  const isWide = !root.classList.contains('wide');
  for (const one of [root, element]) one.classList.toggle('wide', isWide);
  nameButton();
}

function nameButton() {
  const isWide = root.classList.contains('wide');
  find('.enlarge').textContent = t(isWide ? 'narrower' : 'enlarge');
  find('.enlarge').setAttribute('aria-pressed', String(isWide));
}

const labelAt = (event) => event.target.closest?.('.node')?.dataset.label;
svg.addEventListener('click', (event) => labelAt(event) && pick(labelAt(event)));
svg.addEventListener('keydown', onKey);
svg.addEventListener('pointerover', (event) => (labelAt(event) ? showTip(labelAt(event)) : (tip.hidden = true)));
svg.addEventListener('pointerleave', () => (tip.hidden = true));
// On the figure, as an SVG that listens to focus becomes a tab stop itself in Chromium.
figure.addEventListener('focusin', (event) => event.target.matches(':focus-visible') && labelAt(event) && showTip(labelAt(event)));
figure.addEventListener('focusout', () => (tip.hidden = true));
find('.enlarge').addEventListener('click', enlarge);
// A little more or less width, as from a scroll bar that comes and goes, is no reason to lay out anew.
new ResizeObserver(() => {
  if (net && figure.clientWidth && Math.abs(figure.clientWidth - drawnWidth) > 18) drawFigure();
}).observe(figure);
nameButton();
watch('value', draw);
draw();
