import assert from 'node:assert/strict';
import {test} from 'node:test';
import TEXTS from '../../build/javascript/static/generated/texts.js';
import {plain, split, textsOf} from '../../build/javascript/static/texts.js';

test('marked words are terms, everything else is text', () => {
  assert.deepEqual(split('A [[stride]] of {n}, [[mask|masks]]', {n: 2}),
    [{text: 'A '}, {text: 'stride', term: 'stride'}, {text: ' of 2, '}, {text: 'masks', term: 'mask'}]);
});

test('in plain words nothing is left of the marks', () => {
  assert.equal(plain(split('A [[stride]] of {n}, [[mask|masks]]', {n: 2})), 'A stride of 2, masks');
});

test('what is filled in marks nothing', () => {
  assert.deepEqual(split('{name}', {name: '[[mask]]'}), [{text: '[[mask]]'}]);
});

test('brackets that mark nothing stay', () => {
  for (const text of ['[[', 'a [0] b', '[[]]', '[[a']) assert.equal(plain(split(text)), text);
});

test('titles and labels get plain words, captions the same words in parts', (context) => {
  context.after(() => { delete globalThis.segdemoLanguage; });
  for (const language of ['en', 'zh']) {
    globalThis.segdemoLanguage = language;
    for (const component of ['segmentation', 'channels', 'figure', 'words']) {
      const t = textsOf(component);
      for (const key of Object.keys(TEXTS[language][component])) {
        assert.doesNotMatch(t(key), /\[\[|\]\]/, `${component}.${key}`);
        assert.equal(plain(t.parts(key)), t(key));
      }
    }
  }
});
