import assert from 'node:assert/strict';
import {test} from 'node:test';
import {chosenOf, isPicture} from '../../segdemo/ui/static/paste.js';
import {isOtherRun} from '../../segdemo/ui/static/address.js';

test('a picture is known by its type, or by its ending where browsers know no type', () => {
  for (const [name, type] of [['a', 'image/png'], ['a.TIF', ''], ['a.jp2', 'application/octet-stream'], ['a.heic', '']]) {
    assert.ok(isPicture({name, type}), name);
  }
  for (const [name, type] of [['a.txt', 'text/plain'], ['a.svg', 'image/svg+xml'], ['png', ''], ['a.pdf', 'application/pdf']]) {
    assert.ok(!isPicture({name, type}), name);
  }
});

test('of several files the first picture is taken', () => {
  const [text, one, two] = [{name: 'a.txt', type: 'text/plain'}, {name: '1.png', type: 'image/png'}, {name: '2.png', type: 'image/png'}];
  assert.equal(chosenOf([text, one, two]), one);
  assert.equal(chosenOf([text]), text);
  assert.equal(chosenOf([]), null);
});

test('network, example, size, step and stage make another run; channel and view do not', () => {
  const here = 'http://localhost/?network=unet&stage=a&channel=3';
  assert.ok(!isOtherRun(here, 'http://localhost/?view=entropy&stage=a&network=unet'));
  for (const name of ['network', 'example', 'side', 'step', 'stage']) {
    const url = new URL(here);
    url.searchParams.set(name, 'x');
    assert.ok(isOtherRun(here, url.href), name);
  }
});
