// One channel, large: exact values on a canvas, read with the pointer or the arrow keys, laid over the picture on request.
import {paint, placeIn} from '../static/colours.js';
import {button, definitions, make, save} from '../static/dom.js';
import {showTerms} from '../static/glossary.js';
import {describe, exactly, figure, npy, percent} from '../static/numbers.js';
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
  let shown = null; // {channel, values, width, height, scale, valid, name}
  let shrunk = false; // fewer screen pixels than values: blending them is truer than dropping some
  let spot = null; // [row, column] being read
  const title = make('h4');
  const badge = make('span', {class: 'badge untrained'}, t('untrained'));
  const remark = make('p', {class: 'remark'});
  const picture = make('img', {alt: ''});
  const canvas = make('canvas', {class: 'map'});
  const cross = make('span', {class: 'cross'});
  const frame = make('div', {class: 'frame', tabindex: 0, role: 'application'}, picture, canvas, make('span', {class: 'veil'}), cross);
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

  const read = (row, column, aloud) => {
    const {values, width, height, scale, valid} = shown;
    spot = [Math.min(Math.max(row, 0), height - 1), Math.min(Math.max(column, 0), width - 1)];
    const value = values[spot[0] * width + spot[1]];
    const outside = (spot[1] + 0.5) / width > valid[0] || (spot[0] + 0.5) / height > valid[1];
    readout.textContent = t('read', {row: spot[0], column: spot[1], value: exactly(value)}) + (outside ? t('in_padding') : '');
    if (aloud) say(readout.textContent);
    cross.hidden = false;
    cross.style.cssText = `left: ${100 * spot[1] / width}%; top: ${100 * spot[0] / height}%; width: ${100 / width}%; height: ${100 / height}%`;
    const needle = bar.querySelector('.needle');
    needle.hidden = !Number.isFinite(value) || scale[0] === scale[1];
    needle.style.left = `${placeIn(scale)(value) / 2.56}%`;
  };
  const at = (event) => {
    if (!shown) return;
    const box = frame.getBoundingClientRect();
    read(Math.floor((event.clientY - box.top) * shown.height / box.height), Math.floor((event.clientX - box.left) * shown.width / box.width));
  };
  frame.addEventListener('pointermove', at);
  frame.addEventListener('pointerdown', at);
  const MOVES = {ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1]};
  frame.addEventListener('keydown', (event) => {
    const move = MOVES[event.key];
    if (!move || !shown) return;
    event.preventDefault();
    const far = event.shiftKey ? 10 : 1;
    read(spot ? spot[0] + far * move[0] : 0, spot ? spot[1] + far * move[1] : 0, true);
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
    else [cross.hidden, readout.textContent] = [true, t('read_hint')];
  };
  const hide = () => { node.hidden = true; shown = null; };
  return {node, open, show, again, hide, get channel() { return node.hidden ? null : shown?.channel ?? null; }};
};
