import assert from 'node:assert/strict';
import {test} from 'node:test';
import {fill, textsOf} from '../../build/javascript/static/texts.js';

test('places in a text are filled, also with 0, and unknown ones stay', () => {
  assert.equal(fill('{part} of {total}, {other}', {part: 0, total: 'many'}), '0 of many, {other}');
});

test('what is filled in is not read again', () => {
  assert.equal(fill('{name}', {name: '{part}', part: 'wrong'}), '{part}');
});

test('texts come in the language of the page, in English where it has none', (context) => {
  context.after(() => { delete globalThis.segdemoLanguage; });
  for (const [language, text] of [['en', 'Try again'], ['zh', '重试'], ['fr', 'Try again'], [undefined, 'Try again']]) {
    globalThis.segdemoLanguage = language;
    assert.equal(textsOf('files')('again'), text);
  }
});

test('a key without a text is shown as it is', () => {
  assert.equal(textsOf('segmentation')('class.unicorn'), 'class.unicorn');
});
