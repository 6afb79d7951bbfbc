// How a colour scale is shown: swatches, bars, the numbers under them.
import {paint, tableOf, toCss} from './colours.js';
import {make} from './dom.js';
import {figure, figures} from './numbers.js';

// A small field of one colour, in CSS; hidden without one.
export const swatch = (colour) => make('i', {class: 'swatch', hidden: !colour, style: `background: ${colour ?? ''}`});

// The same for a place in the colour tables, such as PLACES.NaN.
export const swatchAt = (place) => swatch(toCss(tableOf([0, 1, false])[place]));

// Numbers under a bar or a histogram: both ends, and 0 where it lies clearly between them.
export const axis = (low, high) => {
  const node = make('div', {class: 'axis'}, ...figures(low, high).map((text) => make('span', {}, text)));
  const share = low < 0 && high > 0 ? -low / (high - low) : 0;
  if (share > 0.15 && share < 0.85) node.append(make('span', {class: 'zero', style: `left: ${100 * share}%`}, '0'));
  return node;
};

// All colours of a scale: [low, high, diverging].
export const ramp = (scale) => {
  const canvas = make('canvas', {class: 'ramp', 'aria-hidden': 'true'});
  const [low, high] = scale;
  paint(canvas, Float64Array.from({length: 257}, (_, index) => low + (high - low) * index / 256), 257, 1, scale);
  return canvas;
};

export const colourBar = (scale, t) => make('div', {class: 'bar', role: 'img',
  'aria-label': t('bar', {low: figure(scale[0]), high: figure(scale[1])})}, ramp(scale), axis(scale[0], scale[1]));
