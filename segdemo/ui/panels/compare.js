// This run beside another: of another network, step or picture, or of the same picture altered.
import {change, read} from '../static/address.js';
import {classText} from '../static/classes.js';
import {toPixel} from '../static/colours.js';
import {make} from '../static/dom.js';
import {loadPicture, loadPixels, lostNote} from '../static/files.js';
import {labelAt, linked} from '../static/linked.js';
import {shareText} from '../static/numbers.js';
import {upload} from '../static/paste.js';
import {listen} from '../static/picks.js';
import * as pointer from '../static/pointer.js';
import {ask} from '../static/server.js';
import {textsOf} from '../static/texts.js';
import {choice, newest, python, scaleText, untrained, whenSeen} from '../static/why.js';

const t = textsOf('compare');
const ALTERED = ['blurred', 'darkened', 'rotated', 'noisy'];
const PAUSE = 200; // ms that the slider rests before the server is asked
const shareOf = (share) => share === 0 ? '0 %' : shareText(share);
const [APART, OUTSIDE] = [toPixel('#d62878'), toPixel('#808080')];

export function mount({element, props, server, watch}) {
  const card = element.querySelector('.why-card');
  const turns = newest();
  const form = make('div', {class: 'why-form'});
  const out = make('div', {class: 'why-body', 'aria-live': 'polite'});
  const views = ['left', 'right', 'apart'].map((key) => ({...linked(t('view.' + key), 'compare'), words: make('figcaption', {})}));
  const figures = make('div', {class: 'figures', hidden: true}, ...views.map(({stage, words}) => make('figure', {}, stage, words)));
  const here = make('p', {class: 'key here', hidden: true});
  const rest = make('div', {class: 'why-body'});
  card.append(make('h3', {}, t('title')), make('p', {class: 'intro'}, t('intro')), form, out, figures, here, rest);
  let run = null; // that is compared
  let offered = null;
  let given = null; // {path, name} of a second picture that was uploaded
  let shown = null; // what stands below, with the labels of both sides
  let word = read('compare'); // what it is compared with, as the address has it
  let timer = 0;

  const kindOf = () => word?.split('.', 1)[0] ?? '';
  const restOf = () => word?.slice(kindOf().length + 1) ?? '';
  const say = (...words) => out.replaceChildren(make('p', {class: 'note'}, ...words));
  const clear = () => {
    shown = null;
    for (const {show} of views) show(null);
    figures.hidden = here.hidden = true;
    rest.replaceChildren();
    delete out.dataset.percent;
  };

  const drawSide = (view, side, {width, height, pixels}) => {
    const colours = side.classes.map(({colour, hidden}) => hidden ? 0 : toPixel(colour));
    const drawn = pixels.map((label) => label >>> 16 & 255 ? OUTSIDE : colours[label & 65535]);
    view.show({photo: side.photo.url, width, height, pixels: drawn, picture: run.picture, size: shown.picture_size});
    const step = side.step === null ? '' : t('at_step', {step: side.step});
    view.words.replaceChildren(t('side', {title: side.title, size: side.size}) + step, ...untrained(side.untrained));
  };
  const drawAll = () => {
    figures.hidden = false;
    shown.sides.forEach((side, index) => drawSide(views[index], side, shown.labels[index]));
    const {width, height, pixels} = shown.apart;
    views[2].show({photo: shown.sides[0].photo.url, width, height, opacity: 0.85, picture: run.picture, size: shown.picture_size,
      pixels: pixels.map((label) => [0, APART, OUTSIDE][label & 3])});
    views[2].words.textContent = t('apart', {percent: shareOf(shown.percent)});
  };
  const drawRest = () => {
    const number = (share) => make('td', {class: 'number'}, share === null ? t('unknown') : shareOf(share));
    const shares = make('table', {class: 'shares'}, make('caption', {}, t('shares')), make('tbody', {}, ...shown.shares.map(([name, one, other]) =>
      make('tr', {}, make('th', {scope: 'row'}, classText(name)), number(one), make('td', {}, '→'), number(other)))));
    const alike = (value) => value === null ? t('even') : value.toFixed(2);
    const matched = make('table', {class: 'matched'}, make('caption', {}, t('matched')), make('tbody', {}, ...shown.matched.map(([one, other, value]) =>
      make('tr', {}, make('th', {scope: 'row'}, one), make('td', {}, other), make('td', {class: 'number'}, alike(value)),
        make('td', {}, make('i', {class: 'bar', style: `width: ${60 * (value ?? 0)}px`}))))));
    const parts = [shares, make('div', {class: 'scroll', tabindex: 0, role: 'region', 'aria-label': t('matched')}, matched)];
    if (shown.plot) {
      const told = make('small', {}, t('plot'));
      const plot = make('img', {class: 'plain plot', src: shown.plot.src, alt: t('plot')});
      plot.addEventListener('pointermove', (event) => {
        const {left, top, width, height} = plot.getBoundingClientRect();
        const [row, column] = [[event.clientY - top, height], [event.clientX - left, width]].map(([at, side], axis) =>
          Math.min(shown.stages[axis].length - 1, Math.max(0, Math.floor(at / side * shown.stages[axis].length))));
        told.textContent = t('pair', {one: shown.stages[0][row], other: shown.stages[1][column], value: alike(shown.likeness[row][column])});
      });
      parts.push(make('figure', {class: 'small'}, plot, make('figcaption', {}, told, scaleText(shown.plot.scale))));
    }
    rest.replaceChildren(make('div', {class: 'beside'}, ...parts), make('p', {class: 'note'}, t('how')), python(shown.python));
  };
  const point = ({picture, pixel}) => {
    const known = shown && picture === run.picture && pixel && pointer.isWithin(pixel, shown.picture_size);
    here.hidden = !shown;
    if (!known) { here.textContent = t('nowhere'); return; }
    const [left, right] = shown.labels.map((labels, index) => {
      const label = labels.pixels[labelAt(labels, pixel, shown.picture_size)];
      return label >>> 16 & 255 ? t('outside') : classText(shown.sides[index].classes[label & 65535].name);
    });
    here.textContent = t('here', {x: pixel[0], y: pixel[1], left, right});
  };
  pointer.follow(point);

  const compute = async () => {
    clearTimeout(timer);
    const needed = turns.begin();
    if (!run || !(word || given)) return;
    out.setAttribute('aria-busy', 'true');
    if (!shown) say(t('working'));
    try {
      const found = await ask(server.compare, word ? {run, with: word} : {run, path: given.path});
      const labels = await Promise.all(found.sides.map((side) => loadPixels(side.labels.url, {needed})));
      const apart = await loadPixels(found.differences.url, {needed});
      await Promise.all(found.sides.map((side) => loadPicture(side.photo.url, {needed})));
      if (!needed()) return; // something else was chosen since
      shown = {...found, labels, apart};
      drawAll();
      drawRest();
      point(pointer.current());
      const verdict = found.compared < 99.995 ? 'verdict_part' : 'verdict';
      out.replaceChildren(make('p', {class: 'verdict'}, t(verdict, {percent: shareOf(found.percent), compared: shareOf(found.compared)})),
        ...(found.whole ? [make('p', {class: 'note'}, t('whole'))] : []));
      out.dataset.percent = found.percent.toFixed(3);
      out.dataset.with = word ?? 'picture';
    } catch (error) {
      if (!needed()) return;
      clear();
      out.replaceChildren(make('p', {class: 'note'}, ...lostNote(error, t('lost'), compute)));
    }
    out.removeAttribute('aria-busy');
  };

  const take = (next, wait = 0) => {
    turns.stop(); // what is on its way belongs to what was chosen before
    clearTimeout(timer);
    word = next;
    change({compare: next});
    timer = setTimeout(compute, wait);
  };

  const second = () => {
    const kind = kindOf();
    if (ALTERED.includes(kind)) {
      const slider = make('input', {type: 'range', min: 0, max: 100, step: 5, value: restOf(), 'aria-label': t('amount')});
      const told = make('output', {}, `${restOf()} %`);
      slider.addEventListener('input', () => { told.textContent = `${slider.value} %`; take(`${kind}.${slider.value}`, PAUSE); });
      return [make('label', {class: 'choice'}, make('span', {}, t('amount')), slider, told)];
    }
    const options = {
      network: offered.networks, step: offered.steps.map((step) => [String(step), step === 'end' ? t('end') : t('step', {step})]),
      example: offered.pictures.map((name) => [name, name]),
    }[kind] ?? [];
    const {select, node} = choice(t('which.' + kind), options, restOf());
    select.addEventListener('change', () => take(`${kind}.${select.value}`));
    return [node];
  };
  const uploader = () => {
    const input = make('input', {type: 'file', accept: 'image/*', 'aria-label': t('which.upload')});
    input.addEventListener('change', async () => {
      const [file] = input.files;
      if (!file) return;
      try {
        given = {path: await upload(file), name: file.name};
        take(null);
      } catch (error) {
        console.warn(error);
        say(t('upload_failed'));
      }
    });
    return make('label', {class: 'choice'}, make('span', {}, given && !word ? given.name : t('which.upload')), input);
  };

  const fillForm = () => {
    const first = {network: offered.networks[0]?.[0], step: offered.steps[0], example: offered.pictures[0]};
    const kinds = ['', ...ALTERED, ...['network', 'step', 'example'].filter((kind) => first[kind] !== undefined), 'upload'];
    const kind = word ? kindOf() : given ? 'upload' : '';
    const {select, node} = choice(t('kind'), kinds.map((key) => [key, t('kind.' + (key || 'none'))]), kind);
    select.addEventListener('change', () => {
      const key = select.value;
      if (key !== 'upload') given = null;
      if (key === 'upload') { word = null; given ??= {path: null, name: ''}; turns.stop(); clear(); say(t('ready_upload')); change({compare: null}); }
      else if (!key) { take(null); clear(); say(t('ready')); }
      else take(ALTERED.includes(key) ? `${key}.50` : `${key}.${first[key]}`);
      if (key === 'upload') form.replaceChildren(node, uploader());
      else form.replaceChildren(node, ...(key ? second() : []));
    });
    form.replaceChildren(node, ...(kind === 'upload' ? [uploader()] : kind ? second() : []));
  };

  const show = async () => {
    const needed = turns.begin();
    run = props.value && {...props.value};
    clear();
    form.replaceChildren();
    if (!run) return say(t('no_run'));
    try {
      const answer = await ask(server.choices, {run});
      if (!needed()) return;
      offered = answer;
      const names = new Map([['network', offered.networks.map(([name]) => name)], ['step', offered.steps.map(String)]]);
      if (names.has(kindOf()) && !names.get(kindOf()).includes(restOf())) { word = null; change({compare: null}); } // of another network
      fillForm();
      if (word || given?.path) await compute();
      else say(t('ready'));
    } catch (error) {
      if (needed()) say(...lostNote(error, t('lost'), show));
    }
  };
  const changed = whenSeen(element, show);
  listen('walk', () => {
    if (read('compare') === word) return;
    word = read('compare');
    given = null;
    changed();
  });
  watch('value', changed);
  changed();
  if (word) element.scrollIntoView();
}
