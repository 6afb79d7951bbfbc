// What in a layer speaks for a class: the map over the photograph, the control beside it, and what that is worth.
import {classText} from '../static/classes.js';
import {make} from '../static/dom.js';
import {lostNote} from '../static/files.js';
import * as pointer from '../static/pointer.js';
import {drawing} from '../static/region.js';
import {ask} from '../static/server.js';
import {textsOf} from '../static/texts.js';
import {takesQuestions} from '../static/tools.js';
import {choice, layered, newest, python, scaleText, untrained, whenSeen} from '../static/why.js';

const t = textsOf('evidence');
const WHERE = ['class', 'object', 'inner', 'outer', 'pixel', 'region'];
const AT_PIN = ['object', 'inner', 'outer', 'pixel']; // of the pixel that is pinned
const METHODS = ['gradcam', 'hirescam', 'gradient'];
const THERE = ''; // the class at the pinned pixel

export function mount({element, props, server, watch}) {
  const card = element.querySelector('.why-card');
  const turns = newest();
  const form = make('div', {class: 'why-form'});
  const out = make('div', {class: 'why-body', 'aria-live': 'polite'});
  const area = drawing((region) => { chosen.region = region; if (chosen.where !== 'region') pickWhere('region'); });
  card.append(make('h3', {}, t('title')), make('p', {class: 'intro'}, t('intro')), form, make('div', {class: 'evidence'}, area.node, out));
  let offered = null;
  let run = null; // that the choices belong to
  let asked = null; // what was asked for elsewhere on the page
  const chosen = {layer: null, class: null, where: 'class', method: 'gradcam', positive: false, region: []};

  const say = (...words) => out.replaceChildren(make('p', {class: 'note'}, ...words));

  const compute = async () => {
    const needed = turns.begin();
    const point = AT_PIN.includes(chosen.where) ? pointer.pinnedIn(run.picture) : null;
    const region = chosen.where === 'region' ? chosen.region : [];
    const question = {run, ...chosen, class: chosen.class === THERE ? null : chosen.class, point, region};
    say(t('working'));
    try {
      const found = await ask(server.evidence, question);
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
    const target = make('figure', {}, layered(offered.photo, {src: found.target}, {opacity: 0.5, label: t('target')}), make('figcaption', {}, t('target')));
    out.replaceChildren(...untrained(found.untrained), make('div', {class: 'figures'}, target,
      panel(t('map', {name: classText(found.class)}), found.map), ...(found.control ? [panel(t('control'), found.control)] : [])),
    make('p', {class: found.nothing ? 'banner' : 'verdict'}, verdictOf(found)), python(found.python));
    out.dataset.layer = found.layer;
    out.dataset.where = chosen.where;
  };

  const pickWhere = (where) => {
    turns.stop(); // what is on its way belongs to what was chosen before
    chosen.where = where;
    if (!AT_PIN.includes(where) && chosen.class === THERE) chosen.class = offered.classes[0].name;
    fillForm();
    say(t('ready'));
  };

  const fillForm = () => {
    chosen.layer = offered.stages.includes(chosen.layer) ? chosen.layer : offered.stages.at(-3) ?? offered.stages[0];
    const places = offered.whole ? ['class'] : WHERE;
    chosen.where = places.includes(chosen.where) ? chosen.where : 'class';
    const names = [...(AT_PIN.includes(chosen.where) ? [THERE] : []), ...offered.classes.map(({name}) => name)];
    chosen.class = names.includes(chosen.class) ? chosen.class : names[0];
    const part = (key, options, act = (value) => { chosen[key] = value; }) => {
      const {select, node} = choice(t('choose.' + key), options, chosen[key]);
      select.addEventListener('change', () => act(select.value));
      return node;
    };
    const tick = make('input', {type: 'checkbox', checked: chosen.positive});
    tick.addEventListener('change', () => { chosen.positive = tick.checked; });
    const go = make('button', {type: 'button', class: 'go'}, t('go'));
    go.addEventListener('click', compute);
    form.replaceChildren(part('layer', offered.stages.map((label) => [label, label])),
      part('where', places.map((key) => [key, t('where.' + key)]), pickWhere),
      part('class', names.map((name) => [name, name === THERE ? t('class_there') : classText(name)])),
      part('method', METHODS.map((key) => [key, t('method.' + key)])),
      make('label', {class: 'choice'}, tick, ' ', t('choose.positive')), go);
    area.show(offered.whole ? null : {photo: offered.photo, size: offered.size, picture: run.picture, region: chosen.region, drawn: chosen.where === 'region'});
  };

  // Answers what was asked for elsewhere, once the run is there.
  const answer = () => {
    if (!asked || !offered) return;
    Object.assign(chosen, asked);
    asked = null;
    fillForm();
    compute();
  };

  const show = async () => {
    const needed = turns.begin();
    if (run?.picture !== props.value?.picture) chosen.region = []; // drawn in another picture
    run = props.value && {...props.value};
    offered = null;
    form.replaceChildren();
    area.show(null);
    out.replaceChildren(); // what stood there was of another run
    if (!run) return say(t('no_run'));
    try {
      const found = await ask(server.choices, {run});
      if (!needed()) return;
      offered = found;
      fillForm();
      say(t('ready'));
      answer();
    } catch (error) {
      if (needed()) say(...lostNote(error, t('lost'), show));
    }
  };
  const changed = whenSeen(element, show);
  takesQuestions('evidence', element, (question) => { asked = question; answer(); });
  watch('value', changed);
  changed();
}
