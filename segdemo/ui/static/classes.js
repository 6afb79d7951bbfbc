// What people call the classes of a network.
import {textsOf} from './texts.js';

const t = textsOf('segmentation');

export const classText = (name) => {
  const key = 'class.' + name.replace(/\s/g, '');
  return t.has(key) ? t(key) : name;
};
