// Every text of the components, in the language that the first script has found. [[key|words]] in a text marks words
// that the glossary explains; [[key]] stands for [[key|key]].
import TEXTS from './generated/texts.js';

// Fills the places {name} of a text.
export const fill = (text, values) =>
  text.replace(/\{(\w+)\}/g, (whole, name) => name in values ? String(values[name]) : whole);

// Cuts a text into parts: {text}, and {text, term} for marked words; what is filled in marks nothing.
export const split = (text, values = {}) => text.split(/(\[\[[^[\]]+\]\])/).filter(Boolean).map((part) => {
  const [, term, words] = part.match(/^\[\[([^|[\]]+)(?:\|([^[\]]+))?\]\]$/) ?? [];
  return term ? {text: fill(words ?? term, values), term} : {text: fill(part, values)};
});

export const plain = (parts) => parts.map(({text}) => text).join('');

// Gives the function t of a component: t('key', {name: value}), in plain words. A key without a text gives the key.
// t.parts gives the same in parts, for showTerms; t.has says whether there is a text.
export const textsOf = (component) => {
  const table = (TEXTS[globalThis.segdemoLanguage] ?? TEXTS.en)[component];
  const has = (key) => Object.hasOwn(table, key);
  const parts = (key, values) => split(has(key) ? table[key] : key, values);
  return Object.assign((key, values) => plain(parts(key, values)), {parts, has});
};

// What people call a class.
export const classText = (name) => {
  const key = 'class.' + name.replace(/\s/g, '');
  const text = textsOf('segmentation')(key);
  return text === key ? name : text;
};
