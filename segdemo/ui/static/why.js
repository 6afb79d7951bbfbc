// What the panels of the tab "Why" share: maps over a photograph, code to copy, and asking only while somebody looks.
import {make} from './dom.js';
import {figure} from './numbers.js';
import {textsOf} from './texts.js';

const t = textsOf('why');

// A photograph with a map over it. valid: the shares [x, y] of the map that the picture takes; the rest is cut off.
export const layered = (photo, map, {valid = [1, 1], opacity = 0.7, label = ''} = {}, ...children) => {
  const over = map && make('img', {class: 'heat', src: map.src, alt: '',
    style: `width: ${100 / valid[0]}%; height: ${100 / valid[1]}%; opacity: ${opacity}`});
  return make('div', {class: 'layered', role: 'img', 'aria-label': label},
    make('img', {class: 'photo', src: photo, alt: ''}), ...(over ? [over] : []), ...children);
};

// Where a map's colours begin and end, in words.
export const scaleText = ([low, high, diverging]) => t(diverging ? 'scale_signed' : 'scale', {low: figure(low), high: figure(high)});

// "Copy as Python", with the code below it.
export const python = (code) => {
  const said = make('span', {class: 'said', role: 'status'});
  const button = make('button', {type: 'button'}, t('copy'));
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(code);
      said.textContent = t('copied');
    } catch {
      said.textContent = t('copy_yourself');
    }
  });
  return make('details', {class: 'python'}, make('summary', {}, t('python')), make('p', {}, button, ' ', said), make('pre', {}, code));
};

export const untrained = (shown) => shown ? [make('p', {class: 'banner', role: 'note'}, t('untrained'))] : [];

export const choice = (label, options, value) => {
  const select = make('select', {}, ...options.map(([key, words]) => make('option', {value: key, selected: key === value}, words)));
  return {select, node: make('label', {class: 'choice'}, make('span', {}, label), ' ', select)};
};

// Calls act when the panel is in sight and something has changed since the last call; returns what tells of a change.
export const whenSeen = (element, act) => {
  let stale = false;
  let seen = false;
  const look = () => {
    if (!stale || !seen) return;
    stale = false;
    act();
  };
  new IntersectionObserver((entries) => { seen = entries.at(-1).isIntersecting; look(); }).observe(element);
  return () => { stale = true; look(); };
};

// Runs one question at a time; of those asked meanwhile only the last; an answer that is no longer wanted is let go.
export const newest = () => {
  let number = 0;
  return {
    begin: () => { const mine = ++number; return () => mine === number; },
    stop: () => { number++; },
  };
};
