// The figure of a lab's network, from boxes and arrows as its trace tells; each box with what it put out.
import {draw, make, uniqueName} from '../static/dom.js';
import {LINE, PAD, layOut, pathOf, readNetwork} from '../static/layout.js';
import {textsOf} from '../static/texts.js';

const t = textsOf('figure');
const LETTER = 7; // px, about, of a character; the room that the figure takes need not be exact
const LIMIT = 84; // px of the largest picture in a box

const arrowheads = (svg, unique) => {
  const defs = draw('defs', {}, svg);
  for (const kind of ['data', 'skip']) {
    const marker = draw('marker', {id: `${unique}-${kind}`, viewBox: '0 0 10 10', refX: 9, refY: 5, markerWidth: 6, markerHeight: 6, orient: 'auto'}, defs);
    draw('path', {d: 'M0,1 L10,5 L0,9 Z', class: `head ${kind}`}, marker);
  }
};

const drawBox = (svg, {box, head, x, y, w, h}) => {
  const g = draw('g', {class: `node${box.note ? ` is-${box.note}` : ''}`, transform: `translate(${x} ${y})`, 'data-label': box.label}, svg);
  draw('rect', {class: 'box', width: w, height: h, rx: 6}, g);
  const inner = draw('g', {transform: `translate(${head.stacked ? (w - head.w) / 2 : PAD} ${PAD})`}, g);
  const {x: left, y: top, w: width, h: height} = head.picture;
  draw('rect', {class: 'frame', x: left, y: top, width, height}, inner);
  if (box.picture) draw('image', {href: box.picture, x: left, y: top, width, height, preserveAspectRatio: 'none'}, inner);
  head.lines.forEach(({text, kind}, index) => draw('text', {class: kind, x: head.textX, y: head.textY + index * LINE + 12, 'text-anchor': head.stacked ? 'middle' : 'start'}, inner, text));
};

// boxes: of a block; input: address of the picture that goes in, or null; said: box → what else is written in it.
export const figureOf = (boxes, label, {input = null, said = () => '', limit = LIMIT} = {}) => {
  const value = {
    picture: null,
    boxes: boxes.map((box) => ({...box, short: [box.label, said(box)].filter(Boolean).join(' · '), layer: box.label, parent: null, thumbnail: null, flags: [], dead_count: 0})),
  };
  const net = readNetwork(value, {t: () => t('input'), textWidth: (text) => Math.ceil(text.length * LETTER)});
  const grid = layOut(net, {limit, text: 'below'}, 0);
  const unique = uniqueName('lab-figure');
  const svg = draw('svg', {viewBox: `-4 -4 ${grid.w + 8} ${grid.h + 8}`, role: 'img', 'aria-label': label, class: 'network', style: `width: ${grid.w + 8}px`});
  arrowheads(svg, unique);
  for (const edge of grid.edges) {
    const kind = edge.skip ? 'skip' : 'data';
    draw('path', {class: `arrow ${kind}`, d: pathOf(edge), 'marker-end': `url(#${unique}-${kind})`}, svg);
  }
  for (const node of grid.nodes) drawBox(svg, node.box.isInput ? {...node, box: {...node.box, picture: input}} : node);
  return make('div', {class: 'scroll', tabindex: 0, role: 'region', 'aria-label': label}, svg);
};
