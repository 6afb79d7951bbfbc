// The segmentation: the mask over its photograph, six more views, a legend, one pixel under the pointer, downloads.
import {change, read} from '../static/address.js';
import {gradient, heatTable, toPixel} from '../static/colours.js';
import {make, saveFrom, uniqueName} from '../static/dom.js';
import {loadPicture, loadPixels, lostNote} from '../static/files.js';
import {showTerms, termed} from '../static/glossary.js';
import {oddsText, probabilityText, secondsText, shareText} from '../static/numbers.js';
import {swatch} from '../static/scales.js';
import {ask} from '../static/server.js';
import {textsOf} from '../static/texts.js';

const t = textsOf('segmentation');

// One picture in `labels` carries three maps: red = class, green = confidence, blue = entropy. Read as 32-bit numbers
// (little-endian, as every browser's machine is) they sit at bits 0, 8 and 16; painting is one table look-up per pixel.

const VIEWS = ['mask', 'compare', 'probability', 'confidence', 'entropy', 'seen', 'picture'];
const OF_CLASSIFIERS = ['seen', 'picture']; // they answer for the whole picture: there is no map to show
const isMap = (view) => view !== 'picture' && view !== 'seen';
const HEAT = {probability: 0, confidence: 8, entropy: 16};
const HEAT_TABLE = heatTable();

const nameOf = ({name}) => {
  const key = 'class.' + name.replace(/\s/g, '');
  const text = t(key);
  return text === key ? name : text;
};
const bitsText = (bits) => t('bits', {bits: bits.toFixed(2)});
// Those in the picture, largest first, background last.
const occurringIn = (classes) => classes.filter(({percent}) => percent > 0)
  .sort((a, b) => (a.index === 0) - (b.index === 0) || b.percent - a.percent);

// What the view shows, in a sentence, in parts; name: of the class whose probability it is.
const captionOf = (value, view, name) => {
  const [padded, part] = [value.seen_size, value.resized];
  const sizes = {
    from: value.picture_size.join('\u00a0×\u00a0'), to: part.join('\u00a0×\u00a0'), size: padded.join('\u00a0×\u00a0'),
    share: (100 - 100 * part[0] * part[1] / (padded[0] * padded[1])).toFixed(1),
  };
  if (view === 'seen') {
    const padding = part.join() !== padded.join();
    return t.parts(padding ? 'caption.seen_padded' : part.join() === value.picture_size.join() ? 'caption.seen_same' : 'caption.seen', sizes);
  }
  return t.parts('caption.' + view, {
    name, bits: value.bits.toFixed(2), count: value.classes.length,
  });
};

