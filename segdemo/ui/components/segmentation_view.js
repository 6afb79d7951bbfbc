// One picture in `labels` carries three maps: red = class, green = confidence, blue = entropy. Read as 32-bit numbers
// (little-endian, as every browser's machine is) they sit at bits 0, 8 and 16; painting is one table look-up per pixel.

const VIEWS = ['mask', 'compare', 'probability', 'confidence', 'entropy', 'seen', 'picture'];
const OF_CLASSIFIERS = ['seen', 'picture']; // they answer for the whole picture: there is no map to show
const isMap = (view) => view !== 'picture' && view !== 'seen';
const HEAT = {probability: 0, confidence: 8, entropy: 16};
// 33 of viridis' 256 colours; what lies between differs from the original by less than 2 of 255 levels.
const VIRIDIS = ('440154 460c5f 47186a 482273 472c7b 453681 424085 3e4989 3a528b 365a8c 32628d 2f6a8d 2c728e 287a8e ' +
  '26818e 23898d 20908c 1e978a 1e9e88 21a685 27ad80 30b47a 3dbb74 4bc26c 5bc862 6dce58 81d34c 95d73f aadb32 bfdf24 ' +
  'd4e11a e9e419 fde724').split(' ');

const find = (name) => element.querySelector('.' + name);
const make = (tag, settings = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), settings);
  node.append(...children);
  return node;
};
const swatch = (colour) => {
  const node = make('i', {className: 'swatch', hidden: !colour});
  node.style.background = colour ?? '';
  return node;
};

// What the reader chose outlives a run: toggles and the chosen class are kept by name, as networks differ in indices.
const choice = {view: 'mask', opacity: {mask: 55, heat: 100}, shown: new Map(), className: null, divider: 50};
let result = null; // the run on the page: value, width, height, pixels, probabilities by class index
let alone = null; // index of the class highlighted from the legend
let cursor = null; // pixel under the crosshair of the keyboard
let sequence = 0;
const wanted = new Set(); // kinds of download asked for and not yet here

// ---- words and numbers

const nameOf = ({name}) => {
  const key = 'class.' + name.replace(/\s/g, '');
  const text = t(key);
  return text === key ? name : text;
};
const shareText = (percent) => percent < 0.05 ? '< 0.1 %' : percent.toFixed(1) + ' %';
const probabilityText = (byte) => {
  const percent = byte / 2.55; // 256 levels: whole percents are all they can tell
  return percent >= 99.5 ? '> 99 %' : percent < 0.5 ? '< 1 %' : Math.round(percent) + ' %';
};
const bitsText = (bits) => t('bits', {bits: bits.toFixed(2)});
const secondsText = (s) => s < 1 ? `${Math.round(s * 1000)} ms` : `${s.toPrecision(3)} s`;
const isShown = ({index, name}) => choice.shown.get(name) ?? index !== 0; // the background starts switched off
const chosen = () => result.value.classes.find(({name}) => name === choice.className);
// Those in the picture, largest first, background last.
const occurring = () => result.value.classes.filter(({percent}) => percent > 0)
  .sort((a, b) => (a.index === 0) - (b.index === 0) || b.percent - a.percent);

// ---- painting

const toPixel = (hex) => (0xff000000 | parseInt(hex.slice(4, 6) + hex.slice(2, 4) + hex.slice(0, 2), 16)) >>> 0;
const heatTable = Uint32Array.from({length: 256}, (_, level) => {
  const place = level / 255 * 32;
  const before = Math.min(31, Math.floor(place));
  const mix = [0, 2, 4].map((at) => {
    const [low, high] = [before, before + 1].map((i) => parseInt(VIRIDIS[i].slice(at, at + 2), 16));
    return Math.round(low + (high - low) * (place - before)).toString(16).padStart(2, '0');
  });
  return toPixel(mix.join(''));
});
const classTable = () => {
  const table = new Uint32Array(256);
  for (const entry of result.value.classes) {
    if (alone === null ? isShown(entry) : alone === entry.index) table[entry.index] = toPixel(entry.colour.slice(1));
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
      if (alone === null || (pixels[i] & 255) === alone) out[i] = heatTable[source[i] >>> shift & 255];
    }
  } else if (isMap(choice.view)) {
    const table = classTable();
    for (let i = 0; i < out.length; i++) out[i] = table[pixels[i] & 255];
  }
  canvas.getContext('2d').putImageData(image, 0, 0);
};

