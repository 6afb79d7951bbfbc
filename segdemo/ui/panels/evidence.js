// What in a layer speaks for a class: the map over the photograph, the control beside it, and what that is worth.
import {classText} from '../static/classes.js';
import {make} from '../static/dom.js';
import {lostNote} from '../static/files.js';
import * as pointer from '../static/pointer.js';
import {ask} from '../static/server.js';
import {textsOf} from '../static/texts.js';
import {choice, layered, newest, python, scaleText, untrained, whenSeen} from '../static/why.js';

const t = textsOf('evidence');
const WHERE = ['class', 'object', 'inner', 'outer', 'pixel', 'region'];
const METHODS = ['gradcam', 'hirescam', 'gradient'];

export function mount({element, props, server, watch}) {
  const card = element.querySelector('.why-card');
  const turns = newest();
  const form = make('div', {class: 'why-form'});
  const out = make('div', {class: 'why-body', 'aria-live': 'polite'});
  card.append(make('h3', {}, t('title')), make('p', {class: 'intro'}, t('intro')), form, out);
  let offered = null;
  let run = null; // that the choices belong to
  const chosen = {layer: null, class: null, where: 'class', method: 'gradcam', positive: false, region: []};

  const say = (...words) => out.replaceChildren(make('p', {class: 'note'}, ...words));

  const compute = async () => {
    const needed = turns.begin();
    const asked = {run, ...chosen, point: pointer.pinnedIn(run.picture)};
    say(t('working'));
    try {
      const found = await ask(server.evidence, asked);
      if (needed()) drawFound(found);
    } catch (error) {
      if (needed()) say(...lostNote(error, t('lost'), compute));
    }
  };

  const panel = (words, map) => make('figure', {}, layered(offered.photo, map, {valid: offered.valid, label: words}),
    make('figcaption', {}, words, make('small', {}, scaleText(map.scale))));

  const verdictOf = (found) => {
    if (found.correlation === null) return t('no_control');
    const value = Number(found.correlation);
    if (Number.isNaN(value)) return t('even');
    return t(found.nothing ? 'nothing' : 'something', {correlation: value.toFixed(2)});
  };

  const drawFound = (found) => {
    const asked = make('figure', {}, layered(offered.photo, {src: found.target}, {opacity: 0.5, label: t('target')}), make('figcaption', {}, t('target')));
    out.replaceChildren(...untrained(found.untrained), make('div', {class: 'figures'}, asked,
      panel(t('map', {name: classText(found.class)}), found.map), ...(found.control ? [panel(t('control'), found.control)] : [])),
    make('p', {class: found.nothing ? 'banner' : 'verdict'}, verdictOf(found)), python(found.python));
    out.dataset.layer = found.layer;
  };

  const fillForm = () => {
    chosen.layer = offered.stages.includes(chosen.layer) ? chosen.layer : offered.stages.at(-3) ?? offered.stages[0];
    const names = offered.classes.map(({name}) => name);
    chosen.class = names.includes(chosen.class) ? chosen.class : names[0];
    const part = (key, options) => {
      const {select, node} = choice(t('choose.' + key), options, chosen[key]);
      select.addEventListener('change', () => { chosen[key] = select.value; corners(); });
      return node;
    };
    const tick = make('input', {type: 'checkbox', checked: chosen.positive});
    tick.addEventListener('change', () => { chosen.positive = tick.checked; });
    const region = make('input', {type: 'text', placeholder: '0,0 100,100', value: chosen.region.map(String).join(' ')});
    region.addEventListener('input', () => {
      chosen.region = region.value.trim().split(/\s+/).filter(Boolean).map((pair) => pair.split(',').map(Number));
    });
    const labelled = make('label', {class: 'choice'}, t('choose.region'), ' ', region);
    const corners = () => { labelled.hidden = chosen.where !== 'region'; };
    const go = make('button', {type: 'button', class: 'go'}, t('go'));
    go.addEventListener('click', compute);
    const places = offered.whole ? ['class'] : WHERE;
    chosen.where = places.includes(chosen.where) ? chosen.where : 'class';
    form.replaceChildren(part('layer', offered.stages.map((label) => [label, label])), part('class', names.map((name) => [name, classText(name)])),
      part('where', places.map((key) => [key, t('where.' + key)])), labelled, part('method', METHODS.map((key) => [key, t('method.' + key)])),
      make('label', {class: 'choice'}, tick, ' ', t('choose.positive')), go);
    corners();
  };

  const show = async () => {
    const needed = turns.begin();
    run = props.value && {...props.value};
    form.replaceChildren();
    if (!run) return say(t('no_run'));
    try {
      const answer = await ask(server.choices, {run});
      if (!needed()) return;
      offered = answer;
      fillForm();
      say(t('ready'));
    } catch (error) {
      if (needed()) say(...lostNote(error, t('lost'), show));
    }
  };
  const changed = whenSeen(element, show);
  watch('value', changed);
  changed();
}
