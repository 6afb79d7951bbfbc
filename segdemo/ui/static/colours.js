// Values and classes in colours. The tables are Python's: 257 fractions from 0 to 1, then -inf, +inf, NaN. A colour is
// the four bytes of a canvas pixel as one number, little-endian, as every machine a browser runs on.
import {unusual} from './numbers.js';
import TABLES from './generated/colours.js';

const unpack = (text) => {
  const rgb = atob(text);
  const rgba = Uint8Array.from({length: rgb.length / 3 * 4}, (_, index) =>
    index % 4 === 3 ? 255 : rgb.charCodeAt((index >> 2) * 3 + index % 4));
  return new Uint32Array(rgba.buffer);
};
const SEQUENTIAL = unpack(TABLES.sequential);
const DIVERGING = unpack(TABLES.diverging);

export const PLACES = {'-inf': 257, '+inf': 258, NaN: 259};

const halfToEven = (exact) => {
  const near = Math.round(exact);
  return near - exact === 0.5 && near % 2 ? near - 1 : near; // halves go to the even neighbour, as in NumPy
};

export const tableOf = (scale) => scale[2] ? DIVERGING : SEQUENTIAL;

// Gives the function from a value to its place in the table of a scale: [low, high, diverging].
export const placeIn = ([low, high, diverging]) => {
  const reach = diverging ? 2 * high : high - low;
  const flat = diverging ? 128 : 0;
  return (value) => {
    if (!Number.isFinite(value)) return PLACES[unusual(value)];
    return reach ? halfToEven(256 * Math.min(Math.max(diverging ? 0.5 + value / reach : (value - low) / reach, 0), 1)) : flat;
  };
};

// The pixels of values, row by row, in the colours of a scale.
export const colourValues = (values, scale, pixels = new Uint32Array(values.length)) => {
  const [table, place] = [tableOf(scale), placeIn(scale)];
  for (let index = 0; index < values.length; index++) pixels[index] = table[place(values[index])];
  return pixels;
};

// '#rrggbb' as a pixel.
export const toPixel = (hex) => (0xff000000 | parseInt(hex.slice(5, 7) + hex.slice(3, 5) + hex.slice(1, 3), 16)) >>> 0;

export const toCss = (pixel) => `rgb(${pixel & 255}, ${pixel >>> 8 & 255}, ${pixel >>> 16 & 255})`;

// The pixels of 256 levels between 0 and 1: viridis has 256 colours of its own, and the last is in the table twice.
export const heatTable = () => SEQUENTIAL.slice(0, 256);

// The sequential table as a background from left to right.
export const gradient = (stops = 33) => {
  const colours = Array.from({length: stops}, (_, index) => toCss(SEQUENTIAL[halfToEven(256 * index / (stops - 1))]));
  return `linear-gradient(to right, ${colours.join(', ')})`;
};

// Paints values on a canvas of their own size.
export const paint = (canvas, values, width, height, scale) => {
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext('2d');
  const image = context.createImageData(width, height);
  colourValues(values, scale, new Uint32Array(image.data.buffer));
  context.putImageData(image, 0, 0);
};
