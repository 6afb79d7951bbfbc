// One channel, large: exact values on a canvas, read with the pointer or the arrow keys, laid over the picture on request.
import {paint, placeIn} from '../static/colours.js';
import {button, definitions, make, save} from '../static/dom.js';
import {showTerms} from '../static/glossary.js';
import {cellAt, extentOf, pixelAt, pointAt} from '../static/geometry.js';
import {lens, writeCells} from '../static/lens.js';
import {describe, exactly, figure, npy, percent} from '../static/numbers.js';
import * as pointer from '../static/pointer.js';
import {colourBar} from '../static/scales.js';
import {textsOf} from '../static/texts.js';

const t = textsOf('channels');

// What is remarkable about a channel, given what describe() found in it and its layer in numbers.
const remarkOn = (facts, count, layer) => {
  if (count === 1) return [];
  if (facts.low === null) return t.parts('no_number');
  if (facts.low === 0 && facts.high === 0) return t.parts('silent');
  if (facts.low === facts.high) return t.parts('constant', {value: figure(facts.low)});
  const flat = facts.high - facts.low < (layer.maximum - layer.minimum) / 1000;
  return flat ? t.parts('nearly_flat', {range: figure(facts.high - facts.low), layer: figure(layer.maximum - layer.minimum)}) : [];
};

const AROUND = 92; // pixels of the drawer for what stands above and below the map