// ---- the view: what stands around the canvas

const captionText = () => {
  const {value} = result;
  const [padded, part] = [value.seen_size, value.resized];
  const sizes = {
    from: value.picture_size.join('\u00a0×\u00a0'), to: part.join('\u00a0×\u00a0'), size: padded.join('\u00a0×\u00a0'),
    share: (100 - 100 * part[0] * part[1] / (padded[0] * padded[1])).toFixed(1),
  };
  if (choice.view === 'seen') {
    const padding = part.join() !== padded.join();
    return t(padding ? 'caption.seen_padded' : part.join() === value.picture_size.join() ? 'caption.seen_same' : 'caption.seen', sizes);
  }
  return t('caption.' + choice.view, {
    name: nameOf(chosen()), bits: value.bits.toFixed(2), count: value.classes.length,
  });
};

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
  find('caption').textContent = captionText();
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

const askForProbability = () => {
  if (choice.view === 'probability' && !result.probabilities.has(chosen().index)) {
    trigger('probability', {index: chosen().index});
  }
};

const pickView = (view) => {
  choice.view = view;
  const address = new URL(location.href);
  address.searchParams.set('view', view);
  history.replaceState(history.state, '', address);
  refresh();
  askForProbability();
};

// ---- one pixel: the tip and the crosshair

