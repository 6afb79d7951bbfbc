// The network as a figure. How much room its pane has decides where everything goes, so the server cannot know it.
import { change, follow, listed, listenToWalks, read, unlisted } from '../static/address.js';
import { draw, make, uniqueName } from '../static/dom.js';
import { loadPicture, lostNote } from '../static/files.js';
import { termed } from '../static/glossary.js';
import { pixelAt, shareAt } from '../static/geometry.js';
import { LINE, PAD, arrange, clamp, fit, flagTexts, isAlarming, isVector, layOut, makeNode, pathOf, readNetwork, sideOf }
  from '../static/layout.js';
import { tell } from '../static/picks.js';
import * as pointer from '../static/pointer.js';
import { ask } from '../static/server.js';
import { textsOf } from '../static/texts.js';
import { askTool } from '../static/tools.js';
import { python } from '../static/why.js';

// What a box is called: what is written in it, if anything, and what its signs mean.
const describe = (net, box, lines = []) => {
  const { t } = net;
  if (lines.length) return [lines.map(({ text }) => text).join(' '), ...flagTexts(net, box, 'long')].join(', ');
  const [c, h, w] = box.shape ?? [];
  return [box.label, box.shape ? t(isVector(box) ? 'values' : 'shape_spoken', { c, h, w }) : t('shape_unknown'), ...flagTexts(net, box, 'long')].join(', ');
};

// The box that an arrow key leads to from one: the nearest ahead, preferably one beside it.
const neighbour = (placed, label, key) => {
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
};

// Whether places in the picture of a box are places in the picture that the network sees.
const isLinked = (box) => box.isInput || (box.shape?.length === 3 && box.shape[1] * box.shape[2] > 1);

// Measures texts in the font of an element, each once.
const measureIn = (element) => {
  const pen = document.createElement('canvas').getContext('2d');
  const widths = new Map();
  return (text, kind) => {
    const key = kind + text;
    if (!widths.has(key)) {
      pen.font = (kind === 'label' ? '600 13px ' : '12px ') + getComputedStyle(element).fontFamily;
      widths.set(key, Math.ceil(pen.measureText(text).width) + 1);
    }
    return widths.get(key);
  };
};

// Of the boxes at the top, those that came out of each box that was opened, innermost first.
const groups = (boxes) => {
  const found = new Map();
  for (const box of boxes) if (box.within) found.set(box.within, [...(found.get(box.within) ?? []), box]);
  return found;
};

const HANDLE = 8; // radius of what opens and closes a box, pixels
const BAR = 14; // pixels kept free for a scroll bar

