// The network goes through all pictures of a person's own page; the worst come first, a click opens one.
import {classText} from '../static/classes.js';
import {make} from '../static/dom.js';
import {lostNote} from '../static/files.js';
import {shareText} from '../static/numbers.js';
import {ask} from '../static/server.js';
import {textsOf} from '../static/texts.js';
import {newest, python, whenSeen} from '../static/why.js';

const t = textsOf('worst');
const SHOWN = 60; // pictures, the worst of all

export function mount({element, props, server, trigger, watch}) {
  const card = element.querySelector('.why-card');
  const turns = newest();
  const form = make('div', {class: 'why-form'});
  const said = make('p', {class: 'note', role: 'status'});
  const list = make('ol', {class: 'worst'});
  const rest = make('div', {class: 'why-body'});
  card.append(make('h3', {}, t('title')), make('p', {class: 'intro'}, t('intro')), form, said, list, rest);
  let run = null;
  let facts = null; // {names, masked, source}

  const scoreOf = ({iou, entropy}, masked) => masked ? t('iou', {iou: iou.toFixed(3)}) : t('entropy', {bits: entropy.toFixed(3)});
  const draw = (all) => {
    const masked = all.some(({iou}) => iou !== null);
    const scored = all.filter(({iou}) => !masked || iou !== null);
    scored.sort((one, other) => masked ? one.iou - other.iou : other.entropy - one.entropy);
    list.replaceChildren(...scored.slice(0, SHOWN).map((one) => {
      const shares = one.shares.map(([name, percent]) => `${classText(name)} ${shareText(percent)}`).join(t('comma'));
      const button = make('button', {type: 'button', class: 'judged', title: t('open', {name: one.name}), 'data-name': one.name},
        make('img', {src: one.thumbnail, alt: ''}), make('b', {}, scoreOf(one, masked)), make('span', {}, one.name), make('small', {}, shares));
      button.addEventListener('click', () => trigger('open', {index: one.name, value: one.name}));
      return make('li', {}, button);
    }));
    return {masked, left: all.length - scored.length};
  };
  const drawTelling = ({telling, masked, python: code}) => {
    const table = make('table', {class: 'telling'}, make('caption', {}, t('telling')), make('tbody', {}, ...telling.map(({stage, channel, apart}) =>
      make('tr', {}, make('th', {scope: 'row'}, stage), make('td', {}, `#${channel}`), make('td', {class: 'number'}, `${apart > 0 ? '+' : ''}${apart.toFixed(2)}`)))));
    rest.replaceChildren(...(telling.length ? [table, make('p', {class: 'note'}, t('telling_how'))] : [make('p', {class: 'note'}, t('telling_few'))]),
      make('p', {class: 'note'}, t(masked ? 'by_iou' : 'by_entropy')), python(code));
  };

  const fillForm = () => {
    const go = make('button', {type: 'button', class: 'go'}, t('go', {count: facts.names.length}));
    const stop = make('button', {type: 'button', disabled: true}, t('stop'));
    const bar = make('progress', {max: facts.names.length, value: 0, 'aria-label': t('title')});
    const walk = async () => {
      const needed = turns.begin();
      const all = [];
      const lost = [];
      go.disabled = true;
      stop.disabled = false;
      rest.replaceChildren();
      for (const name of facts.names) {
        try {
          const judged = await ask(server.judge, {run, name});
          if (!needed()) return;
          all.push(judged);
        } catch (error) {
          if (!needed()) return;
          lost.push(error.message);
          if (!all.length && lost.length > 2) break; // it is not the picture
        }
        bar.value = all.length + lost.length;
        const {left} = draw(all);
        said.textContent = [t('done', {done: bar.value, total: facts.names.length}), left && t('without', {count: left}), ...lost].filter(Boolean).join(' ');
      }
      list.dataset.done = String(all.length);
      go.disabled = false;
      stop.disabled = true;
      if (lost.length || !all.length) return;
      try {
        const ranking = await ask(server.ranking, {run});
        if (needed()) drawTelling(ranking);
      } catch (error) {
        if (needed()) rest.replaceChildren(make('p', {class: 'note'}, ...lostNote(error, t('lost'), walk)));
      }
    };
    go.addEventListener('click', walk);
    stop.addEventListener('click', () => { turns.stop(); go.disabled = false; stop.disabled = true; });
    form.replaceChildren(go, stop, bar);
  };

  const show = async () => {
    const before = JSON.stringify(run && [run.network, run.size, run.step]);
    run = props.value && {...props.value};
    if (facts && run && before === JSON.stringify([run.network, run.size, run.step])) return; // the pictures of this network stay
    const needed = turns.begin();
    for (const node of [form, list, rest]) node.replaceChildren();
    delete list.dataset.done;
    said.textContent = '';
    if (!run) { said.textContent = t('no_run'); return; }
    try {
      const found = await ask(server.pictures, {});
      if (!needed()) return;
      facts = found;
      if (facts.names.length) fillForm();
      else said.textContent = t('none');
    } catch (error) {
      if (needed()) said.replaceChildren(...lostNote(error, t('lost'), show));
    }
  };
  const changed = whenSeen(element, show);
  watch('value', changed);
  changed();
}
