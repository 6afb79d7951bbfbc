import assert from 'node:assert/strict';
import {test} from 'node:test';
import {describe, exactly, figure, figures, npy, numbersIn, oddsText, percent, probabilityText, secondsText, shareText}
  from '../../build/javascript/static/numbers.js';
import {expected} from './expected.js';

test('numbers of every size are written as Python writes them', () => {
  for (const [value, text] of expected.figures) assert.equal(figure(value), text, `of ${value}`);
});

test('what is no finite number is named, and nothing is a dash', () => {
  assert.deepEqual([NaN, Infinity, -Infinity, null].map((value) => figure(value)), ['NaN', '+inf', '-inf', '–']);
  assert.deepEqual([0, NaN, 1 / 3, 12345678].map(exactly), ['0', 'NaN', '0.333333', '1.23457e+7']);
});

test('both ends of a range get as many digits as tell them apart', () => {
  assert.deepEqual(figures(0, 1), ['0', '1']);
  assert.deepEqual(figures(1.00001, 1.00002), ['1.00001', '1.00002']);
  assert.deepEqual(figures(2, 2), ['2', '2']);
  assert.deepEqual(figures(null, null), ['–', '–']);
});

test('a share is 0% or 100% only where it is', () => {
  const written = [[0, '0%'], [1e-9, '<0.1%'], [0.001, '0.1%'], [0.0349, '3.5%'], [0.5, '50%'], [0.994, '99.4%'], [0.9996, '>99.9%'],
    [0.999999, '>99.9%'], [1, '100%']];
  for (const [share, text] of written) assert.equal(percent(share), text, `of ${share}`);
});

test('shares, probabilities and times keep small things apart from nothing', () => {
  assert.deepEqual([0, 0.04, 0.05, 12.345].map(shareText), ['< 0.1 %', '< 0.1 %', '0.1 %', '12.3 %']);
  assert.deepEqual([0, 1, 2, 128, 253, 254, 255].map(probabilityText), ['< 1 %', '< 1 %', '1 %', '50 %', '99 %', '> 99 %', '> 99 %']);
  assert.deepEqual([0, 0.0005, 0.25, 1].map(oddsText), ['0.0 %', '< 0.1 %', '25.0 %', '100.0 %']);
  assert.deepEqual([0.0003126, 0.0124, 0.9, 1, 12.345].map(secondsText), ['0.31 ms', '12 ms', '900 ms', '1.00 s', '12.3 s']);
});

test('a map is described as NumPy describes it, without what is not finite', () => {
  const {values, ...facts} = expected.described;
  const found = describe(Float32Array.from(values, (value) => value === 'nan' ? NaN : Number(String(value).replace('inf', 'Infinity'))));
  for (const name of ['low', 'high', 'zeros', 'nans', 'infinities']) assert.equal(found[name], facts[name], name);
  for (const name of ['mean', 'std']) assert.ok(Math.abs(found[name] - facts[name]) < 1e-9, `${name}: ${found[name]}, ${facts[name]}`);
});

test('a map without a finite value has no minimum', () => {
  assert.deepEqual(describe(Float32Array.of(NaN, Infinity)), {low: null, high: null, mean: null, std: null, zeros: 0, nans: 1, infinities: 1});
});

test("NumPy's file has its header padded to 64 bytes and the values behind it", async () => {
  const bytes = new Uint8Array(await npy(Float32Array.of(1.5, -2), 1, 2).arrayBuffer());
  assert.deepEqual([...bytes.slice(0, 6)], [0x93, ...Buffer.from('NUMPY')]);
  const start = 10 + bytes[8] + 256 * bytes[9];
  assert.equal(start % 64, 0);
  assert.match(new TextDecoder().decode(bytes.slice(10, start)), /^\{'descr': '<f4', 'fortran_order': False, 'shape': \(1, 2\), \} *\n$/);
  assert.deepEqual([...new Float32Array(bytes.slice(start).buffer)], [1.5, -2]);
});

test("its values begin at a multiple of 64, however long the shape is written", async () => {
  for (let rows = 1; rows < 1e12; rows *= 10) {
    const bytes = new Uint8Array(await npy(new Float32Array(0), rows, 1).arrayBuffer());
    assert.equal(bytes.length % 64, 0, `${rows} rows`);
  }
});

test('channels are read from a list of numbers and of runs of them, and nothing else', () => {
  assert.deepEqual(numbersIn('3, 5-7，6 、12'), [3, 5, 6, 7, 12]);
  assert.deepEqual(numbersIn('  '), []);
  for (const wrong of ['all', '3-', '-3', '7-5', '1.5', '3 x', '0-99999', '1234567']) assert.equal(numbersIn(wrong), null, wrong);
});
