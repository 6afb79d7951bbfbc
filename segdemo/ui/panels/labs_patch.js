// One value of a layer's output written out, and the input values that it was made of marked: by pointing, with the
// arrow keys, step by step, or by themselves.
import {button, make} from '../static/dom.js';
import {figure} from '../static/numbers.js';
import {ask} from '../static/server.js';
import {textsOf} from '../static/texts.js';

const t = textsOf('labs');
const PAUSE = 350; // ms between two steps
const MOST = 60; // products written out
const KEYS = {ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0]};

const signed = (value) => value < 0 ? `(${figure(value)})` : figure(value);

// The value as a sum, or a maximum, in words.
export const writtenOut = ({kind, terms, bias, value}) => {
  if (kind === 'most') return `max(${terms.slice(0, MOST).map((term) => figure(term.value)).join(', ')}) = ${figure(value, 4)}`;
  const products = terms.slice(0, MOST).map((term) => `${signed(term.value)}·${signed(term.weight)}`);
  if (terms.length > MOST) products.push('…');
  if (bias || !products.length) products.push(signed(bias));
  return `${products.join(' + ')} = ${figure(value, 4)}`;
};

export const patchView = (server, blocks, sayTrouble) => {
  const text = make('div', {class: 'written', 'aria-live': 'polite'}, make('p', {class: 'why'}, t('patch_why')));
  const play = button('▶', t('play'), () => { if (timer) pause(); else start(); });
  const node = make('section', {class: 'patch'}, make('h4', {}, t('patch')),
    make('p', {class: 'buttons'}, button('‹', t('step_back'), () => step(-1)), button('›', t('step_on'), () => step(1)), play), text);
  let question = null;
  let at = {channel: 0, row: 0, column: 0};
  let size = [1, 1];
  let timer = 0;
  let wanted = null;
  let busy = false;

  const section = (name) => blocks.querySelector(`[data-block=${name}]`);
  const mark = (map, row, column, [height, width], kind) => {
    const spot = make('span', {class: `spot ${kind}`});
    Object.assign(spot.style, {left: `${100 * column / width}%`, top: `${100 * row / height}%`, width: `${100 / width}%`, height: `${100 / height}%`});
    map.append(spot);
  };
  const show = (found, place) => {
    for (const spot of blocks.querySelectorAll('.spot')) spot.remove();
    const output = section('output')?.querySelector(`[data-map="${place.channel}"]`);
    if (output) mark(output, place.row, place.column, size, 'out');
    const input = section('input');
    const padded = Number(input.dataset.padded);
    const shape = input.dataset.size.split(',').map(Number);
    const maps = [...input.querySelectorAll('.map')];
    const seen = new Set();
    for (const {channel, row, column} of found.terms) {
      const which = maps.length === 1 ? 0 : channel;
      const key = [which, row, column].join();
      const inside = row + padded >= 0 && column + padded >= 0 && row + padded < shape[0] && column + padded < shape[1];
      if (seen.has(key) || !maps[which] || !inside) continue;
      seen.add(key);
      mark(maps[which], row + padded, column + padded, shape, 'in');
    }
    const name = `output[0, ${place.channel}, ${place.row}, ${place.column}]`;
    const rows = found.terms.slice(0, MOST).map((term) => make('tr', {}, make('th', {scope: 'row'}, `[${term.channel}, ${term.row}, ${term.column}]`),
      ...[term.value, term.weight, term.product].map((value) => make('td', {class: 'figure'}, figure(value, 4)))));
    const head = ['place', 'value', 'weight', 'product'].map((key) => make('th', {scope: 'col'}, t(`patch_${key}`)));
    text.replaceChildren(make('p', {}, make('code', {}, `${name} = ${writtenOut(found)}`)),
      make('details', {}, make('summary', {}, t('products', {count: found.terms.length})), make('table', {}, make('thead', {}, make('tr', {}, ...head)), make('tbody', {}, ...rows))));
    text.dataset.at = [place.channel, place.row, place.column].join();
  };

  const look = async (place) => {
    at = wanted = place; // the next move goes on from here, also where the answer is still to come
    if (busy) return;
    busy = true;
    try {
      while (wanted) {
        const [now, of] = [wanted, question];
        wanted = null;
        const found = await ask(server.patch, {...of, ...now});
        if (of === question) show(found, now);
      }
    } catch (error) {
      pause();
      sayTrouble(error);
    } finally {
      busy = false;
    }
  };
  const step = (by) => {
    const [height, width] = size;
    const index = (at.row * width + at.column + by + height * width) % (height * width);
    return look({...at, row: Math.floor(index / width), column: index % width});
  };
  const pause = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = '▶';
  };
  const start = () => {
    play.textContent = '⏸';
    timer = setInterval(() => { if (node.isConnected && node.offsetParent) step(1); else pause(); }, PAUSE);
  };

  // Takes the maps that have just been drawn.
  const renew = (_, asked) => {
    question = asked;
    const output = section('output');
    size = output.dataset.size.split(',').map(Number);
    if (at.row >= size[0] || at.column >= size[1]) at = {channel: 0, row: 0, column: 0};
    const maps = [...output.querySelectorAll('.map')];
    at.channel = Math.min(at.channel, maps.length - 1);
    maps.forEach((map, channel) => {
      map.tabIndex = 0;
      map.setAttribute('role', 'application');
      map.setAttribute('aria-label', t('point', {channel}));
      map.addEventListener('pointermove', (event) => {
        const box = map.getBoundingClientRect();
        const within = (share, count) => Math.min(Math.max(Math.floor(share * count), 0), count - 1);
        const row = within((event.clientY - box.top) / box.height, size[0]);
        const column = within((event.clientX - box.left) / box.width, size[1]);
        if (channel === at.channel && row === at.row && column === at.column) return;
        pause();
        look({channel, row, column});
      });
      map.addEventListener('keydown', (event) => {
        const move = KEYS[event.key];
        if (!move) return;
        event.preventDefault();
        const within = (value, count) => Math.min(Math.max(value, 0), count - 1);
        look({channel, row: within(at.row + move[0], size[0]), column: within(at.column + move[1], size[1])});
      });
    });
    look(at);
  };
  return {node, renew};
};
