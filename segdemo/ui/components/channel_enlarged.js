// One channel, large: exact values on a canvas, read with the pointer or the arrow keys, laid over the picture on request.
// This part also holds what the sheet shares with it: elements, numbers, colours. TABLES comes from Python.

const make = (tag, attributes = {}, ...children) => {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) node.setAttribute(name, value);
  node.append(...children);
  return node;
};
const button = (text, label, act) => {
  const node = make('button', {type: 'button', 'aria-label': label, title: label}, text);
  node.addEventListener('click', () => { if (node.getAttribute('aria-disabled') !== 'true') act(); });
  return node;
};

const unusual = (value) => Number.isNaN(value) ? 'NaN' : value > 0 ? '+inf' : '-inf';
const figure = (value, digits = 3) => {
  if (value === null || value === 0) return value === 0 ? '0' : '–';
  if (!Number.isFinite(value)) return unusual(value);
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e5) return String(Number(value.toPrecision(digits)));
  return value.toExponential(digits - 1).replace(/\.?0+e/, 'e').replace('e+', 'e');
};
// Both ends of a range, with as many digits as it takes to tell them apart.
const figures = (low, high) => {
  let digits = 3;
  while (digits < 8 && low !== high && figure(low, digits) === figure(high, digits)) digits++;
  return [figure(low, digits), figure(high, digits)];
};
const exactly = (value) => value === 0 || !Number.isFinite(value) ? figure(value) : value.toPrecision(6);
const percent = (share) => {
  const hundred = 100 * share;
  if (hundred > 0 && hundred < 0.1) return '<0.1%';
  if (hundred > 99.9 && hundred < 100) return '>99.9%';
  return (hundred < 10 ? Number(hundred.toFixed(1)) : Math.min(hundred.toFixed(hundred > 99 ? 1 : 0), 100)) + '%';
};
const definitions = (pairs) => make('dl', {class: 'numbers'}, ...pairs.map(([name, text, alarming]) =>
  make('div', alarming ? {class: 'alarming'} : {}, make('dt', {}, name), make('dd', {}, text))));

// Colour tables, each entry the four bytes of a canvas pixel: 257 fractions, then -inf, +inf, NaN.
const unpack = (text) => {
  const rgb = atob(text);
  const rgba = Uint8Array.from({length: rgb.length / 3 * 4}, (_, index) => index % 4 === 3 ? 255 : rgb.charCodeAt((index >> 2) * 3 + index % 4));
  return new Uint32Array(rgba.buffer);
};
const COLOURS = {true: unpack(TABLES.true), false: unpack(TABLES.false)};
const INDEX = {'-inf': 257, '+inf': 258, 'NaN': 259};
const colourIndex = ([low, high, diverging]) => {
  const reach = diverging ? 2 * high : high - low;
  const flat = diverging ? 128 : 0;
  return (value) => {
    if (!Number.isFinite(value)) return INDEX[unusual(value)];
    const exact = reach ? 256 * Math.min(Math.max(diverging ? 0.5 + value / reach : (value - low) / reach, 0), 1) : flat;
    const near = Math.round(exact);
    return near - exact === 0.5 && near % 2 ? near - 1 : near; // halves go to the even neighbour, as in NumPy
  };
};
const swatch = (index) => {
  const [red, green, blue] = new Uint8Array(COLOURS.false.buffer, 4 * index, 3);
  return make('i', {class: 'swatch', style: `background: rgb(${red}, ${green}, ${blue})`});
};
const paint = (canvas, values, width, height, scale) => {
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext('2d');
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const table = COLOURS[Boolean(scale[2])];
  const place = colourIndex(scale);
  for (let index = 0; index < values.length; index++) pixels[index] = table[place(values[index])];
  context.putImageData(image, 0, 0);
};