export function mount({ element, props, server, trigger, watch }) {
  const t = textsOf('figure');
  const textWidth = measureIn(element);
  const find = (selector) => element.querySelector(selector);
  const [svg, figure, tip] = [find('.drawing'), find('.figure'), find('.tip')];
  const unique = uniqueName('diagram');
  const openLine = make('p', { class: 'open', hidden: true });
  find('header').after(openLine);
  const lostLine = make('p', { class: 'before lost', role: 'alert', hidden: true });
  find('.before').after(lostLine);
  let net = null; // what is drawn, as readNetwork gives it
  let placed = new Map(); // label -> { g, box, rect }
  let crosses = []; // of each thumbnail, { g, x, y, w, h }: what moves in it, and where it is in the drawing
  let [selected, focused, loading, isOpen] = [null, null, 0, false]; // of the boxes, by label
  let named = null; // what is picked, as the address names it; a box that shows it may be closed
  let opening = null; // what the visitor opens or closes, until it is drawn: { label, isOpened }
  let drawnFor = { width: 0, height: 0, scale: 1 }; // the room there was, pixels, and how much smaller than laid out it is drawn
  let drawn = ''; // what was asked for, to draw what is drawn

  // ---- drawing ----

  // The frame belongs to the box, the picture lies over it: as a part of the box, the uncut sprite would count for its size.
  function drawPicture(parent, layer, box, { x, y, w, h, sheets }, [left, top]) {
    for (let k = sheets; k > 0; k--) draw('rect', { class: 'sheet', x: x + 2 * k, y: y - 2 * k, width: w, height: h }, parent);
    draw('rect', { class: 'frame', x: x - 0.5, y: y - 0.5, width: w + 1, height: h + 1 }, parent);
    if (box.thumbnail && net.value.sprite) {
      const window_ = draw('svg', { class: 'picture', x: left + x, y: top + y, width: w, height: h,
        viewBox: box.thumbnail.join(' '), preserveAspectRatio: 'none' }, layer);
      const [width, height] = net.value.sprite_size;
      // Enlarged maps keep their pixels; reduced ones are averaged, as leaving pixels out would mislead.
      const look = w * drawnFor.scale * devicePixelRatio >= box.thumbnail[2] && !box.isInput ? 'exact' : 'reduced';
      draw('image', { href: net.value.sprite.url, width, height, class: look }, window_);
      if (isLinked(box)) drawCross(layer, left + x, top + y, w, h);
    } else {
      draw('rect', { x, y, width: w, height: h, fill: `url(#${unique}-hatch)` }, parent);
    }
  }

  function drawCross(layer, x, y, w, h) {
    const window_ = draw('svg', { class: 'pointed', x, y, width: w, height: h, 'aria-hidden': true }, layer);
    const g = draw('g', {}, window_);
    const d = 'M-3000,0 H-3 M3,0 H3000 M0,-3000 V-3 M0,3 V3000';
    for (const name of ['dark', 'light']) draw('path', { d, class: name }, g);
    crosses.push({ g, x, y, w, h });
  }

  function drawNode(layer, node, left, top) {
    const { box, head, w, h } = node;
    const [x, y] = [left + node.x, top + node.y];
    const random = box.flags?.some((flag) => flag === 'missing' || flag === 'after') ? ' random' : '';
    const kind = (box.isInput ? 'input' : head ? 'node' : 'node mini') + random;
    const g = draw('g', { class: kind, transform: `translate(${x} ${y})` }, layer);
    if (!box.isInput) {
      const attributes = { role: 'button', tabindex: -1, 'aria-pressed': false, 'aria-label': describe(net, box, head?.lines) };
      for (const [key, value] of Object.entries({ ...attributes, 'data-label': box.label })) g.setAttribute(key, value);
      if (box.opens) g.setAttribute('aria-keyshortcuts', 'O');
      placed.set(box.label, { g, box, rect: { x, y, w, h: node.body ? head.h + 2 * PAD : h }, whole: { x, y, w, h } });
    }
    if (head) {
      draw('rect', { class: box.within ? 'box inner' : 'box', width: w, height: h, rx: 8 }, g);
      const indent = head.stacked ? (w - head.w) / 2 : PAD;
      const inner = draw('g', { transform: `translate(${indent} ${PAD})` }, g);
      drawPicture(inner, layer, box, head.picture, [x + indent, y + PAD]);
      // The space is not drawn; without it two lines would be read as one word.
      head.lines.forEach((line, i) => draw('text', { class: line.kind, x: head.textX, y: head.textY + i * LINE + 12,
        'text-anchor': head.stacked ? 'middle' : 'start' }, inner, `${line.text} `));
    } else {
      const hit = Math.max(28, w + 8);
      draw('rect', { class: 'hit', x: (w - hit) / 2, y: -4, width: hit, height: h + 8, rx: 4 }, g);
      drawPicture(g, layer, box, node.picture, [x, y]);
      if (isAlarming(box)) draw('circle', { class: 'mark', cx: x + w, cy: y, r: 3.5 }, layer);
    }
    if (box.opens) drawHandle(layer, 'open', box.label, x + w - 4, y + 4);
    if (node.body) drawGrid(layer, node.body, x + (w - node.body.w) / 2, y + PAD + head.h + PAD, 'small');
  }

  // A skip connection opens the mixer with its own slider.
  function drawSkipButton(layer, edge) {
    const [from, into] = [edge.a.box.label, edge.b.box.label];
    const words = t('ask_skip', { from, to: into });
    const hit = draw('path', { class: 'skip-ask', d: pathOf(edge), role: 'button', tabindex: 0, 'aria-label': words }, layer);
    draw('title', {}, hit, words);
    const open = () => { askTool('mixer', { layer: from, into }); trigger('why', { index: 'mixer', value: 'mixer' }); };
    hit.addEventListener('click', open);
    hit.addEventListener('keydown', (event) => {
      if (event.key !== 'Enter' && event.key !== ' ') return;
      event.preventDefault();
      open();
    });
  }

  // What opens a box, or closes the one it is in. By keyboard that is done at the box itself.
  function drawHandle(layer, act, label, x, y) {
    const g = draw('g', { class: `handle ${act}`, transform: `translate(${x} ${y})`, role: 'button', tabindex: -1,
      'aria-label': t(act, { label }), 'data-act': act, 'data-of': label }, layer);
    draw('rect', { class: 'hit', x: -12, y: -12, width: 24, height: 24 }, g);
    draw('circle', { r: HANDLE }, g);
    draw('path', { d: act === 'open' ? 'M-4,0 H4 M0,-4 V4' : 'M-4,0 H4' }, g);
    draw('title', {}, g, t(act, { label }));
  }

  // A frame around what came out of a box, where nothing else lies between, and in any case what closes it again.
  function drawGroups(layer, frames) {
    for (const [label, boxes] of groups(net.tops)) {
      const rects = boxes.map((box) => placed.get(box.label).whole);
      const [x, y] = [Math.min(...rects.map((r) => r.x)) - 7, Math.min(...rects.map((r) => r.y)) - 7];
      const [right, bottom] = [Math.max(...rects.map((r) => r.x + r.w)) + 7, Math.max(...rects.map((r) => r.y + r.h)) + 7];
      const others = net.tops.filter((box) => !boxes.includes(box)).map((box) => placed.get(box.label).whole);
      if (!others.some((r) => r.x < right && r.x + r.w > x && r.y < bottom && r.y + r.h > y)) {
        draw('rect', { class: 'group', x, y, width: right - x, height: bottom - y, rx: 10 }, frames);
      }
      drawHandle(layer, 'close', label, rects[0].x + 4, rects[0].y + 4);
    }
  }

  function drawGrid(layer, grid, left, top, size = '') {
    const arrows = draw('g', { class: `arrows ${size}`, transform: `translate(${left} ${top})` }, layer);
    for (const edge of grid.edges) {
      const kind = edge.skip ? 'skip' : 'data';
      draw('path', { class: `arrow ${kind}`, d: pathOf(edge), 'marker-end': `url(#${unique}-${kind})` }, arrows);
      if (edge.skip && !size && net.value.run) drawSkipButton(arrows, edge);
    }
    for (const node of grid.nodes) drawNode(layer, node, left, top);
  }

  function drawDefinitions() {
    const defs = draw('defs', {}, svg);
    for (const kind of ['data', 'skip']) {
      const marker = draw('marker', { id: `${unique}-${kind}`, viewBox: '0 0 10 10', refX: 9, refY: 5, markerWidth: 5.5,
        markerHeight: 5.5, orient: 'auto-start-reverse' }, defs);
      draw('path', { class: `tip-of ${kind}`, d: 'M0,1 L10,5 L0,9 Z' }, marker);
    }
    const hatch = draw('pattern', { id: `${unique}-hatch`, width: 7, height: 7, patternUnits: 'userSpaceOnUse',
      patternTransform: 'rotate(45)' }, defs);
    draw('rect', { class: 'hatch-ground', width: 7, height: 7 }, hatch);
    draw('path', { class: 'hatch-line', d: 'M0,0 V7' }, hatch);
  }

  // Where boxes are drawn closed, what is inside the picked one is drawn in a panel below.
  function drawPanel(layer, top, width) {
    const holder = net.boxes.get(selected)?.parent ?? selected;
    const inside = net.children.get(holder);
    draw('text', { class: inside ? 'label' : 'shape', x: 12, y: top + 22 }, layer,
      inside ? t('inside', { label: holder }) : t(net.children.size && !selected ? 'inside_hint' : 'inside_none'));
    let height = 34;
    if (inside) {
      const short = (box) => ({ ...box, short: box.label.startsWith(`${holder} · `) ? box.label.slice(holder.length + 3) : box.label });
      const grids = [[56, 'beside'], [44, 'beside'], [64, 'below'], [44, 'below']].map(([limit, text]) =>
        arrange(inside.map((box) => makeNode(net, short(box), { limit, text }, sideOf(inside))), 22, 18));
      const grid = grids.find((one) => one.w <= width - 24) ?? grids[3];
      drawGrid(layer, grid, 12, top + 34);
      height += grid.h + 12;
    }
    layer.prepend(draw('rect', { class: 'panel', x: 0.5, y: top + 0.5, width: width - 1, height, rx: 8 }));
    return height + 1;
  }

  function drawFigure() {
    const start = performance.now();
    const room = { width: figure.clientWidth || 600, height: figure.clientHeight || 600 };
    const options = fit(net, room.width - BAR - HANDLE, room.height - 28);
    const { scale } = options;
    const inner = (room.width - BAR) / scale;
    const grid = layOut(net, options, inner - 2 * HANDLE);
    const width = Math.max(inner, grid.w + 2 * HANDLE); // a handle stands over the corner of its box
    drawnFor = { ...room, scale };
    isOpen = Boolean(options.mini) || !net.children.size;
    const hadFocus = svg.contains(document.activeElement);
    svg.replaceChildren();
    placed = new Map();
    crosses = [];
    drawDefinitions();
    const frames = draw('g', {}, svg);
    const layer = draw('g', {}, svg);
    drawGrid(layer, grid, (width - grid.w) / 2, 12);
    drawGroups(layer, frames);
    let height = grid.h + 24;
    if (!isOpen) height += 8 + drawPanel(layer, height + 8, width);
    svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
    [svg.style.width, svg.style.height] = [`${width * scale}px`, `${height * scale}px`];
    svg.setAttribute('aria-label', t('figure_spoken', { title: net.value.title, count: placed.size }));
    mark();
    point(pointer.current());
    if (hadFocus) placed.get(focused).g.focus({ preventScroll: true });
    element.dataset.layout = isOpen ? 'open' : 'closed';
    element.dataset.drawMs = (performance.now() - start).toFixed(1);
  }

  function drawWords() {
    const { value } = net ?? {};
    for (const part of ['figure', 'legend']) find('.' + part).hidden = !net;
    find('.empty').hidden = Boolean(net);
    find('.empty').textContent = t('empty');
    find('.heading').textContent = t('heading');
    find('.network').textContent = value?.title ?? '';
    find('.badge').hidden = !value?.untrained;
    find('.badge').textContent = t(value?.partly ? 'partly' : 'untrained');
    find('.badge').title = t(value?.partly ? 'partly_long' : 'untrained_long');
    openLine.hidden = !value?.opened?.length;
    openLine.replaceChildren(...(openLine.hidden ? [] : [t('opened'), ...value.opened.map((label) => {
      const button = make('button', { type: 'button', 'data-act': 'close', 'data-of': label, 'aria-label': t('close', { label }) }, `− ${label}`);
      button.addEventListener('click', () => close(label));
      return button;
    })]));
    find('.before').hidden = !net || net.value.boxes.some((box) => box.thumbnail);
    find('.before').textContent = t('before');
    const item = (kind, key) => {
      const span = document.createElement('span');
      const sample = draw('svg', { width: 34, height: 10, 'aria-hidden': true }, span);
      if (kind) draw('path', { class: `arrow ${kind}`, d: 'M1,5 H31', 'marker-end': `url(#${unique}-${kind})` }, sample);
      else sample.remove();
      span.append(termed(t.parts(key)));
      return span;
    };
    find('.code').replaceChildren(...(net ? [python(net.value.python)] : []));
    find('.legend').replaceChildren(item('data', 'legend_data'), item('skip', 'legend_skip'), item('', 'legend_picture'));
  }

  let taken = null; // the value that is shown
  async function show() {
    const asked = taken && { ...taken, opened: unlisted(read('open')) };
    const mine = ++loading;
    const needed = () => mine === loading;
    const key = JSON.stringify({ ...asked, selected: null });
    let lost = null;
    if (key !== drawn || !net) {
      let value = null;
      try {
        value = asked && await ask(server.figure, asked);
        if (needed() && value?.sprite) await loadPicture(value.sprite.url, { needed });
      } catch (error) {
        lost = error; // the boxes stay empty, or what was drawn stays
      }
      if (!needed()) return;
      tip.hidden = true;
      if (value || !asked) net = readNetwork(value, { t, textWidth });
      drawn = lost ? '' : key;
    }
    if (net) selected = [...net.boxes.values()].find((box) => box.name === named)?.label ?? null;
    if (net && opening) wasOpened();
    drawWords();
    if (net) drawFigure();
    if (net && selected) follow({ stage: named });
    lostLine.replaceChildren(...(lost ? lostNote(lost, t('lost'), show) : []));
    lostLine.hidden = !lost;
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

  // What the visitor did with a box is drawn: what is open now is in the address, and the focus is where he was.
  function wasOpened() {
    const { label, isOpened } = opening;
    opening = null;
    follow({ open: listed(net.value.opened) });
    const inner = net.tops.filter((box) => box.within === label);
    focused = isOpened ? inner[0]?.label ?? label : label;
    find('.picked').textContent = t(isOpened ? 'opened_spoken' : 'closed_spoken', { label, count: inner.length });
  }

  function open(label) {
    if (!net?.boxes.get(label)?.opens) return;
    opening = { label, isOpened: true };
    change({ open: listed([...net.value.opened, label]) });
    show();
  }

  function close(label) {
    opening = { label, isOpened: false };
    change({ open: listed(net.value.opened.filter((one) => one !== label)) });
    show();
  }

  function pick(label) {
    const { name } = net.boxes.get(label);
    named = name;
    selected = focused = label;
    if (isOpen) mark();
    else drawFigure();
    find('.picked').textContent = t('picked', { label });
    change({ stage: name, channel: null, sheet: null });
    tell('stage', { network: net.value.network, layer: name });
    trigger('select', { index: name, value: name, network: net.value.network });
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
    if (box.opens) lines.push(line(t('opens'), 'tip-hint'));
    if (box.within) lines.push(line(t('closes', { label: box.within }), 'tip-hint'));
    lines.push(...flagTexts(net, box, 'long').map((text) => line(text, 'tip-warn')));
    tip.replaceChildren(...lines);
    tip.hidden = false;
    const [outer, inner] = [figure.getBoundingClientRect(), spot.g.getBoundingClientRect()];
    tip.style.left = `${clamp(inner.left - outer.left, 0, Math.max(0, outer.width - tip.offsetWidth))}px`;
    const below = inner.bottom + tip.offsetHeight + 12 < outer.bottom;
    tip.style.top = `${below ? inner.bottom - outer.top + 8 : Math.max(0, inner.top - outer.top - tip.offsetHeight - 8)}px`;
  }

  function onKey(event) {
    const label = event.target.closest('.node')?.dataset.label;
    if (!label) return;
    const next = event.key.startsWith('Arrow') ? neighbour(placed, label, event.key)
      : event.key === 'Escape' && tip.hidden ? net.boxes.get(label).parent : null;
    const letter = event.ctrlKey || event.metaKey || event.altKey ? '' : event.key.toLowerCase();
    const { opens, within } = net.boxes.get(label);
    if (opens && (letter === 'o' || (event.key === 'Enter' && event.shiftKey))) open(label);
    else if (within && letter === 'c') close(within);
    else if (event.key === 'Enter' || event.key === ' ') pick(label);
    else if (event.key === 'Escape' && !tip.hidden) tip.hidden = true;
    else if (next) {
      focused = next;
      mark();
      placed.get(next).g.focus();
    } else if (!event.key.startsWith('Arrow')) return;
    event.preventDefault();
  }

  // ---- the point of the picture that all panels mark ----

  function point({ picture, pixel }) {
    const here = Boolean(pixel && net?.value.placed && net.value.run.picture === picture);
    figure.classList.toggle('pointing', here);
    if (!here) return;
    const [right, down] = shareAt(net.value.placed, pixel);
    for (const { g, w, h } of crosses) g.style.transform = `translate(${right * w}px, ${down * h}px)`;
  }
  pointer.follow(point);

  svg.addEventListener('pointermove', (event) => {
    if (!net?.value.placed) return;
    const box = svg.getBoundingClientRect();
    const scale = box.width / svg.viewBox.baseVal.width;
    const [u, v] = [(event.clientX - box.left) / scale, (event.clientY - box.top) / scale];
    const over = crosses.find(({ x, y, w, h }) => u >= x && u < x + w && v >= y && v < y + h);
    const pixel = over ? pixelAt(net.value.placed, [(u - over.x) / over.w, (v - over.y) / over.h]) : null;
    pointer.hover(net.value.run.picture, pixel, 'figure');
  });
  svg.addEventListener('pointerleave', () => net?.value.placed && pointer.hover(net.value.run.picture, null, 'figure'));

  const labelAt = (event) => event.target.closest?.('.node')?.dataset.label;
  svg.addEventListener('click', (event) => {
    const handle = event.target.closest?.('.handle')?.dataset;
    if (handle) (handle.act === 'open' ? open : close)(handle.of);
    else if (labelAt(event)) pick(labelAt(event));
  });
  listenToWalks((isOther) => { if (!isOther && net && listed(net.value.opened) !== read('open')) show(); });
  svg.addEventListener('keydown', onKey);
  svg.addEventListener('pointerover', (event) => (labelAt(event) ? showTip(labelAt(event)) : (tip.hidden = true)));
  svg.addEventListener('pointerleave', () => (tip.hidden = true));
  // On the figure, as an SVG that listens to focus becomes a tab stop itself in Chromium.
  figure.addEventListener('focusin', (event) => event.target.matches(':focus-visible') && labelAt(event) && showTip(labelAt(event)));
  figure.addEventListener('focusout', () => (tip.hidden = true));
  // A little more or less room is no reason to lay out anew; none at all is that of a figure out of sight.
  new ResizeObserver(() => {
    const [wider, higher] = [figure.clientWidth - drawnFor.width, figure.clientHeight - drawnFor.height];
    if (net && figure.clientWidth && (Math.abs(wider) > 6 || Math.abs(higher) > 6)) drawFigure();
  }).observe(figure);
  const take = () => {
    const value = props.value;
    // What is drawn before a run may come after it.
    if (value && !value.run && taken?.run && ['network', 'size', 'step'].every((key) => taken[key] === value[key])) return;
    taken = value;
    named = value?.selected ?? null;
    show();
  };
  watch('value', take);
  take();
}
