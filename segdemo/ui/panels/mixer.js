// Sliders for skip connections and stages, the mask that follows, and which channels matter most for a class.
import {classText} from '../static/classes.js';
import {make} from '../static/dom.js';
import {lostNote} from '../static/files.js';
import {figure, numbersIn, shareText} from '../static/numbers.js';
import {ask} from '../static/server.js';
import {textsOf} from '../static/texts.js';
import {takesQuestions} from '../static/tools.js';
import {choice, newest, python, untrained, whenSeen} from '../static/why.js';

const t = textsOf('mixer');
const KINDS = ['factor', 'mean', 'noise'];

export function mount({element, props, server, watch}) {
  const card = element.querySelector('.why-card');
  const turns = newest();
  const rankings = newest();
  const form = make('div', {class: 'why-view'});
  const out = make('div', {class: 'why-body'});
  const ranks = make('div', {class: 'why-form'});
  const ranked = make('div', {class: 'why-body', 'aria-live': 'polite'});
  card.append(make('h3', {}, t('title')), make('p', {class: 'intro'}, t('intro')), make('div', {class: 'why-columns'}, form, out),
    make('h4', {}, t('rank_title')), make('p', {class: 'intro'}, t('rank_intro')), ranks, ranked);
  let run = null;
  let offered = null;
  let settings = []; // {layer, into, factor, channels, instead}
  let timer = 0;
  let wanted = null; // {layer, into} of the slider that was asked for elsewhere
  let asking = false; // one move at a time: what comes meanwhile is asked for afterwards, and only its end

  const changes = () => settings.filter(({factor, instead}) => factor !== 100 || instead !== 'factor').map((one) => ({...one, seed: 0}));

  const picture = (src, words) => make('figure', {}, make('div', {class: 'layered', role: 'img', 'aria-label': words}, make('img', {class: 'photo', src, alt: ''})),
    make('figcaption', {}, words));

  const counted = () => offered.counted ? [make('p', {class: 'note'}, t('counted', {width: offered.counted[0], height: offered.counted[1]}))] : [];

  const drawBefore = () => {
    out.replaceChildren(...untrained(offered.untrained), make('div', {class: 'figures'}, picture(offered.mask, t('before'))), make('p', {class: 'note'}, t('ready')));
    out.dataset.percent = '0';
  };
  const drawMixed = (found) => {
    const table = make('table', {class: 'shares'}, make('tbody', {}, ...found.shares.map(([name, before, after]) => make('tr', {}, make('th', {scope: 'row'}, classText(name)),
      make('td', {class: 'number'}, shareText(before)), make('td', {}, '→'), make('td', {class: 'number'}, shareText(after))))));
    out.replaceChildren(...untrained(offered.untrained), make('div', {class: 'figures'}, picture(offered.mask, t('before')), picture(found.mask, t('after')),
      picture(found.changed, t('changed', {percent: found.percent.toFixed(1)}))), table,
      make('p', {class: 'note'}, found.whole ?? t('again', {again: found.again[0], total: found.again[1]})), ...counted(), python(found.python));
    Object.assign(out.dataset, {percent: found.percent.toFixed(3), seconds: found.seconds});
  };
  const mix = async () => {
    const needed = turns.begin();
    const asked = changes();
    if (!asked.length) {
      out.removeAttribute('aria-busy');
      return offered && drawBefore();
    }
    if (asking) return; // asked for as soon as the answer is there
    asking = true;
    out.setAttribute('aria-busy', 'true');
    try {
      const found = await ask(server.mix, {run, changes: asked});
      if (needed()) drawMixed(found);
    } catch (error) {
      if (needed()) out.replaceChildren(make('p', {class: 'note'}, ...lostNote(error, t('lost'), mix)));
    }
    asking = false;
    if (needed()) out.removeAttribute('aria-busy');
    else if (offered) mix(); // moved on since
  };
  const moved = () => {
    turns.stop(); // what is on its way belongs to where the slider was
    timer ||= setTimeout(() => { timer = 0; mix(); }); // what moves together is asked for together
  };

  const row = (setting, words) => {
    const slider = make('input', {type: 'range', min: 0, max: 200, step: 5, value: setting.factor, 'aria-label': words, 'data-layer': setting.layer, 'data-into': setting.into});
    const told = make('output', {}, '100 %');
    slider.addEventListener('input', () => {
      setting.factor = Number(slider.value);
      told.textContent = `${setting.factor} %`;
      moved();
    });
    const {select} = choice('', KINDS.map((key) => [key, t('instead.' + key)]), setting.instead);
    select.setAttribute('aria-label', t('instead', {name: words}));
    select.addEventListener('change', () => { setting.instead = select.value; moved(); });
    const only = make('input', {type: 'text', class: 'only', placeholder: t('all_channels'), 'aria-label': t('channels', {name: words})});
    only.addEventListener('input', () => {
      const channels = numbersIn(only.value);
      only.setAttribute('aria-invalid', String(channels === null));
      only.title = channels === null ? t('channels_wrong') : '';
      if (channels === null) return; // not typed to its end, or no numbers
      setting.channels = channels;
      moved();
    });
    return make('div', {class: 'mix-row'}, make('span', {class: 'mix-name'}, words), slider, told, select, only);
  };

  const fillForm = () => {
    const start = {factor: 100, channels: [], instead: 'factor'};
    const skips = offered.skips.map(([layer, into]) => ({layer, into, ...start}));
    const stages = offered.stages.map(({label}) => ({layer: label, into: null, ...start}));
    settings = [...skips, ...stages];
    const reset = make('button', {type: 'button'}, t('reset'));
    reset.addEventListener('click', () => { fillForm(); turns.stop(); drawBefore(); });
    form.replaceChildren(make('h4', {}, t('skips')), ...(skips.length ? skips.map((one) => row(one, `${one.layer} → ${one.into}`)) : [make('p', {class: 'note'}, t('no_skips'))]),
      make('details', {open: !skips.length}, make('summary', {}, t('stages')), ...stages.map((one) => row(one, one.layer))), make('p', {}, reset));
  };

  const fillRanks = () => {
    const layer = choice(t('rank_layer'), offered.stages.map(({label, channels}) => [label, `${label} (${channels})`]), offered.stages.at(-2)?.label);
    const name = choice(t('rank_class'), offered.classes.map((one) => [one, classText(one)]), offered.classes[0]);
    const go = make('button', {type: 'button', class: 'go'}, t('rank_go'));
    const stop = make('button', {type: 'button', disabled: true}, t('rank_stop'));
    const bar = make('progress', {max: 1, value: 0, 'aria-label': t('rank_title')});
    go.addEventListener('click', async () => {
      const needed = rankings.begin();
      let [all, done, total] = [[], 0, 1];
      stop.disabled = false;
      ranked.replaceChildren();
      try {
        while (done < total) {
          const found = await ask(server.rank, {run, layer: layer.select.value, class: name.select.value, first: done});
          if (!needed()) return;
          all = [...all, ...found.ranks].sort((a, b) => b.loss - a.loss);
          ({done, total} = found);
          bar.value = done / total;
          drawRanks(all, done, total, found.python);
        }
      } catch (error) {
        if (needed()) ranked.replaceChildren(make('p', {class: 'note'}, ...lostNote(error, t('lost'), () => go.click())));
      }
      if (needed()) stop.disabled = true;
    });
    stop.addEventListener('click', () => { rankings.stop(); stop.disabled = true; });
    ranks.replaceChildren(layer.node, name.node, go, stop, bar);
  };
  const drawRanks = (all, done, total, code) => {
    ranked.replaceChildren(make('p', {class: 'note'}, t('ranked', {done, total})), make('ol', {class: 'ranks'}, ...all.slice(0, 10).map(({channel, loss, changed}) =>
      make('li', {}, t('rank', {channel, loss: figure(loss), changed: changed.toFixed(1)})))), python(code));
    ranked.dataset.done = String(done);
  };

  // Puts the slider that was asked for into sight.
  const point = () => {
    const slider = wanted && form.querySelector(`input[data-layer="${CSS.escape(wanted.layer)}"][data-into="${CSS.escape(wanted.into)}"]`);
    if (!slider) return;
    wanted = null;
    slider.scrollIntoView({block: 'center'});
    slider.focus({preventScroll: true});
  };

  const show = async () => {
    const needed = turns.begin();
    rankings.stop();
    offered = null;
    settings = [];
    run = props.value && {...props.value};
    for (const node of [form, out, ranks, ranked]) node.replaceChildren();
    out.removeAttribute('aria-busy');
    if (!run) return out.replaceChildren(make('p', {class: 'note'}, t('no_run')));
    try {
      const answer = await ask(server.sliders, {run});
      if (!needed()) return;
      offered = answer;
      fillForm();
      fillRanks();
      drawBefore();
      point();
      server.prepare({run}).catch(() => {}); // the first move tells what is wrong
    } catch (error) {
      if (needed()) out.replaceChildren(make('p', {class: 'note'}, ...lostNote(error, t('lost'), show)));
    }
  };
  const changed = whenSeen(element, show);
  takesQuestions('mixer', element, (asked) => { wanted = asked; point(); });
  watch('value', changed);
  changed();
}
