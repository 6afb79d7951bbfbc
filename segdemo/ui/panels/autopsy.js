// The pinned pixel taken apart: candidates, what each stage can see of the picture, the channels that decided.
import {classText} from '../static/classes.js';
import {draw, make, saveFrom} from '../static/dom.js';
import {lostNote} from '../static/files.js';
import {figure, oddsText} from '../static/numbers.js';
import * as pointer from '../static/pointer.js';
import {swatch} from '../static/scales.js';
import {ask} from '../static/server.js';
import {textsOf} from '../static/texts.js';
import {takesQuestions} from '../static/tools.js';
import {layered, newest, python, scaleText, untrained, whenSeen} from '../static/why.js';

const t = textsOf('autopsy');

export function mount({element, props, server, watch}) {
  const card = element.querySelector('.why-card');
  const turns = newest();
  const head = [make('h3', {}, t('title')), make('p', {class: 'intro'}, t('intro'))];
  const view = make('div', {class: 'why-view'});
  const body = make('div', {class: 'why-body', 'aria-live': 'polite'});
  card.append(...head, make('div', {class: 'why-columns'}, view, body));
  let photo = null; // of the run on show
  let size = null; // of the picture, pixels
  let found = null;
  let marked = null; // index of the stage whose box is emphasised
  let opaque = true; // whether the gradient is drawn

  const say = (...words) => body.replaceChildren(make('p', {class: 'note'}, ...words));

  const drawView = () => {
    if (!photo) return view.replaceChildren();
    const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
    svg.setAttribute('viewBox', `0 0 ${size[0]} ${size[1]}`);
    svg.setAttribute('preserveAspectRatio', 'none');
    const unit = Math.max(...size) / 300;
    const box = ([left, top, right, bottom], kind) => draw('rect', {x: left, y: top, width: right - left, height: bottom - top,
      class: kind, 'vector-effect': 'non-scaling-stroke'}, svg);
    if (found) {
      found.stages.forEach((stage, index) => { if (stage.box) box(stage.box, index === marked ? 'field marked' : 'field'); });
      box(found.effective_box, 'effective');
    }
    const pixel = pointer.pinnedIn(props.value?.picture);
    if (pixel) draw('circle', {cx: pixel[0] + 0.5, cy: pixel[1] + 0.5, r: 2.5 * unit, class: 'pin', 'vector-effect': 'non-scaling-stroke'}, svg);
    const stage = layered(photo, found && opaque ? found.effective : null, {opacity: 0.55, label: t('picture')}, svg);
    stage.classList.add('pinnable');
    stage.addEventListener('click', (event) => {
      const {left, top, width, height} = stage.getBoundingClientRect();
      const at = [(event.clientX - left) / width, (event.clientY - top) / height];
      pointer.pin(props.value.picture, at.map((share, axis) => Math.min(size[axis] - 1, Math.max(0, Math.floor(share * size[axis])))), 'why');
    });
    const toggle = make('input', {type: 'checkbox', checked: opaque});
    toggle.addEventListener('change', () => { opaque = toggle.checked; drawView(); });
    view.replaceChildren(stage, make('p', {class: 'key'}, make('span', {class: 'line field'}), t('key_field'), ' ',
      make('span', {class: 'line effective'}), t('key_effective')),
    make('label', {class: 'key'}, toggle, ' ', t('gradient')), ...(found ? [make('p', {class: 'key'}, scaleText(found.effective.scale))] : []));
  };

  const seen = ({box, largest, border}) => {
    if (!box) return '–';
    const full = largest && t('largest', {size: largest.map((side) => side ?? '∞').join(' × ')});
    return [`${box[2] - box[0]} × ${box[3] - box[1]}`, full, border && t('border')].filter(Boolean).join(' · ');
  };
  const chip = ({channel, push, src}) => make('span', {class: push > 0 ? 'chip for' : 'chip against',
    title: t('channel', {channel, push: figure(push)})}, make('img', {src, alt: ''}), `#${channel} ${push > 0 ? '+' : ''}${figure(push)}`);

  const drawTable = () => {
    const rows = found.stages.map((stage, index) => {
      const row = make('tr', {tabindex: 0, 'data-stage': stage.label}, make('th', {scope: 'row'}, stage.label, make('small', {}, stage.shape.join(' × '))),
        make('td', {}, seen(stage), ...(stage.exact ? [] : [make('small', {}, t('at_most'))])), make('td', {class: 'number'}, figure(stage.total)),
        make('td', {}, ...[...stage.channels, ...stage.against].map(chip)));
      const mark = (on) => () => { marked = on ? index : null; drawView(); };
      for (const [type, on] of [['pointerenter', true], ['pointerleave', false], ['focus', true], ['blur', false]]) row.addEventListener(type, mark(on));
      return row;
    });
    return make('div', {class: 'scroll', tabindex: 0}, make('table', {class: 'stages'}, make('thead', {}, make('tr', {},
      ...['stage', 'sees', 'total', 'channels'].map((key) => make('th', {scope: 'col'}, t('column.' + key))))), make('tbody', {}, ...rows)));
  };

  // One file with all this, to send.
  const cardButton = () => {
    const said = make('span', {role: 'status'});
    const button = make('button', {type: 'button', class: 'card-button'}, t('card'));
    button.addEventListener('click', async () => {
      button.disabled = true;
      said.textContent = t('card_working');
      try {
        const {file} = await ask(server.card, {run: props.value, point: found.point});
        saveFrom(file.url, file.name);
        said.textContent = '';
      } catch (error) {
        said.replaceChildren(...lostNote(error, t('lost'), () => button.click()));
      }
      button.disabled = false;
    });
    return make('p', {}, button, ' ', said);
  };

  // Asked for by a button: it fits some read-outs for each stage.
  const readout = () => {
    const said = make('div', {class: 'readout', 'aria-live': 'polite'});
    const button = make('button', {type: 'button'}, t('readout'));
    button.addEventListener('click', async () => {
      const about = found;
      button.disabled = true;
      said.replaceChildren(make('p', {class: 'note'}, t('readout_working')));
      try {
        const told = await ask(server.readout, {run: props.value, point: about.point});
        const winner = classText(told.winner);
        const percent = (share) => `${(100 * share).toFixed(0)} %`;
        const rows = told.stages.map(({label, says, agreement, chance}) => make('tr', {}, make('th', {scope: 'row'}, label), make('td', {}, says === null ? '–' : classText(says)),
          make('td', {class: 'number'}, percent(agreement)), make('td', {class: 'number'}, percent(chance))));
        said.replaceChildren(make('p', {class: 'verdict'}, told.first === null ? t('readout_none', {winner}) : t('readout_first', {stage: told.first, winner})),
          make('div', {class: 'scroll', tabindex: 0}, make('table', {class: 'stages'}, make('thead', {}, make('tr', {},
            ...['stage', 'says', 'agreement', 'chance'].map((key) => make('th', {scope: 'col'}, t('readout_column.' + key))))), make('tbody', {}, ...rows))),
          make('p', {class: 'note'}, t('readout_limits')), python(told.python));
      } catch (error) {
        said.replaceChildren(make('p', {class: 'note'}, ...lostNote(error, t('lost'), () => button.click())));
      }
      button.disabled = false;
    });
    return make('div', {}, make('p', {}, button), said);
  };

  const drawFound = () => {
    const [winner, second] = found.candidates;
    const words = {x: found.point[0], y: found.point[1], winner: classText(winner.name), second: classText(second.name), margin: figure(found.margin)};
    const odds = make('ol', {class: 'candidates'}, ...found.candidates.map((one) => make('li', {}, swatch(one.colour),
      make('span', {}, classText(one.name)), make('span', {class: 'number'}, oddsText(one.probability)), make('span', {class: 'number'}, figure(one.logit)))));
    body.replaceChildren(...untrained(found.untrained), make('p', {class: 'verdict'}, t('verdict', words)),
      ...(found.whole ? [make('p', {class: 'note'}, t('whole'))] : []), odds,
      ...(found.trouble ? [make('p', {class: 'note'}, found.trouble)] : []), make('p', {class: 'note'}, t('how')), drawTable(), ...(found.whole ? [] : [readout()]), python(found.python), cardButton());
    body.dataset.point = found.point.join();
  };

  const show = async () => {
    const needed = turns.begin();
    const run = props.value;
    found = null;
    say(t(run ? 'working' : 'no_run')); // what stood here was of another pixel, or another run
    if (!run) { photo = null; return drawView(); }
    try {
      photo = (await ask(server.picture, {run})).photo;
      if (!needed()) return;
      const picture = make('img', {src: photo});
      await picture.decode();
      const own = pointer.current();
      size = own.picture === run.picture ? own.size : [picture.naturalWidth, picture.naturalHeight];
      const point = pointer.pinnedIn(run.picture);
      drawView();
      if (!point) return say(t('no_pin'));
      const answer = await ask(server.autopsy, {run, point});
      if (!needed()) return; // another pixel, or another run, since
      found = answer;
      drawFound();
      drawView();
    } catch (error) {
      if (needed()) say(...lostNote(error, t('lost'), show));
    }
  };
  const changed = whenSeen(element, show);
  let before = '';
  pointer.follow(() => {
    const now = JSON.stringify([props.value, pointer.pinnedIn(props.value?.picture)]);
    if (now !== before) { before = now; changed(); }
  });
  takesQuestions('autopsy', element);
  watch('value', changed);
  changed();
}