const tipLines = ({x, y}) => {
  const {value, width, height, pixels, probabilities} = result;
  const packed = pixels[y * width + x];
  const entry = value.classes[packed & 255];
  const [px, py] = [[x, width], [y, height]]
    .map(([at, size], i) => Math.floor((at + 0.5) / size * value.picture_size[i]));
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
  const [first, second] = [make('b', {textContent: lines.first}), make('span', {textContent: lines.second})];
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

const follow = (event) => {
  if (find('map').hidden) return;
  const box = find('map').getBoundingClientRect();
  const [left, top] = [event.clientX - box.left, event.clientY - box.top];
  const [x, y] = [Math.floor(left / box.width * result.width), Math.floor(top / box.height * result.height)];
  const inside = x >= 0 && y >= 0 && x < result.width && y < result.height;
  if (inside) point({x, y, left, top}, 'pointer');
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
  const present = occurring();
  find('legend').replaceChildren(...present.map((entry) => {
    const button = make('button', {type: 'button', className: 'entry'}, swatch(entry.colour),
      make('span', {className: 'name', textContent: nameOf(entry)}),
      make('span', {className: 'share', textContent: shareText(entry.percent)}));
    button.dataset.index = entry.index;
    return button;
  }));
  const absent = result.value.classes.filter((entry) => !present.includes(entry));
  find('absent').hidden = absent.length === 0;
  find('absent').firstElementChild.textContent = t('absent', {names: absent.map(nameOf).join(t('comma'))});
  const group = (key, entries) => make('optgroup', {label: t(key)},
    ...entries.map((entry) => make('option', {value: entry.name, textContent: nameOf(entry)})));
  if (!chosen()) choice.className = (present[0] ?? absent[0]).name;
  find('choice').replaceChildren(group('present', present), ...(absent.length ? [group('others', absent)] : []));
  find('choice').value = choice.className;
};

// A classifier's answer: the most probable class in words, and a bar for each.
const fillAnswer = () => {
  const {answer, classes} = result.value;
  const best = answer.indexOf(Math.max(...answer));
  const oddsText = (odds) => odds > 0 && odds < 0.001 ? '< 0.1 %' : (100 * odds).toFixed(1) + ' %';
  const bar = (odds) => {
    const node = make('i', {className: 'bar'});
    node.style.setProperty('--part', 100 * odds + '%');
    return node;
  };
  find('best').textContent = best < 0 ? '' : t('answer', {name: nameOf(classes[best]), share: oddsText(answer[best])});
  find('odds').replaceChildren(...answer.map((odds, index) => make('li', {className: index === best ? 'first' : ''},
    make('span', {textContent: nameOf(classes[index])}), bar(odds), make('span', {className: 'odd', textContent: oddsText(odds)}))));
};

const fillWords = () => {
  const {value} = result;
  for (const name of ['banner', 'untrained']) find(name).hidden = !value.untrained;
  const summary = occurring().map((entry) => `${nameOf(entry)} ${shareText(entry.percent)}`).join(t('comma'));
  find('map').setAttribute('aria-label', t(value.untrained ? 'summary_untrained' : 'summary', {summary}));
  const time = secondsText(value.seconds);
  const facts = [value.network, t('working_size', {side: value.side}), t('forward', {time})];
  find('facts').replaceChildren(...facts.map((textContent) => make('span', {textContent})));
};

const decode = async (url, width, height) => {
  const answer = await fetch(url);
  if (!answer.ok) throw new Error(`${answer.status} ${url}`);
  // Not a colour of it may be converted: they are numbers.
  const bitmap = await createImageBitmap(await answer.blob(), {colorSpaceConversion: 'none', premultiplyAlpha: 'none'});
  const size = {width: width ?? bitmap.width, height: height ?? bitmap.height};
  const pen = Object.assign(document.createElement('canvas'), size).getContext('2d', {willReadFrequently: true});
  pen.imageSmoothingEnabled = false;
  pen.drawImage(bitmap, 0, 0, size.width, size.height);
  return {...size, pixels: new Uint32Array(pen.getImageData(0, 0, size.width, size.height).data.buffer)};
};
const load = async (value) => {
  const photo = make('img', {src: (choice.view === 'seen' ? value.seen : value.picture).url});
  const [labels] = await Promise.all([decode(value.labels.url), photo.decode()]);
  return {...labels, value, probabilities: new Map()};
};

const save = ({kind, file}) => {
  wanted.delete(kind);
  find('downloads').querySelector(`[data-kind=${kind}]`)?.removeAttribute('aria-busy');
  const link = make('a', {href: file.url, download: file.orig_name, hidden: true});
  element.append(link);
  link.click();
  link.remove();
};

const draw = async () => {
  const value = props.value;
  const mine = ++sequence;
  find('empty').hidden = Boolean(value);
  if (!value) result = null;
  let lost = null;
  if (value) {
    const sameRun = ['picture', 'labels', 'seen'].every((name) => result?.value[name].url === value[name].url);
    try {
      const next = sameRun ? {...result, value} : await load(value);
      const {probability} = value;
      if (probability && !next.probabilities.has(probability.index)) {
        const {pixels} = await decode(probability.file.url, next.width, next.height);
        next.probabilities.set(probability.index, pixels);
      }
      if (mine !== sequence) return; // a newer value is on its way
      result = next;
      if (!sameRun) { alone = null; point(null); }
      fillLegend();
      offer();
      fillAnswer();
      fillWords();
      refresh();
      if (!sameRun) askForProbability();
      if (value.download && wanted.has(value.download.kind)) save(value.download);
    } catch (error) {
      if (mine !== sequence) return;
      lost = error;
      console.warn(error);
    }
  }
  find('lost').hidden = !lost;
  find('body').hidden = !result;
  if (!result) find('fader').classList.add('away');
  element.dataset.ready = String(mine);
};

// ---- set-up: words, controls, and who listens

for (const node of element.querySelectorAll('[data-text]')) node.textContent = t(node.dataset.text);
for (const node of element.querySelectorAll('[data-label]')) node.setAttribute('aria-label', t(node.dataset.label));
const asked = new URL(location.href).searchParams.get('view');
if (VIEWS.includes(asked)) choice.view = asked;
const group = 'view-' + Math.random().toString(36).slice(2); // radio buttons of one page share names
find('views').append(...VIEWS.map((view) => make('label', {},
  make('input', {type: 'radio', name: group, value: view}), make('span', {textContent: t('view.' + view)}))));
find('downloads').append(...['mask', 'overlay', 'data'].map((kind) => {
  const button = make('button', {type: 'button', className: 'download', textContent: t('download.' + kind)});
  button.title = t('download_note.' + kind);
  button.dataset.kind = kind;
  return button;
}));
find('ramp').style.background = `linear-gradient(to right, #${VIRIDIS.join(', #')})`;

const listen = (name, type, act) => find(name).addEventListener(type, act);
const highlight = (index) => { alone = index; paint(); };
const entryOf = (event) => event.target.closest('.entry');
const showAll = (shown) => { occurring().forEach(({name}) => choice.shown.set(name, shown)); refresh(); };

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
listen('downloads', 'click', (event) => {
  const {kind} = event.target.dataset;
  if (!kind) return;
  wanted.add(kind);
  event.target.setAttribute('aria-busy', 'true');
  const hidden = result.value.classes.filter((entry) => !isShown(entry)).map(({index}) => index);
  trigger('download', {kind, opacity: choice.opacity.mask / 100, hidden});
});
watch('value', draw);
draw();
