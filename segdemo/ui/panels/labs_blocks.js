// What a lab shows: maps, tables, formulas, curves and sentences.
import {draw, make} from '../static/dom.js';
import {figure, figures} from '../static/numbers.js';
import {textsOf} from '../static/texts.js';
import {figureOf} from './labs_figure.js';
import {treeOf} from './labs_tree.js';

const t = textsOf('labs');
const WIDE = 300; // px of a lone map
const TILE = 132; // px of one of many
const [ACROSS, DOWN, EDGE] = [420, 170, 34]; // px of curves

const shapeText = (shape) => `(${shape.join(', ')})`;

const valueText = (value, text) => {
  if (value === null) return '–';
  if (typeof value === 'boolean') return t(value ? 'yes' : 'no');
  if (typeof value === 'number') return Number.isInteger(value) ? value.toLocaleString('en') : figure(value, 4);
  return text(`value.${value}`) || value;
};

const maps = (block, text) => {
  const [height, width] = block.size;
  const lone = block.maps.length === 1;
  const tiles = block.maps.map(({url, low, high}, index) => {
    const label = block.labels[index] ?? (lone ? '' : String(index));
    const name = `${text(`block.${block.name}`)} ${label}`.trim();
    const canvas = make('div', {class: 'map', 'data-map': index, style: `aspect-ratio: ${width} / ${height}`}, make('img', {src: url, alt: name, draggable: 'false'}));
    return make('figure', {style: `width: ${lone ? WIDE : TILE}px`}, canvas,
      make('figcaption', {}, [label, figures(low, high).join(' … ')].filter(Boolean).join(' · ')));
  });
  const more = block.more ? make('p', {class: 'why'}, t('more', {count: block.more})) : '';
  return [make('p', {class: 'shape'}, block.shape.length ? shapeText(block.shape) : `${height} × ${width}`), make('div', {class: 'tiles'}, ...tiles), more];
};

const heading = (words) => words.trim() ? make('th', {scope: 'col'}, words) : make('td', {});
const table = ({columns, rows}, text) => [make('div', {class: 'scroll', tabindex: 0, role: 'region'}, make('table', {},
  make('thead', {}, make('tr', {}, ...columns.map((key) => heading(text(`column.${key}`) || key)))),
  make('tbody', {}, ...rows.map((row) => make('tr', {}, ...row.map((value, index) =>
    make(index ? 'td' : 'th', index ? {class: typeof value === 'number' ? 'figure' : ''} : {scope: 'row'}, valueText(value, text))))))))];

const curves = ({name, series, logarithmic}, text) => {
  const lift = (value) => logarithmic ? Math.log10(Math.max(Number(value), 1e-12)) : Number(value);
  const lines = Object.entries(series).map(([word, values]) => [word, values.map(lift)]);
  const all = lines.flatMap(([, values]) => values).filter(Number.isFinite);
  const [low, high] = [Math.min(...all, logarithmic ? Infinity : 0), Math.max(...all)];
  const longest = Math.max(...lines.map(([, values]) => values.length));
  const x = (index) => EDGE + (ACROSS - EDGE - 8) * (longest > 1 ? index / (longest - 1) : 0.5);
  const y = (value) => DOWN - 18 - (DOWN - 30) * (high > low ? (value - low) / (high - low) : 0.5);
  const svg = draw('svg', {viewBox: `0 0 ${ACROSS} ${DOWN}`, role: 'img', 'aria-label': text(`block.${name}`)});
  for (const value of [low, high]) {
    draw('line', {x1: EDGE, x2: ACROSS - 8, y1: y(value), y2: y(value), class: 'axis'}, svg);
    draw('text', {x: EDGE - 4, y: y(value) + 4, 'text-anchor': 'end'}, svg, figure(logarithmic ? 10 ** value : value, 2));
  }
  draw('text', {x: EDGE, y: DOWN - 3}, svg, '1');
  draw('text', {x: ACROSS - 8, y: DOWN - 3, 'text-anchor': 'end'}, svg, String(longest));
  lines.forEach(([, values], index) => {
    const points = values.map((value, place) => [x(place), y(value)]).filter((point) => point.every(Number.isFinite));
    draw('polyline', {points: points.map((point) => point.join()).join(' '), class: `line line-${index}`}, svg);
  });
  const legend = make('p', {class: 'legend'}, ...lines.map(([word], index) =>
    make('span', {class: `line-${index}`}, text(`value.${word}`) || word)));
  return [svg, legend];
};

const bars = ({bars: all}, text) => [make('dl', {class: 'bars'}, ...all.map(([word, share]) => make('div', {},
  make('dt', {}, text(`value.${word}`) || word),
  make('dd', {}, make('span', {class: 'share', style: `width: ${100 * share}%`}), make('span', {}, `${(100 * share).toFixed(1)} %`)))))];

const DRAW = {
  bars,
  tree: ({leaves}, text) => [treeOf(leaves, text)],
  maps, table, curves,
  boxes: ({name, boxes}, text, {input} = {}) => [figureOf(boxes, text(`block.${name}`), {input, said: ({note, count}) => note && `${text(`value.${note}`)} ${count}`})],
  formula: ({lines}) => [make('div', {class: 'formula'}, ...lines.map((line) => make('code', {}, line)))],
  said: ({name, values}, text) => [make('p', {class: 'said'}, text(`said.${name}`, values))],
};

export const blockOf = (block, text, more = {}) => {
  const heading = text(`block.${block.name}`);
  return make('section', {class: `block ${block.kind}`, 'data-block': block.name, 'data-padded': block.padded, 'data-size': block.size?.join()},
    heading && block.kind !== 'said' ? make('h4', {}, heading) : '', ...DRAW[block.kind](block, text, more));
};
