// Every text of the components, in the language that the first script has found.
import TEXTS from './generated/texts.js';

// Fills the places {name} of a text.
export const fill = (text, values) =>
  text.replace(/\{(\w+)\}/g, (whole, name) => name in values ? String(values[name]) : whole);

// Gives the function t of a component: t('key', {name: value}). A key without a text gives the key.
export const textsOf = (component) => {
  const table = (TEXTS[globalThis.segdemoLanguage] ?? TEXTS.en)[component];
  return (key, values = {}) => fill(table[key] ?? key, values);
};

// What people call a class.
export const classText = (name) => {
  const key = 'class.' + name.replace(/\s/g, '');
  const text = textsOf('segmentation')(key);
  return text === key ? name : text;
};