// Numbers under a bar or a histogram: both ends, and 0 where it lies clearly between them.
const axis = (low, high) => {
  const node = make('div', {class: 'axis'}, ...figures(low, high).map((text) => make('span', {}, text)));
  const share = low < 0 && high > 0 ? -low / (high - low) : 0;
  if (share > 0.15 && share < 0.85) node.append(make('span', {class: 'zero', style: `left: ${100 * share}%`}, '0'));
  return node;
};
const ramp = (scale) => {
  const canvas = make('canvas', {class: 'ramp', 'aria-hidden': 'true'});
  const [low, high] = scale;
  paint(canvas, Float64Array.from({length: 257}, (_, index) => low + (high - low) * index / 256), 257, 1, scale);
  return canvas;
};
const colourBar = (scale) => make('div', {class: 'bar', role: 'img',
  'aria-label': t('bar', {low: figure(scale[0]), high: figure(scale[1])})}, ramp(scale), axis(scale[0], scale[1]));

const describe = (values) => {
  const facts = {low: Infinity, high: -Infinity, mean: null, std: null, zeros: 0, nans: 0, infinities: 0};
  let sum = 0;
  let finite = 0;
  for (const value of values) {
    if (Number.isNaN(value)) facts.nans++;
    else if (!Number.isFinite(value)) facts.infinities++;
    else {
      [finite, sum] = [finite + 1, sum + value];
      if (value < facts.low) facts.low = value;
      if (value > facts.high) facts.high = value;
      if (value === 0) facts.zeros++;
    }
  }
  if (!finite) return {...facts, low: null, high: null};
  facts.mean = sum / finite;
  let squares = 0;
  for (const value of values) if (Number.isFinite(value)) squares += (value - facts.mean) ** 2;
  facts.std = Math.sqrt(squares / finite);
  return facts;
};

// NumPy's own file format, version 1.0: magic, length of the header, header padded to a multiple of 64, raw values.
const npy = (values, height, width) => {
  const text = `{'descr': '<f4', 'fortran_order': False, 'shape': (${height}, ${width}), }`;
  const header = text.padEnd(Math.ceil((text.length + 11) / 64) * 64 - 11) + '\n';
  const start = Uint8Array.of(0x93, 0x4e, 0x55, 0x4d, 0x50, 0x59, 1, 0, header.length & 255, header.length >> 8);
  return new Blob([start, header, values.buffer], {type: 'application/octet-stream'});
};
const save = (blob, name) => {
  const link = make('a', {href: URL.createObjectURL(blob), download: name});
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
};

const enlargedView = ({step, close, say}) => {
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
    let zoom = Math.min(holder.clientWidth / width, Math.max(260, 0.6 * innerHeight) / height, 160);
    if (zoom * devicePixelRatio >= 1) zoom = Math.floor(zoom * devicePixelRatio) / devicePixelRatio;
    shrunk = zoom < 1;
    look();
    const [wide, high] = [Math.max(zoom * width, 24), Math.max(zoom * height, 24)];
    [frame.style.width, frame.style.height] = [`${wide}px`, `${high}px`];
    const stretched = wide > zoom * width || high > zoom * height;
    zoomed.textContent = t(stretched ? 'stretched' : zoom < 1 ? 'shrunk' : 'magnified',
      {height, width, zoom: figure(zoom), share: percent(zoom)});
  };
  new ResizeObserver(fit).observe(holder);

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
    needle.style.left = `${colourIndex(scale)(value) / 2.56}%`;
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

  const judge = (facts, layer) => {
    if (shown.values.length === 1) return '';
    if (facts.low === null) return t('no_number');
    if (facts.low === 0 && facts.high === 0) return t('silent');
    if (facts.low === facts.high) return t('constant', {value: figure(facts.low)});
    const flat = facts.high - facts.low < (layer.maximum - layer.minimum) / 1000;
    return flat ? t('nearly_flat', {range: figure(facts.high - facts.low), layer: figure(layer.maximum - layer.minimum)}) : '';
  };

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
    bar.replaceChildren(make('span', {class: 'needle', hidden: ''}), colourBar(fresh.scale));
    const found = describe(fresh.values);
    remark.textContent = judge(found, facts.stats);
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
