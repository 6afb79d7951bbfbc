// The segmentation: the mask over its photograph, six more views, a legend, one pixel under the pointer, downloads.
import {change, follow, read} from '../static/address.js';
import {classText} from '../static/classes.js';
import {gradient, heatTable, toPixel} from '../static/colours.js';
import {make, saveFrom, uniqueName} from '../static/dom.js';
import {loadPicture, loadPixels, lostNote} from '../static/files.js';
import {showTerms, termed} from '../static/glossary.js';
import {extentOf} from '../static/geometry.js';
import {lens, showWhole, writeCells} from '../static/lens.js';
import {oddsText, probabilityText, secondsText, shareText} from '../static/numbers.js';
import {listen as listenTo} from '../static/picks.js';
import * as pointer from '../static/pointer.js';
import {namePlaces, outline} from '../static/regions.js';
import {swatch} from '../static/scales.js';
import {ask} from '../static/server.js';
import {textsOf} from '../static/texts.js';
import {askTool} from '../static/tools.js';
import {python} from '../static/why.js';

const t = textsOf('segmentation');

// One picture in `labels` carries three maps: red = class, green = confidence, blue = entropy. Read as 32-bit numbers
// (little-endian, as every browser's machine is) they sit at bits 0, 8 and 16; painting is one table look-up per pixel.
// Above 256 classes the grey picture `high` tells how often 256 goes into the class; that is kept at bit 24.
const classOf = (packed) => packed & 255 | packed >>> 24 << 8;

const VIEWS = ['mask', 'compare', 'probability', 'confidence', 'entropy', 'seen', 'picture'];
const MOST_ODDS = 20; // classes of a classifier that are all listed
const LIKELIEST = 5; // those listed of a classifier of more
const OF_CLASSIFIERS = ['seen', 'picture']; // they answer for the whole picture: there is no map to show
const isMap = (view) => view !== 'picture' && view !== 'seen';
const HEAT = {probability: 0, confidence: 8, entropy: 16};
const HEAT_TABLE = heatTable();
const NAMED_SIDE = 160; // labels of the reduced mask that names are placed on
const LINES = Uint32Array.of(0, 0xff000000, 0xffffffff); // an outline's pixels: none, DARK, LIGHT
const PAUSE = 80; // ms that a point stays pinned before the server is asked about it