export function mount({element, props, server, trigger, watch}) {
  const find = (name) => element.querySelector('.' + name);
  // What the reader chose outlives a run: toggles and the chosen class are kept by name, as networks differ in indices.
  const choice = {view: 'mask', opacity: {mask: 55, heat: 100}, shown: new Map(), className: null, divider: 50};
  let result = null; // the run on the page: value, width, height, pixels, probabilities by class index
  let alone = null; // index of the class highlighted from the legend
  let cursor = null; // pixel under the crosshair of the keyboard
  let sequence = 0;

  // ---- words and numbers

  const isShown = ({index, name}) => choice.shown.get(name) ?? index !== 0; // the background starts switched off
  const chosen = () => result.value.classes.find(({name}) => name === choice.className);
  // ---- painting

  const classTable = () => {
    const table = new Uint32Array(256);
    for (const entry of result.value.classes) {
      if (alone === null ? isShown(entry) : alone === entry.index) table[entry.index] = toPixel(entry.colour);
    }
    return table;
  };

  const paint = () => {
    const {width, height, pixels} = result;
    const canvas = find('map');
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, {width, height});
    const image = new ImageData(width, height);
    const out = new Uint32Array(image.data.buffer);
    if (choice.view in HEAT) {
      const source = choice.view === 'probability' ? result.probabilities.get(chosen().index) : pixels;
      const shift = HEAT[choice.view];
      for (let i = 0; source && i < out.length; i++) {
        if (alone === null || (pixels[i] & 255) === alone) out[i] = HEAT_TABLE[source[i] >>> shift & 255];
      }
    } else if (isMap(choice.view)) {
      const table = classTable();
      for (let i = 0; i < out.length; i++) out[i] = table[pixels[i] & 255];
    }
    canvas.getContext('2d').putImageData(image, 0, 0);
  };

  // ---- the view: what stands around the canvas

  const arrange = () => {
    const {value} = result;
    const {view} = choice;
    const stage = find('stage');
    const heat = view in HEAT;
    const toggles = view === 'mask' || view === 'compare';
    const [width, height] = view === 'seen' ? value.seen_size : [result.width, result.height];
    stage.dataset.view = view;
    stage.style.setProperty('--aspect', width / height);
    const fills = view === 'seen' ? [0, 1].map((i) => 100 * value.resized[i] / value.seen_size[i]) : [100, 100];
    ['--fill-x', '--fill-y'].forEach((name, i) => stage.style.setProperty(name, fills[i] + '%'));
    stage.style.setProperty('--ground', value.classes[0].colour);
    stage.classList.toggle('enlarged', Math.max(width, height) < 400 || view === 'seen');
    const {url} = view === 'seen' ? value.seen : value.picture;
    if (find('photo').getAttribute('src') !== url) find('photo').src = url;
    find('map').hidden = value.answer.length > 0;
    stage.classList.toggle('small', value.answer.length > 0);
    find('padding').hidden = fills[0] === 100 && fills[1] === 100;
    const opacity = choice.opacity[heat ? 'heat' : 'mask'];
    find('map').style.opacity = heat || view === 'mask' ? opacity / 100 : 1;
    find('opacity').value = opacity;
    find('opacity-value').textContent = opacity + ' %';
    find('opacity').style.setProperty('--filled', opacity + '%');
    find('fader').classList.toggle('away', !heat && view !== 'mask');
    find('chooser').hidden = view !== 'probability';
    find('adjustments').hidden = !heat;
    for (const name of ['all', 'none']) find(name).hidden = !toggles;
    const most = view === 'entropy' ? value.bits : 1;
    ['low', 'middle', 'high'].forEach((name, i) => { find(name).textContent = +(most * i / 2).toFixed(2); });
    if (view === 'entropy') find('high').textContent = bitsText(most);
    find('waiting').hidden = view !== 'probability' || result.probabilities.has(chosen().index);
    showTerms(find('caption'), captionOf(value, view, nameOf(chosen())));
    for (const radio of element.querySelectorAll('.views input')) radio.checked = radio.value === view;
    for (const entry of element.querySelectorAll('.legend .entry')) {
      entry.setAttribute('aria-pressed', String(isShown(value.classes[entry.dataset.index])));
      entry.setAttribute('aria-disabled', String(!toggles));
    }
    placeDivider(choice.divider);
  };
  const offer = () => {
    const answers = result.value.answer.length > 0;
    const offered = answers ? OF_CLASSIFIERS : VIEWS.filter((view) => view !== 'picture');
    if (!offered.includes(choice.view)) [choice.view] = offered;
    for (const radio of element.querySelectorAll('.views input')) radio.parentNode.hidden = !offered.includes(radio.value);
    for (const name of ['legend', 'legend-head']) find(name).hidden = answers;
    find('absent').hidden ||= answers;
    for (const button of find('downloads').querySelectorAll('button')) button.hidden = answers && button.dataset.kind !== 'data';
    find('answer').hidden = !answers;
    find('views').classList.toggle('pair', answers);
    find('heading').textContent = t(answers ? 'title_answer' : 'title');
  };
  const refresh = () => { arrange(); paint(); if (cursor) point(cursor, 'keyboard'); };

  const placeDivider = (percent) => {
    choice.divider = Math.min(100, Math.max(0, percent));
    find('stage').style.setProperty('--divide', choice.divider + '%');
    find('divider').setAttribute('aria-valuenow', Math.round(choice.divider));
  };

  const askForProbability = async () => {
    const [run, entry] = [result, chosen()];
    if (choice.view !== 'probability' || run.probabilities.has(entry.index)) return;
    try {
      const {file} = await ask(server.probability, {run: run.value.run, index: entry.index});
      const {pixels} = await loadPixels(file.url, {width: run.width, height: run.height, needed: () => run === result});
      run.probabilities.set(entry.index, pixels);
      if (run === result) refresh();
    } catch (error) {
      if (run === result) sayLost(error, askForProbability);
    }
  };

  const pickView = (view) => {
    choice.view = view;
    change({view});
    refresh();
    askForProbability();
  };

  // ---- one pixel: the tip and the crosshair

  // The pixel of the picture itself that a pixel on show stands for.
  const inPicture = ({x, y}) => [[x, result.width], [y, result.height]]
    .map(([at, size], i) => Math.floor((at + 0.5) / size * result.value.picture_size[i]));

  const tipLines = ({x, y}) => {
    const {value, width, pixels, probabilities} = result;
    const packed = pixels[y * width + x];
    const entry = value.classes[packed & 255];
    const [px, py] = inPicture({x, y});
    const map = choice.view === 'probability' && probabilities.get(chosen().index);
    const facts = [`(${px}, ${py})`];
    if (map) facts.unshift(`${nameOf(chosen())}: ${probabilityText(map[y * width + x] & 255)}`);
    if (choice.view === 'entropy') facts.unshift(bitsText((packed >>> 16 & 255) / 255 * value.bits));
    const first = `${nameOf(entry)} ${probabilityText(packed >>> 8 & 255)}`;
    return {colour: entry.colour, first, second: facts.join('  ·  ')};
  };

  const point = (pixel, by) => {
    const [canvas, stage, tip] = ['map', 'stage', 'tip'].map(find);
    tip.hidden = !pixel;
    for (const line of element.querySelectorAll('.cross')) line.hidden = !pixel || by !== 'keyboard';
    if (by !== 'keyboard') cursor = null;
    if (!pixel) return;
    const lines = pixel.outside ? {first: t('padding'), second: t('padding_note')} : tipLines(pixel);
    const [first, second] = [make('b', {}, lines.first), make('span', {}, lines.second)];
    tip.replaceChildren(swatch(lines.colour), first, second);
    const left = pixel.left ?? (pixel.x + 0.5) / result.width * canvas.offsetWidth;
    const top = pixel.top ?? (pixel.y + 0.5) / result.height * canvas.offsetHeight;
    find('across').style.top = `${top}px`;
    find('down').style.left = `${left}px`;
    const below = top + 14 + tip.offsetHeight <= stage.clientHeight;
    tip.style.left = `${Math.max(0, Math.min(left + 14, stage.clientWidth - tip.offsetWidth))}px`;
    tip.style.top = `${below ? top + 14 : top - 14 - tip.offsetHeight}px`;
    if (by === 'keyboard') find('spoken').textContent = `${lines.first}, ${lines.second}`;
  };

  const placeOf = (event) => {
    const box = find('map').getBoundingClientRect();
    const [left, top] = [event.clientX - box.left, event.clientY - box.top];
    return {left, top, x: Math.floor(left / box.width * result.width), y: Math.floor(top / box.height * result.height)};
  };
  // The pixel on show under the pointer, null beside the map.
  const pixelAt = (event) => {
    const {x, y} = placeOf(event);
    return x >= 0 && y >= 0 && x < result.width && y < result.height ? {x, y} : null;
  };

  const follow = (event) => {
    if (find('map').hidden) return;
    const {left, top, ...at} = placeOf(event);
    if (pixelAt(event)) point({...at, left, top}, 'pointer');
    else point(choice.view === 'seen' && event.type === 'pointermove' ? {outside: true, left, top} : null, 'pointer');
  };

  // Arrow keys move the crosshair by about one hundredth of the picture, with Shift by one pixel.
  const steer = (event) => {
    const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    if (event.key === 'Escape') point(null);
    if (!step) return;
    event.preventDefault();
    const {width, height} = result;
    const stride = event.shiftKey ? 1 : Math.max(1, Math.round(Math.max(width, height) / 100));
    const from = cursor ?? {x: width >> 1, y: height >> 1};
    const [x, y] = [[from.x, width], [from.y, height]]
      .map(([at, size], i) => Math.min(size - 1, Math.max(0, at + (cursor ? step[i] * stride : 0))));
    cursor = {x, y};
    point(cursor, 'keyboard');
  };

  const steerDivider = (event) => {
    const step = event.shiftKey ? 10 : 2;
    const to = {ArrowLeft: choice.divider - step, ArrowDown: choice.divider - step, ArrowRight: choice.divider + step,
      ArrowUp: choice.divider + step, Home: 0, End: 100}[event.key];
    if (to === undefined) return;
    event.preventDefault();
    placeDivider(to);
  };

  // ---- what one run fills in

  const fillLegend = () => {
    const present = occurringIn(result.value.classes);
    find('legend').replaceChildren(...present.map((entry) => {
      return make('button', {type: 'button', class: 'entry', 'data-index': entry.index}, swatch(entry.colour),
        make('span', {class: 'name'}, nameOf(entry)), make('span', {class: 'share'}, shareText(entry.percent)));
    }));
    const absent = result.value.classes.filter((entry) => !present.includes(entry));
    find('absent').hidden = absent.length === 0;
    find('absent').firstElementChild.textContent = t('absent', {names: absent.map(nameOf).join(t('comma'))});
    const group = (key, entries) => make('optgroup', {label: t(key)},
      ...entries.map((entry) => make('option', {value: entry.name}, nameOf(entry))));
    if (!chosen()) choice.className = (present[0] ?? absent[0]).name;
    find('choice').replaceChildren(group('present', present), ...(absent.length ? [group('others', absent)] : []));
    find('choice').value = choice.className;
  };

  // A classifier's answer: the most probable class in words, and a bar for each.
  const fillAnswer = () => {
    const {answer, classes} = result.value;
    const best = answer.indexOf(Math.max(...answer));
    const bar = (odds) => make('i', {class: 'bar', style: `--part: ${100 * odds}%`});
    find('best').textContent = best < 0 ? '' : t('answer', {name: nameOf(classes[best]), share: oddsText(answer[best])});
    find('odds').replaceChildren(...answer.map((odds, index) => make('li', {class: index === best ? 'first' : ''},
      make('span', {}, nameOf(classes[index])), bar(odds), make('span', {class: 'odd'}, oddsText(odds)))));
  };

  const fillWords = () => {
    const {value} = result;
    for (const name of ['banner', 'untrained']) find(name).hidden = !value.untrained;
    const summary = occurringIn(result.value.classes).map((entry) => `${nameOf(entry)} ${shareText(entry.percent)}`).join(t('comma'));
    find('map').setAttribute('aria-label', t(value.untrained ? 'summary_untrained' : 'summary', {summary}));
    const time = secondsText(value.seconds);
    const facts = [value.network, termed(t.parts('working_size', {side: value.side})), t('forward', {time})];
    find('facts').replaceChildren(...facts.map((fact) => make('span', {}, fact)));
  };

  const load = async (run, needed) => {
    const value = await ask(server.segmentation, {run});
    const {url} = choice.view === 'seen' ? value.seen : value.picture;
    const [labels] = await Promise.all([loadPixels(value.labels.url, {needed}), loadPicture(url, {needed})]);
    return {...labels, value, probabilities: new Map()};
  };

  const sayLost = (error, retry) => {
    console.warn(error);
    find('lost').hidden = false;
    find('lost').replaceChildren(...lostNote(error, t('lost'), retry));
  };

  const save = async (button) => {
    const {kind} = button.dataset;
    const hidden = result.value.classes.filter((entry) => !isShown(entry)).map(({index}) => index);
    button.setAttribute('aria-busy', 'true');
    try {
      const {file} = await ask(server.download, {run: result.value.run, kind, opacity: choice.opacity.mask / 100, hidden});
      saveFrom(file.url, file.name);
      find('lost').hidden = true;
    } catch (error) {
      sayLost(error, () => save(button));
    }
    button.removeAttribute('aria-busy');
  };

  const show = async () => {
    const run = props.value && {...props.value};
    const mine = ++sequence;
    const needed = () => mine === sequence;
    find('empty').hidden = Boolean(run);
    find('lost').hidden = true;
    if (!run) result = null;
    try {
      if (run && JSON.stringify(run) !== JSON.stringify(result?.value.run)) {
        const next = await load(run, needed);
        if (!needed()) return; // a newer run is on its way
        result = next;
        alone = null;
        point(null);
        fillLegend();
        offer();
        fillAnswer();
        fillWords();
        refresh();
        change({step: run.step});
        askForProbability();
      }
    } catch (error) {
      if (!needed()) return;
      sayLost(error, show);
    }
    find('body').hidden = !result;
    if (!result) find('fader').classList.add('away');
    element.dataset.ready = String(mine);
  };

  // ---- set-up: words, controls, and who listens

  for (const node of element.querySelectorAll('[data-text]')) node.textContent = t(node.dataset.text);
  for (const node of element.querySelectorAll('[data-label]')) node.setAttribute('aria-label', t(node.dataset.label));
  const asked = read('view');
  if (VIEWS.includes(asked)) choice.view = asked;
  const group = uniqueName('view'); // of the radio buttons
  find('views').append(...VIEWS.map((view) => make('label', {},
    make('input', {type: 'radio', name: group, value: view}), make('span', {}, t('view.' + view)))));
  find('downloads').append(...['mask', 'overlay', 'data'].map((kind) =>
    make('button', {type: 'button', class: 'download', title: t('download_note.' + kind), 'data-kind': kind}, t('download.' + kind))));
  find('ramp').style.background = gradient();

  const listen = (name, type, act) => find(name).addEventListener(type, act);
  const highlight = (index) => { alone = index; paint(); };
  const entryOf = (event) => event.target.closest('.entry');
  const showAll = (shown) => { occurringIn(result.value.classes).forEach(({name}) => choice.shown.set(name, shown)); refresh(); };

  listen('views', 'change', (event) => pickView(event.target.value));
  listen('opacity', 'input', (event) => {
    choice.opacity[choice.view in HEAT ? 'heat' : 'mask'] = Number(event.target.value);
    arrange();
  });
  listen('choice', 'change', (event) => { choice.className = event.target.value; refresh(); askForProbability(); });
  listen('stage', 'pointermove', follow);
  listen('stage', 'pointerleave', () => point(null));
  listen('map', 'keydown', steer);
  listen('map', 'blur', () => point(null));
  listen('divider', 'keydown', steerDivider);
  listen('divider', 'pointerdown', (event) => event.target.setPointerCapture(event.pointerId));
  listen('divider', 'pointermove', (event) => {
    if (!event.target.hasPointerCapture(event.pointerId)) return;
    const box = find('stage').getBoundingClientRect();
    placeDivider((event.clientX - box.left) / box.width * 100);
  });
  for (const type of ['pointerover', 'focusin']) {
    listen('legend', type, (event) => {
      const entry = entryOf(event);
      if (entry && (type === 'pointerover' || entry.matches(':focus-visible'))) highlight(Number(entry.dataset.index));
    });
  }
  for (const type of ['pointerout', 'focusout']) listen('legend', type, () => highlight(null));
  listen('legend', 'click', (event) => {
    const entry = entryOf(event);
    if (!entry || entry.getAttribute('aria-disabled') === 'true') return;
    const {name} = result.value.classes[entry.dataset.index];
    choice.shown.set(name, !isShown(result.value.classes[entry.dataset.index]));
    alone = null; // what was switched shows at once, although the pointer is still on it
    refresh();
  });
  listen('all', 'click', () => showAll(true));
  listen('none', 'click', () => showAll(false));
  listen('downloads', 'click', (event) => { if (event.target.dataset.kind) save(event.target); });
  listen('map', 'click', (event) => {
    const at = pixelAt(event);
    if (at) trigger('select', {index: inPicture(at), value: inPicture(at)});
  });
  watch('value', show);
  show();
}
