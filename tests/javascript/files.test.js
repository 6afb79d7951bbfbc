import assert from 'node:assert/strict';
import {test} from 'node:test';
import {Gone, loadFloats, persist} from '../../build/javascript/static/files.js';

// Waits for nothing; remembers how long it should have been.
const clock = () => {
  const waited = [];
  return {waited, wait: async (duration) => { waited.push(duration); }};
};

test('a file that fails is asked for again, with growing pauses, until it comes', async () => {
  const {waited, wait} = clock();
  const found = await persist(async (count) => {
    if (count < 2) throw new Error('broken');
    return count;
  }, {wait});
  assert.equal(found, 2);
  assert.equal(waited.length, 2);
  assert.ok(waited[1] > waited[0]);
});

test('it is asked for a bounded number of times', async () => {
  const {waited, wait} = clock();
  let asked = 0;
  await assert.rejects(persist(async () => {
    if (++asked > 9) throw new Gone('for ever');
    throw new Error(`broken ${asked}`);
  }, {wait}), /broken 4/);
  assert.equal(asked, 4);
  assert.equal(waited.length, 3);
});

test('what the server has deleted is not asked for again', async () => {
  const {waited, wait} = clock();
  await assert.rejects(persist(async () => { throw new Gone('404'); }, {wait}), Gone);
  assert.deepEqual(waited, []);
});

test('what nobody waits for any more is not asked for again', async () => {
  let needed = true;
  let asked = 0;
  const attempt = async () => { asked++; needed = false; throw new Error('broken'); };
  const {waited, wait} = clock();
  await assert.rejects(persist(attempt, {needed: () => needed, wait}), /broken/);
  assert.deepEqual([asked, waited], [1, []]);
});

test('numbers that arrive cut off are fetched anew, past the memory of the browser', async (context) => {
  const asked = [];
  const answers = [new Response(new Uint8Array(7)), new Response('', {status: 500}), new Response(Float32Array.of(1, 2.5))];
  context.mock.method(globalThis, 'fetch', async (url, options) => { asked.push([url, options]); return answers.shift(); });
  assert.deepEqual(await loadFloats('/exact.bin', {wait: async () => {}}), Float32Array.of(1, 2.5));
  assert.deepEqual(asked, [['/exact.bin', {}], ['/exact.bin', {cache: 'reload'}], ['/exact.bin', {cache: 'reload'}]]);
});