const nameOf = ({name}) => classText(name);
const bitsText = (bits) => t('bits', {bits: bits.toFixed(2)});
// Those in the picture, largest first, background last.
const occurringIn = (classes) => classes.filter(({percent}) => percent > 0)
  .sort((a, b) => a.hidden - b.hidden || b.percent - a.percent);

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
  const choice = {view: 'mask', opacity: {mask: 55, heat: 100}, shown: new Map(), className: null, divider: 50, names: true};
  let result = null; // the run on the page: value, width, height, pixels, probabilities by class index
  let alone = null; // index of the class highlighted from the legend
  let sequence = 0;
  let asking = 0; // number of the newest question about a pinned point

  // ---- words and numbers

  const isShown = ({name, hidden}) => choice.shown.get(name) ?? !hidden; // a background starts switched off
  const chosen = () => result.value.classes.find(({name}) => name === choice.className);
  // ---- painting

  const classTable = () => {
    const table = new Uint32Array(result.value.classes.length);
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
        if (alone === null || classOf(pixels[i]) === alone) out[i] = HEAT_TABLE[source[i] >>> shift & 255];
      }
    } else if (isMap(choice.view)) {
      const table = classTable();
      for (let i = 0; i < out.length; i++) out[i] = table[classOf(pixels[i])];
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
    stage.style.setProperty('--ground', value.classes.find(({hidden}) => hidden)?.colour ?? '#000000');
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
    for (const name of ['all', 'none', 'naming']) find(name).hidden = !toggles;
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
    drawCode();
  };
  let code = ''; // that is shown
  const drawCode = () => {
    const next = (result.value.python[choice.view] ?? '').replace('{class}', JSON.stringify(chosen().name));
    if (next === code) return;
    code = next;
    const open = find('code').firstElementChild?.open;
    find('code').replaceChildren(...(next ? [python(next)] : []));
    if (next) find('code').firstElementChild.open = Boolean(open);
  };
  const offer = () => {
    const answers = result.value.answer.length > 0;
    const offered = answers ? OF_CLASSIFIERS : VIEWS.filter((view) => view !== 'picture');
    if (!offered.includes(choice.view)) [choice.view] = offered;
    if (read('view') !== null) follow({view: choice.view});
    for (const radio of element.querySelectorAll('.views input')) radio.parentNode.hidden = !offered.includes(radio.value);
    for (const name of ['legend', 'legend-head']) find(name).hidden = answers;
    find('absent').hidden ||= answers;
    for (const button of find('downloads').querySelectorAll('button')) button.hidden = answers && button.dataset.kind !== 'data';
    find('answer').hidden = !answers;
    find('views').classList.toggle('pair', answers);
    find('heading').textContent = t(answers ? 'title_answer' : 'title');
  };
  const refresh = () => { arrange(); paint(); glass.draw(); };

  const placeDivider = (percent) => {
    choice.divider = Math.min(100, Math.max(0, percent));
    find('stage').style.setProperty('--divide', choice.divider + '%');
    cut();
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

  // ---- the lens, and what lies over the picture without being magnified

  const runs = (picture) => result?.value.run.picture === picture;
  const pixelsAcross = () => choice.view === 'seen' ? extentOf(result.value) : result.value.picture_size;
  const frame = () => {
    const {clientWidth, clientHeight} = find('stage');
    return result && clientWidth && clientHeight ? {extent: pixelsAcross(), size: [clientWidth, clientHeight]} : null;
  };
  const outlined = () => (choice.view === 'mask' || choice.view === 'compare') && !result.value.answer.length;
  const shownClasses = () => {
    const shown = new Uint8Array(1 << 16);
    for (const entry of result.value.classes) shown[entry.index] = alone === null ? isShown(entry) : alone === entry.index;
    return shown;
  };

  // The classes of the mask at the middles of a grid's cells that cover what is in view.
  const labelsIn = (view, here, columns, rows) => {
    const {width, height, pixels} = result;
    const place = (share) => glass.placeAt(share.map((part, axis) => part * here.size[axis]));
    const [[left, top], [right, bottom]] = [place([0.5 / columns, 0.5 / rows]), place([1 - 0.5 / columns, 1 - 0.5 / rows])];
    const along = (count, from, to, size, extent) => Int32Array.from({length: count}, (_, index) =>
      Math.min(size - 1, Math.floor((from + (to - from) * (count > 1 ? index / (count - 1) : 0)) / extent * size)));
    const xs = along(columns, left, right, width, here.extent[0]);
    const ys = along(rows, top, bottom, height, here.extent[1]);
    const labels = new Uint16Array(columns * rows);
    for (let row = 0, i = 0; row < rows; row++) {
      const start = ys[row] * width;
      for (let column = 0; column < columns; column++, i++) labels[i] = classOf(pixels[start + xs[column]]);
    }
    return labels;
  };

  const drawOutline = (view, here) => {
    const canvas = find('outline');
    canvas.hidden = !outlined();
    if (canvas.hidden) return;
    const [width, height] = here.size.map(Math.round);
    const lines = outline(labelsIn(view, here, width, height), width, height, shownClasses());
    Object.assign(canvas, {width, height});
    const image = new ImageData(width, height);
    const out = new Uint32Array(image.data.buffer);
    for (let i = 0; i < out.length; i++) out[i] = LINES[lines[i]];
    canvas.getContext('2d').putImageData(image, 0, 0);
  };

  const widths = new Map(); // of names on screen
  const widthOf = (name) => {
    if (!widths.has(name)) {
      const pen = document.createElement('canvas').getContext('2d');
      pen.font = `600 12px ${getComputedStyle(element).fontFamily}`;
      widths.set(name, pen.measureText(name).width + 10);
    }
    return widths.get(name);
  };
  const drawNames = (view, here) => {
    const holder = find('region-names');
    holder.hidden = !outlined() || !choice.names || !find('values').hidden; // pixels with words in them need no names
    if (holder.hidden) return;
    const {classes} = result.value;
    const least = Math.max(1, Math.max(...here.size) / NAMED_SIDE); // pixels of the screen for each label
    const [columns, rows] = here.size.map((side) => Math.max(1, Math.round(side / least)));
    const places = namePlaces(labelsIn(view, here, columns, rows), columns, rows, shownClasses(),
      (index) => [widthOf(nameOf(classes[index])) / least, 18 / least]);
    holder.replaceChildren(...places.map(({index, x, y}) => make('span', {'data-index': index,
      style: `left: ${100 * x / columns}%; top: ${100 * y / rows}%; --colour: ${classes[index].colour}`}, nameOf(classes[index]))));
  };

  // What is written into a pixel that is magnified enough.
  const linesOf = (x, y, fits) => {
    const {value, width, pixels, probabilities} = result;
    const packed = pixels[y * width + x];
    const map = choice.view === 'probability' && probabilities.get(chosen().index);
    const name = nameOf(map ? chosen() : value.classes[classOf(packed)]);
    const number = choice.view === 'entropy' ? ((packed >>> 16 & 255) / 255 * value.bits).toFixed(2)
      : probabilityText(map ? map[y * width + x] & 255 : packed >>> 8 & 255).replace('\u00a0', ' ');
    const short = number.replace(/\s/g, '');
    return [...(fits(name) ? [name] : []), fits(number) ? number : short];
  };

  // Where the divider cuts the map, which may be magnified.
  const cut = () => {
    const here = frame();
    if (!here) return;
    const [place] = glass.placeAt([choice.divider / 100 * here.size[0], 0]);
    find('stage').style.setProperty('--cut', `${100 * place / here.extent[0]}%`);
  };

  const overlay = (view, here) => {
    cut();
    drawOutline(view, here);
    const answers = result.value.answer.length > 0;
    if (answers || choice.view === 'seen') find('values').hidden = true;
    else writeCells(find('values'), view, here, [result.width, result.height], result.value.picture_size, linesOf);
    drawNames(view, here);
    mark(pointer.current());
  };

  const glass = lens({stage: find('stage'), scene: find('scene'), frame, drawn: overlay,
    spot: () => pointer.current().pixel && runs(pointer.current().picture) ? pointer.current().pixel.map((at) => at + 0.5) : null});

  // ---- one pixel: the tip and the crosshair

  // The pixel on show over a pixel of the picture, and back.
  const onShow = (pixel) => pixel.map((at, axis) =>
    Math.floor((at + 0.5) / result.value.picture_size[axis] * [result.width, result.height][axis]));
  const inPicture = (shown) => shown.map((at, axis) =>
    Math.floor((at + 0.5) / [result.width, result.height][axis] * result.value.picture_size[axis]));

  const tipLines = (pixel) => {
    const {value, width, pixels, probabilities} = result;
    const place = `(${pixel.join(', ')})`;
    if (value.answer.length) return {first: place, second: ''};
    const [x, y] = onShow(pixel);
    const packed = pixels[y * width + x];
    const entry = value.classes[classOf(packed)];
    const map = choice.view === 'probability' && probabilities.get(chosen().index);
    const facts = [place];
    if (map) facts.unshift(`${nameOf(chosen())}: ${probabilityText(map[y * width + x] & 255)}`);
    if (choice.view === 'entropy') facts.unshift(bitsText((packed >>> 16 & 255) / 255 * value.bits));
    const first = `${nameOf(entry)} ${probabilityText(packed >>> 8 & 255)}`;
    return {colour: entry.colour, first, second: facts.join('  ·  ')};
  };

  let told = ''; // what the tip says
  const drawTip = (lines, [left, top]) => {
    const [stage, tip] = ['stage', 'tip'].map(find);
    const key = JSON.stringify(lines);
    if (key !== told) tip.replaceChildren(swatch(lines.colour), make('b', {}, lines.first), make('span', {}, lines.second));
    told = key;
    tip.hidden = false;
    const below = top + 14 + tip.offsetHeight <= stage.clientHeight;
    const across = Math.max(0, Math.min(left + 14, stage.clientWidth - tip.offsetWidth));
    tip.style.transform = `translate(${across}px, ${below ? top + 14 : top - 14 - tip.offsetHeight}px)`;
  };

  // Marks the pixel that the page points at, wherever it is pointed at.
  const mark = ({picture, pixel, pinned, from}) => {
    const here = runs(picture) && pixel ? frame() : null;
    const screen = here && glass.screenOf(pixel.map((at) => at + 0.5));
    const seen = screen && screen.every((at, axis) => at >= 0 && at <= here.size[axis]);
    const beside = screen && !pointer.isWithin(pixel, result.value.picture_size);
    find('pointed').hidden = !seen;
    find('pointed').classList.toggle('pinned', Boolean(pinned));
    find('off').hidden = !beside || seen;
    if (seen) {
      find('pointed').firstElementChild.style.transform = `translate(${screen[0]}px, ${screen[1]}px)`;
      drawTip(beside ? {first: t('padding'), second: t('padding_note')} : tipLines(pixel), screen);
    } else find('tip').hidden = true;
    if (seen && from === 'keys' && !beside) {
      const {first, second} = tipLines(pixel);
      const words = `${first}, ${second}`;
      if (find('spoken').textContent !== words) find('spoken').textContent = words;
    }
  };

  // The five likeliest classes at the pinned pixel, exactly as the server knows them.
  const askForLikeliest = ({picture, pixel, pinned}) => {
    const mine = ++asking;
    const wanted = runs(picture) && pinned && !result.value.answer.length;
    const run = result;
    if (!wanted) {
      find('likeliest').hidden = true;
      return;
    }
    setTimeout(async () => {
      if (mine !== asking || run !== result) return;
      try {
        const {classes} = await ask(server.likeliest, {run: run.value.run, point: pixel});
        if (mine !== asking || run !== result) return;
        find('likeliest-at').replaceChildren(make('b', {}, t('likeliest', {x: pixel[0], y: pixel[1]})), ' ', t('likeliest_pin'));
        find('likeliest-odds').replaceChildren(...classes.map(({index, probability}) => {
          const entry = run.value.classes[index];
          const style = `--part: ${100 * Number(probability)}%; --colour: ${entry.colour}`;
          return make('li', {'data-index': index, title: String(probability)}, make('span', {}, nameOf(entry)),
            make('i', {class: 'bar', style}), make('span', {class: 'odd'}, oddsText(Number(probability))));
        }));
        find('likeliest').hidden = false;
      } catch (error) {
        if (mine === asking && run === result) sayLost(error, () => askForLikeliest(pointer.current()));
      }
    }, PAUSE);
  };

  let pinnedAt = ''; // the pin that has been asked about
  pointer.follow((state) => {
    if (!result) return;
    mark(state);
    const key = state.pinned && runs(state.picture) ? state.pixel.join() : '';
    if (key !== pinnedAt) askForLikeliest(state);
    pinnedAt = key;
  });

  const pixelUnder = (event) => {
    const place = glass.placeOf(event);
    const inside = place && place.every((at, axis) => at >= 0 && at < pixelsAcross()[axis]);
    return inside ? place.map(Math.floor) : null;
  };
  const followPointer = (event) => {
    if (!result || glass.dragging || event.target.closest('.divider')) return;
    pointer.hover(result.value.run.picture, pixelUnder(event), 'segmentation');
  };
  const leave = () => { if (result) pointer.hover(result.value.run.picture, null, 'segmentation'); };
  const pin = (event) => {
    const pixel = result && !glass.dragged && !event.target.closest('.divider') && pixelUnder(event);
    if (!pixel || !pointer.isWithin(pixel, result.value.picture_size)) return;
    const here = frame();
    const near = Math.ceil(4 / Number(find('stage').dataset.zoom || 1) * Math.max(here.extent[0] / here.size[0], here.extent[1] / here.size[1])) - 1;
    pointer.pin(result.value.run.picture, pixel, 'segmentation', near);
    trigger('select', {index: pixel, value: pixel});
  };

  // Arrow keys move the crosshair by about one hundredth of the picture, with Shift by one pixel; Enter pins it.
  const steer = (event) => {
    if (!result) return;
    const {picture} = result.value.run;
    const {pixel, pinned} = pointer.current();
    const step = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}[event.key];
    if (event.key === 'Escape' && pixel) {
      event.preventDefault();
      if (pinned) pointer.unpin();
      else leave();
    }
    if (event.key === 'Enter' && pixel) pointer.pin(picture, pixel, 'enter');
    if (!step) return;
    event.preventDefault();
    const size = [result.width, result.height];
    const stride = event.shiftKey ? 1 : Math.max(1, Math.round(Math.max(...size) / 100 / Number(find('stage').dataset.zoom || 1)));
    const known = pixel && pointer.isWithin(pixel, result.value.picture_size);
    const from = known ? onShow(pixel) : size.map((side) => side >> 1);
    const next = inPicture(from.map((at, axis) => Math.min(size[axis] - 1, Math.max(0, at + (known ? step[axis] * stride : 0)))));
    if (pinned) pointer.pin(picture, next, 'keys');
    else pointer.hover(picture, next, 'keys');
    glass.reveal(next.map((at) => at + 0.5));
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
      const words = t('evidence_of', {name: nameOf(entry)});
      return make('span', {class: 'with-why'}, make('button', {type: 'button', class: 'entry', 'data-index': entry.index}, swatch(entry.colour),
        make('span', {class: 'name'}, nameOf(entry)), make('span', {class: 'share'}, shareText(entry.percent))),
      make('button', {type: 'button', class: 'ask', title: words, 'aria-label': words, 'data-class': entry.name}, '?'));
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
    const few = answer.length <= MOST_ODDS;
    const order = answer.map((_, index) => index);
    const listed = few ? order : order.sort((one, other) => answer[other] - answer[one]).slice(0, LIKELIEST);
    find('odds').replaceChildren(...listed.map((index) => make('li', {class: index === best ? 'first' : ''},
      make('span', {}, nameOf(classes[index])), bar(answer[index]), make('span', {class: 'odd'}, oddsText(answer[index])))),
    ...(few ? [] : [make('li', {class: 'more'}, t('odds_more', {shown: listed.length, count: answer.length}))]));
  };

  const fillWords = () => {
    const {value} = result;
    for (const name of ['banner', 'untrained']) find(name).hidden = !value.untrained;
    find('banner').textContent = t(value.partly ? 'partly_banner' : 'untrained_banner');
    const summary = occurringIn(result.value.classes).map((entry) => `${nameOf(entry)} ${shareText(entry.percent)}`).join(t('comma'));
    find('map').setAttribute('aria-label', t(value.untrained ? 'summary_untrained' : 'summary', {summary}));
    const time = secondsText(value.seconds);
    const facts = [value.network, termed(t.parts('working_size', {side: value.side})), t('forward', {time})];
    find('facts').replaceChildren(...facts.map((fact) => make('span', {}, fact)));
  };

  // Where only the background was found: what the network knows, and the network that might see more.
  const fillNothing = () => {
    const {classes, answer, instead} = result.value;
    const found = answer.length > 0 || classes.some(({hidden, percent}) => !hidden && percent > 0);
    const count = classes.filter(({hidden}) => !hidden).length;
    const words = t('numbers').split(' ');
    const button = make('button', {type: 'button', class: 'suggestion'}, t('try', {network: instead?.title}));
    button.addEventListener('click', () => {
      change({network: instead.name, side: null, step: null, stage: null, channel: null});
      trigger('suggested', {index: instead.name, value: instead.name});
    });
    find('nothing').hidden = found;
    find('nothing').replaceChildren(count === 1 ? t('nothing_one') : t('nothing', {count: words[count - 1] ?? count}),
      ...(instead ? [' ', button] : []));
  };

  const load = async (run, needed) => {
    const value = await ask(server.segmentation, {run});
    const {url} = choice.view === 'seen' ? value.seen : value.picture;
    const [labels, high] = await Promise.all([loadPixels(value.labels.url, {needed}),
      value.high && loadPixels(value.high.url, {needed}), loadPicture(url, {needed})]);
    const {pixels} = labels;
    for (let i = 0; i < pixels.length; i++) pixels[i] = pixels[i] & 0xffffff | (high ? high.pixels[i] & 255 : 0) << 24;
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
        pinnedAt = '';
        pointer.adopt(run.picture, next.value.picture_size, showWhole);
        fillLegend();
        offer();
        fillAnswer();
        fillWords();
        fillNothing();
        refresh();
        askForLikeliest(pointer.current());
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
  for (const node of element.querySelectorAll('[data-title]')) node.title = t(node.dataset.title);
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
  const highlight = (index) => { alone = index; paint(); glass.draw(); };
  const entryOf = (event) => event.target.closest('.entry');
  const showAll = (shown) => { occurringIn(result.value.classes).forEach(({name}) => choice.shown.set(name, shown)); refresh(); };

  listen('views', 'change', (event) => pickView(event.target.value));
  listen('opacity', 'input', (event) => {
    choice.opacity[choice.view in HEAT ? 'heat' : 'mask'] = Number(event.target.value);
    arrange();
  });
  listen('choice', 'change', (event) => { choice.className = event.target.value; refresh(); askForProbability(); });
  listen('stage', 'pointermove', followPointer);
  listen('stage', 'pointerleave', leave);
  listen('stage', 'click', pin);
  listen('map', 'keydown', steer);
  listen('map', 'blur', leave);
  listen('names', 'change', (event) => { choice.names = event.target.checked; glass.draw(); });
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
  // Where a question arises, the tool that answers it is opened.
  const why = (tool, asked) => { askTool(tool, asked); trigger('why', {index: tool, value: tool}); };
  listen('legend', 'click', (event) => {
    const button = event.target.closest('.ask');
    if (button) why('evidence', {where: 'class', class: button.dataset.class});
  });
  listen('why-pixel', 'click', () => why('autopsy'));
  listen('why-object', 'click', () => why('evidence', {where: 'object', class: ''}));
  listen('all', 'click', () => showAll(true));
  listen('none', 'click', () => showAll(false));
  listen('downloads', 'click', (event) => { if (event.target.dataset.kind) save(event.target); });
  listenTo('walk', () => {
    const view = read('view') ?? 'mask';
    choice.view = VIEWS.includes(view) ? view : 'mask';
    if (!result) return;
    offer();
    refresh();
    askForProbability();
  });
  // Until the first run is over, or has failed, the page is loading it.
  find('empty-title').textContent = t('opening_title');
  listenTo('over', () => { find('empty-title').textContent = t('empty_title'); });
  watch('value', show);
  show();
}
