// Training in the page: a few steps at a time, as long as somebody watches, with what both networks make of the picture.
import {make} from '../static/dom.js';
import {ask} from '../static/server.js';
import {textsOf} from '../static/texts.js';
import {blockOf} from './labs_blocks.js';

const t = textsOf('labs');
const LONGEST = 60_000; // ms of one training
const COLUMNS = {picture: ['picture', 'drawn'], with: ['mask_with', 'drawn_with'], without: ['mask_without', 'drawn_without']};

// server: the panel's functions; text: of the lab; sayTrouble(error).
export const trainingView = (server, text, sayTrouble) => {
  let question = null;
  let key = ''; // of the question that the training is about
  let [steps, isOn] = [0, false];
  const start = make('button', {type: 'button', class: 'start'}, t('train_start'));
  const again = make('button', {type: 'button', hidden: true}, t('train_again'));
  const bar = make('progress', {max: 1, value: 0, 'aria-label': t('train')});
  const told = make('span', {class: 'told', 'aria-live': 'off'});
  const end = make('span', {class: 'why', role: 'status'});
  const shown = make('div', {class: 'trained', hidden: true});
  const code = make('code', {});
  const written = make('pre', {tabindex: 0, role: 'region', 'aria-label': t('train_snippet')}, code);
  const all = make('details', {hidden: true}, make('summary', {}, t('train_snippet')));
  const node = make('section', {class: 'training'}, make('h4', {}, t('train')), make('p', {class: 'why'}, text('train.why')),
    make('p', {class: 'buttons'}, start, again, bar, told, end), shown, all);

  const show = (found) => {
    const blocks = Object.fromEntries(found.blocks.map((block) => [block.name, block]));
    const one = (name) => blockOf(blocks[name], text);
    const picture = blocks.picture.maps[0].url;
    shown.hidden = all.hidden = false;
    shown.replaceChildren(one('losses'), one('scores'),
      make('div', {class: 'ways'}, ...Object.entries(COLUMNS).map(([way, names]) => make('div', {class: 'way', 'data-way': way}, ...names.map(one)))),
      ...['with', 'without'].map((way) => blockOf(blocks[`layers_${way}`], text, {input: picture})), one('bounded'));
    code.textContent = found.snippet;
    all.append(written);
    bar.max = found.most;
    bar.value = steps;
    told.textContent = t('train_steps', {steps, most: found.most});
    node.dataset.steps = steps;
  };
  const setOn = (on) => {
    isOn = on;
    node.dataset.state = on ? 'on' : 'off';
    start.textContent = t(on ? 'train_stop' : steps ? 'train_on' : 'train_start');
    again.hidden = on || !steps;
  };
  const stop = (why = '') => {
    setOn(false);
    end.textContent = why;
  };

  const run = async () => {
    const began = performance.now();
    const mine = key;
    setOn(true);
    end.textContent = '';
    try {
      for (let next = steps; isOn && mine === key;) {
        if (!node.isConnected || !node.offsetParent) { stop(); return; } // nobody watches
        const found = await ask(server.train, {...question, steps: next});
        if (mine !== key) return;
        steps = next;
        show(found);
        if (steps >= found.most) { stop(t('train_done')); start.disabled = true; return; }
        if (performance.now() - began > LONGEST) { stop(t('train_minute')); return; }
        next = found.next;
      }
    } catch (error) {
      if (mine !== key) return;
      reset();
      sayTrouble(error);
    }
  };
  const reset = () => {
    steps = 0;
    start.disabled = false;
    shown.hidden = all.hidden = true;
    written.remove();
    bar.value = 0;
    told.textContent = '';
    stop();
  };
  start.addEventListener('click', () => { if (isOn) stop(); else run(); });
  again.addEventListener('click', () => { reset(); run(); });

  // Takes the settings and the picture on show. Another network begins anew; another picture is looked at from the next
  // turn on, as what is learned has nothing to do with it.
  const renew = (asked) => {
    question = asked;
    const now = JSON.stringify(asked.words);
    if (now === key) return;
    key = now;
    reset();
  };
  reset();
  return {node, renew};
};
