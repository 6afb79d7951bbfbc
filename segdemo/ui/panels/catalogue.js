// The table of the networks. A name shows its card below, a button opens the network in the tab that looks inside.
import {change} from '../static/address.js';
import {classText} from '../static/classes.js';
import {make} from '../static/dom.js';
import {lostNote} from '../static/files.js';
import {secondsText, whole} from '../static/numbers.js';
import {ask} from '../static/server.js';
import {textsOf} from '../static/texts.js';
import {whenSeen} from '../static/why.js';

const t = textsOf('catalogue');
const COLUMNS = ['network', 'about', 'classes', 'parameters', 'score', 'time', 'file', 'licence'];
const NUMBERS = ['parameters', 'score', 'time', 'file'];
const DASH = '–';

// What stands in the columns after the name.
const cellsOf = ({about, classes, size, measured, partly}) => {
  const names = make('details', {}, make('summary', {}, whole(classes.length)), classes.map(classText).join(t('comma')));
  if (!measured) return [[about], [names], [DASH], [t(partly ? 'partly' : 'untrained')], [DASH], [DASH], [DASH]];
  const on = t('on', {data: measured.data, pictures: whole(measured.pictures)});
  return [[about], [names], [whole(measured.parameters)],
    [`${t(`metric_${measured.metric}`)} ${measured.score.toFixed(3)}`, make('small', {}, on)],
    [secondsText(measured.seconds), make('small', {}, t('at', {size}))],
    [`${(measured.bytes / 1e6).toFixed(1)} MB`], [measured.licence]];
};

export function mount({element, server, trigger}) {
  const [head, body, lost] = ['thead tr', 'tbody', '.lost'].map((place) => element.querySelector(place));
  element.querySelector('.frame').setAttribute('aria-label', t('table'));
  head.append(...COLUMNS.map((key) => make('th', {scope: 'col', class: NUMBERS.includes(key) ? 'number' : ''}, t(key))),
    make('td', {}));

  const open = (name) => {
    change({network: name, side: null, step: null, stage: null, channel: null, sheet: null});
    trigger('open', {index: 0, value: name});
  };
  const showCard = (name) => {
    for (const one of body.querySelectorAll('.name')) one.setAttribute('aria-pressed', String(one.dataset.name === name));
    trigger('select', {index: 0, value: name});
  };
  const rowOf = (network) => {
    const {name, title} = network;
    const card = make('button', {type: 'button', class: 'name', 'data-name': name, 'aria-pressed': 'false', title: t('card', {title})}, title);
    const opener = make('button', {type: 'button', class: 'open', 'aria-label': t('open_long', {title})}, t('open'));
    card.addEventListener('click', () => showCard(name));
    opener.addEventListener('click', () => open(name));
    return make('tr', {'data-network': name}, make('th', {scope: 'row'}, card, make('small', {}, name)),
      ...cellsOf(network).map((parts, index) => {
        const key = COLUMNS[index + 1];
        return make('td', {class: NUMBERS.includes(key) ? 'number' : key}, ...parts);
      }), make('td', {}, opener));
  };
  // How large the others are, one after the other: the server builds each, without weights, to count.
  let uncounted = [];
  const countWhenSeen = whenSeen(element, async () => {
    for (const {name} of uncounted) {
      const cell = body.querySelector(`tr[data-network="${CSS.escape(name)}"] td:nth-of-type(3)`);
      try {
        const {parameters} = await ask(server.parameters, {network: name});
        if (cell) cell.textContent = whole(parameters);
      } catch (error) {
        console.warn(error); // the dash stays
      }
    }
    element.dataset.counted = 'true';
  });
  const show = async () => {
    lost.hidden = true;
    try {
      const {networks} = await ask(server.catalogue, {});
      body.replaceChildren(...networks.map(rowOf));
      element.dataset.ready = String(networks.length);
      uncounted = networks.filter(({measured}) => !measured);
      countWhenSeen();
    } catch (error) {
      lost.hidden = false;
      lost.replaceChildren(...lostNote(error, '', show));
    }
  };
  show();
}
