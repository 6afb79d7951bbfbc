// What a module of the network that is open in the page keeps in its dictionaries.
import {make, uniqueName} from '../static/dom.js';
import {ask} from '../static/server.js';
import {textsOf} from '../static/texts.js';

const t = textsOf('labs');

// run(): {network, step} of the page, or null.
export const registersView = (server, run, sayTrouble) => {
  const id = uniqueName('lab-module');
  const select = make('select', {id});
  const body = make('div', {class: 'scroll', tabindex: 0, role: 'region', 'aria-label': t('registers')});
  const why = make('p', {class: 'why'});
  const chooser = make('p', {class: 'chooser'}, make('label', {for: id}, t('registers.module')), ' ', select);
  const node = make('section', {class: 'registers'}, make('h4', {}, t('registers')), why, chooser, body);
  let of = null;
  let asked = 0;

  const show = ({rows, kind, layers}, layer) => {
    if (select.childElementCount !== layers.length) {
      select.replaceChildren(...layers.map((name) => make('option', {value: name}, name || t('registers.whole'))));
    }
    select.value = layer;
    const head = ['dictionary', 'entries', 'names'].map((key) => make('th', {scope: 'col'}, t(`registers.${key}`)));
    body.replaceChildren(make('table', {}, make('caption', {}, kind), make('thead', {}, make('tr', {}, ...head)),
      make('tbody', {}, ...rows.map(([name, count, names]) => make('tr', {}, make('th', {scope: 'row'}, name),
        make('td', {class: 'figure'}, String(count)), make('td', {}, names))))));
    node.dataset.layer = layer;
  };
  const look = async (layer) => {
    const number = ++asked;
    const {network, step, title} = of;
    why.textContent = t('registers.why', {network: title});
    try {
      const found = await ask(server.registers, {network, step, layer});
      if (number === asked) show(found, layer);
    } catch (error) {
      if (number === asked) sayTrouble(error);
    }
  };
  select.addEventListener('change', () => look(select.value));

  // Looks again if another network is open.
  const renew = () => {
    const now = run();
    if (JSON.stringify(now) === JSON.stringify(of) && node.dataset.of) return;
    of = now;
    node.dataset.of = now?.network ?? 'none';
    chooser.hidden = body.hidden = !now;
    if (!now) { why.textContent = t('registers.none'); return; }
    select.replaceChildren();
    look('');
  };
  return {node, renew};
};
