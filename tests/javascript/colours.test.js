import assert from 'node:assert/strict';
import {test} from 'node:test';
import {PLACES, colourValues, gradient, heatTable, tableOf, toCss, toPixel} from '../../build/javascript/static/colours.js';
import {expected} from './expected.js';

const bytesOf = (pixel) => [pixel & 255, pixel >>> 8 & 255, pixel >>> 16 & 255];

test('values get the colours that Python gives them, also halfway between two', () => {
  for (const {scale, values, colours} of expected.colours) {
    const found = Array.from(colourValues(values, scale), bytesOf);
    assert.deepEqual(found, colours, `on the scale ${scale}`);
  }
});

test('every pixel is opaque', () => {
  for (const pixel of colourValues([0, 0.5, 1, NaN, Infinity], [0, 1, false])) assert.equal(pixel >>> 24, 255);
});

test('what is no number has a colour of its own', () => {
  for (const scale of [[0, 1, false], [-1, 1, true]]) {
    const found = Array.from(colourValues([-Infinity, Infinity, NaN], scale), bytesOf);
    assert.deepEqual(found, [expected.unusual['-inf'], expected.unusual['+inf'], expected.unusual.NaN]);
    assert.deepEqual(bytesOf(tableOf(scale)[PLACES.NaN]), expected.unusual.NaN);
  }
});

test("the 256 levels of a heat map are the 256 colours of matplotlib's viridis", () => {
  assert.deepEqual(Array.from(heatTable(), bytesOf), expected.heat);
});

test('a class colour keeps its red, green and blue', () => {
  assert.deepEqual(bytesOf(toPixel('#0a80ff')), [10, 128, 255]);
  assert.equal(toCss(toPixel('#0a80ff')), 'rgb(10, 128, 255)');
});

test('a gradient goes from the first colour to the last', () => {
  const [first, last] = [bytesOf(tableOf([0, 1, false])[0]), bytesOf(tableOf([0, 1, false])[256])];
  assert.equal(gradient(2), `linear-gradient(to right, rgb(${first.join(', ')}), rgb(${last.join(', ')}))`);
});