export const enlargedView = ({step, close, say}) => {
  let shown = null; // {channel, values, width, height, scale, valid, name, placed, run}
  let shrunk = false; // fewer screen pixels than values: blending them is truer than dropping some
  let spot = null; // [row, column] being read
  const title = make('h4');
  const badge = make('span', {class: 'badge untrained'}, t('untrained'));
  const remark = make('p', {class: 'remark'});
  const picture = make('img', {alt: ''});
  const canvas = make('canvas', {class: 'map'});
  const cross = make('span', {class: 'cross'});
  const scene = make('div', {class: 'scene'}, picture, canvas, make('span', {class: 'veil'}));
  const written = make('canvas', {class: 'values', 'aria-hidden': 'true', hidden: ''});
  const pointed = make('span', {class: 'pointed', 'aria-hidden': 'true', hidden: ''}, make('i'));
  const frame = make('div', {class: 'frame', tabindex: 0, role: 'application'}, scene, written, cross, pointed);
  const readout = make('p', {class: 'readout'});
  const zoomed = make('p', {class: 'fine'});
  const bar = make('div', {class: 'bar-holder'});
  const numbers = make('div');
  const smooth = make('input', {type: 'checkbox', class: 'smooth'});
  const over = make('input', {type: 'checkbox', class: 'over'});
  const opacity = make('input', {type: 'range', min: 0, max: 100, value: 60, 'aria-label': t('opacity')});
  const lay = make('span', {class: 'lay'}, make('label', {}, over, t('over')), opacity);
  const holder = make('div', {class: 'frame-holder'}, frame);
  const node = make('aside', {class: 'large', 'aria-label': t('large')},
    make('header', {}, title, badge, make('span', {class: 'buttons'}, button('‹', t('previous_channel'), () => step(-1)),
      button('›', t('next_channel'), () => step(1)), button('×', t('close'), () => close()))),
    remark, holder, readout, bar, numbers,
    make('div', {class: 'options'}, make('label', {}, smooth, t('smooth')), lay), zoomed,
    make('div', {class: 'downloads'},
      button(t('save_values'), t('save_values_long'), () => save(npy(shown.values, shown.height, shown.width), `${shown.name}.npy`)),
      button(t('save_picture'), t('save_picture_long'), () => canvas.toBlob((blob) => save(blob, `${shown.name}.png`)))));
  node.hidden = true;

  const look = () => {
    canvas.style.imageRendering = smooth.checked || shrunk ? 'auto' : 'pixelated';
    canvas.style.opacity = over.checked && !lay.hidden ? opacity.value / 100 : 1;
    picture.hidden = !over.checked || lay.hidden;
    opacity.disabled = !over.checked;
  };

  // Whole screen pixels for each value where there is room for one; very thin maps are widened to be seen at all.
  const fit = () => {
    if (!shown || !holder.clientWidth) return;
    const {width, height} = shown;
    let zoom = Math.min(holder.clientWidth / width, Math.max(140, node.clientHeight - AROUND) / height, 160);
    if (zoom * devicePixelRatio >= 1) zoom = Math.floor(zoom * devicePixelRatio) / devicePixelRatio;
    shrunk = zoom < 1;
    look();
    const [wide, high] = [Math.max(zoom * width, 24), Math.max(zoom * height, 24)];
    [frame.style.width, frame.style.height] = [`${wide}px`, `${high}px`];
    const stretched = wide > zoom * width || high > zoom * height;
    zoomed.textContent = t(stretched ? 'stretched' : zoom < 1 ? 'shrunk' : 'magnified',
      {height, width, zoom: figure(zoom), share: percent(zoom)});
  };
  const sizes = new ResizeObserver(fit);
  for (const part of [holder, node]) sizes.observe(part);

  // What the lens magnifies: the batch, padding included.
  const spanned = () => shown?.placed && frame.clientWidth
    ? {extent: extentOf(shown.placed), size: [frame.clientWidth, frame.clientHeight]} : null;
  const overlay = (view, here) => {
    const {values, width, height} = shown;
    writeCells(written, view, here, [width, height], here.extent, (column, row, fits) => {
      const value = values[row * width + column];
      return [[exactly(value), figure(value, 4), figure(value, 3), figure(value, 2)].find(fits) ?? figure(value, 1)];
    });
    if (spot && !cross.hidden) drawCross();
    mark(pointer.current());
  };
  const glass = lens({stage: frame, scene, frame: spanned, drawn: overlay,
    spot: () => { const {pixel} = pointer.current(); return pixel && pixel.map((at) => at + 0.5); }});

  // The border of the value that is read, not magnified with it.
  const drawCross = () => {
    const {width, height} = shown;
    const here = shown.placed ? spanned() : {extent: [1, 1], size: [frame.clientWidth, frame.clientHeight]};
    if (!here) return; // it is out of sight
    const corner = (row, column) => {
      const place = [column / width * here.extent[0], row / height * here.extent[1]];
      return shown.placed ? glass.screenOf(place) : place.map((share, axis) => share * here.size[axis]);
    };
    const [[left, top], [right, bottom]] = [corner(spot[0], spot[1]), corner(spot[0] + 1, spot[1] + 1)];
    cross.style.cssText = `transform: translate(${left}px, ${top}px); width: ${right - left}px; height: ${bottom - top}px`;
  };
  const read = (row, column, aloud) => {
    const {values, width, height, scale, valid} = shown;
    spot = [Math.min(Math.max(row, 0), height - 1), Math.min(Math.max(column, 0), width - 1)];
    const value = values[spot[0] * width + spot[1]];
    const outside = (spot[1] + 0.5) / width > valid[0] || (spot[0] + 0.5) / height > valid[1];
    readout.textContent = t('read', {row: spot[0], column: spot[1], value: exactly(value)}) + (outside ? t('in_padding') : '');
    if (aloud) say(readout.textContent);
    cross.hidden = false;
    drawCross();
    const needle = bar.querySelector('.needle');
    needle.hidden = !Number.isFinite(value) || scale[0] === scale[1];
    needle.style.left = `${placeIn(scale)(value) / 2.56}%`;
  };

  // Marks the pixel of the picture that all panels mark, and reads the value over it; null marks none.
  const mark = (state) => {
    const here = state && shown && state.picture === shown.run.picture && state.pixel ? spanned() : null;
    const screen = here && glass.screenOf(state.pixel.map((at) => at + 0.5));
    pointed.hidden = !screen || screen.some((at, axis) => at < 0 || at > here.size[axis]);
    if (!screen) return;
    pointed.firstElementChild.style.transform = `translate(${screen[0]}px, ${screen[1]}px)`;
    if (state.from !== 'large' || state.pinned) {
      const [column, row] = cellAt(shown.placed, state.pixel, [shown.width, shown.height]);
      if (!spot || spot[0] !== row || spot[1] !== column) read(row, column);
    }
  };
  const tellOthers = (pixel) => { if (pixel && shown?.placed) pointer.hover(shown.run.picture, pixel, 'large'); };
  const at = (event) => {
    if (!shown || glass.dragging) return;
    const box = scene.getBoundingClientRect();
    const share = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    read(Math.floor(share[1] * shown.height), Math.floor(share[0] * shown.width));
    if (shown.placed) tellOthers(pixelAt(shown.placed, share));
  };
  const back = () => {
    if (!shown?.placed) return;
    pointer.hover(shown.run.picture, null, 'large');
    mark(pointer.current());
  };
  frame.addEventListener('pointermove', at);
  frame.addEventListener('pointerdown', at);
  frame.addEventListener('pointerleave', back);
  frame.addEventListener('click', (event) => {
    const place = shown?.placed && !glass.dragged && glass.placeOf(event);
    if (!place) return;
    const here = spanned();
    const near = Math.ceil(4 / Number(frame.dataset.zoom || 1) * Math.max(here.extent[0] / here.size[0], here.extent[1] / here.size[1])) - 1;
    pointer.pin(shown.run.picture, place.map((part) => Math.max(0, Math.floor(part))), 'large', near);
  });
  const MOVES = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]};
  frame.addEventListener('keydown', (event) => {
    const move = MOVES[event.key];
    const {pixel, pinned} = pointer.current();
    if (event.key === 'Escape' && pinned) {
      event.preventDefault();
      pointer.unpin();
    }
    if (event.key === 'Enter' && pixel && shown?.placed) pointer.pin(shown.run.picture, pixel, 'enter');
    if (!move || !shown) return;
    event.preventDefault();
    const far = event.shiftKey ? 10 : 1;
    read(spot ? spot[0] + far * move[0] : 0, spot ? spot[1] + far * move[1] : 0, true);
    if (!shown.placed) return;
    const under = pointAt(shown.placed, [spot[1], spot[0]], [shown.width, shown.height]);
    const middle = extentOf(shown.placed).map((side, axis) => (spot[1 - axis] + 0.5) / [shown.width, shown.height][axis] * side);
    glass.reveal(middle);
    if (under && pinned) pointer.pin(shown.run.picture, under, 'keys');
    else tellOthers(under ?? middle.map(Math.floor));
  });
  [smooth, over, opacity].forEach((input) => input.addEventListener('input', look));

  const open = (channel, untrained) => {
    node.hidden = false;
    node.classList.add('loading');
    title.textContent = t('channel', {channel});
    badge.hidden = !untrained;
    readout.textContent = t('fetching');
    node.scrollIntoView({block: 'nearest'});
  };
  // Back to the channel that is still there, when another was asked for in vain.
  const again = () => {
    node.classList.remove('loading');
    title.textContent = t('channel', {channel: shown.channel});
    readout.textContent = t('read_hint');
  };
  const show = (fresh, facts) => {
    const same = shown && shown.width === fresh.width && shown.height === fresh.height;
    shown = fresh;
    spot = same ? spot : null;
    open(fresh.channel, facts.untrained);
    node.classList.remove('loading');
    paint(canvas, fresh.values, fresh.width, fresh.height, fresh.scale);
    lay.hidden = !fresh.picture;
    if (fresh.picture) picture.src = fresh.picture;
    frame.setAttribute('aria-label', t('map', {channel: fresh.channel, height: fresh.height, width: fresh.width}));
    bar.replaceChildren(make('span', {class: 'needle', hidden: ''}), colourBar(fresh.scale, t));
    const found = describe(fresh.values);
    showTerms(remark, remarkOn(found, fresh.values.length, facts.stats));
    numbers.replaceChildren(definitions([[t('minimum'), figure(found.low, 4)], [t('maximum'), figure(found.high, 4)],
      [t('mean'), figure(found.mean, 4)], [t('std'), figure(found.std, 4)], [t('zeros'), percent(found.zeros / fresh.values.length)],
      ['NaN', found.nans, found.nans > 0], ['inf', found.infinities, found.infinities > 0]]));
    look();
    fit();
    if (spot) read(...spot);
    else [cross.hidden, readout.textContent] = [true, `${t('read_hint')} ${fresh.placed ? t('zoom_hint') : ''}`];
    written.hidden = true;
    glass.draw();
  };
  const hide = () => { node.hidden = true; shown = null; };
  return {node, open, show, again, hide, mark, get channel() { return node.hidden ? null : shown?.channel ?? null; }};
};
