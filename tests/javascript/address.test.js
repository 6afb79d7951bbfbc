import assert from 'node:assert/strict';
import {test} from 'node:test';
import {change, changed, go, listed, read, unlisted} from '../../build/javascript/static/address.js';

const PAGE = 'http://localhost/demo/?network=unet&stage=En_1#part';

test('a parameter is set or replaced, the rest of the address stays', () => {
  assert.equal(changed(PAGE, {stage: 'Up 1 & 2', channel: 3}), 'http://localhost/demo/?network=unet&stage=Up+1+%26+2&channel=3#part');
});

test('a network that the visitor brought goes by no name of its own', () => {
  const hidden = changed(PAGE, {network: 'own-0123456789abcdef0123456789abcdef'});
  assert.equal(hidden, 'http://localhost/demo/?network=own&stage=En_1#part');
});

test('null and undefined take a parameter away, 0 does not', () => {
  assert.equal(changed(PAGE, {network: null, stage: undefined}), 'http://localhost/demo/#part');
  assert.equal(changed(PAGE, {network: null, stage: 0}), 'http://localhost/demo/?stage=0#part');
});

test('a list in one parameter keeps names apart, whatever is in them', () => {
  const names = ['Decoder 3', 'Decoder 3 · conv 1', 'a,b\\', '\\,', 'parts.x\ny'];
  assert.equal(listed(names.slice(0, 3)), 'Decoder 3,Decoder 3 · conv 1,a\\,b\\\\');
  assert.deepEqual(unlisted(listed(names)), names);
  assert.equal(listed([]), null); // then there is no parameter
  assert.deepEqual([unlisted(null), unlisted('')], [[], []]);
});

test('changes replace the entry of the history and keep its state', (context) => {
  const written = [];
  let loads = 0;
  globalThis.location = {href: PAGE, reload: () => { loads++; }};
  globalThis.history = {state: {kept: true}, replaceState: (...entry) => {
    written.push(entry);
    [globalThis.history.state, , globalThis.location.href] = entry;
  }};
  context.after(() => { delete globalThis.location; delete globalThis.history; });
  assert.equal(read('stage'), 'En_1');
  assert.equal(read('channel'), null);
  change({stage: null});
  assert.deepEqual(written, [[{kept: true, photo: null}, '', 'http://localhost/demo/?network=unet#part']]);
  change({stage: null});
  assert.equal(written.length, 1); // nothing is another
  assert.equal(loads, 0);
  go({network: null, stage: null});
  assert.equal(globalThis.location.href, 'http://localhost/demo/#part');
  assert.deepEqual(globalThis.history.state, {kept: true, photo: null});
  assert.equal(loads, 1);
});
