// The sheet: header, controls, tiles. One page of channels at a time; the server ranks, colours and cuts, this part shows.
import {change, follow, read} from '../static/address.js';
import {classText} from '../static/classes.js';
import {PLACES} from '../static/colours.js';
import {button, definitions, draw, make, uniqueName} from '../static/dom.js';
import {pixelAt, shareAt} from '../static/geometry.js';
import {loadFloats, loadPicture, lostNote} from '../static/files.js';
import {term, termed} from '../static/glossary.js';
import {exactly, figure, figures, percent, whole} from '../static/numbers.js';
import {axis, colourBar, ramp, swatchAt} from '../static/scales.js';
import {listen} from '../static/picks.js';
import * as pointer from '../static/pointer.js';
import {Refused, ask} from '../static/server.js';
import {textsOf} from '../static/texts.js';
import {python} from '../static/why.js';
import {explained} from '../static/words.js';
import {enlargedView} from './enlarged.js';

const t = textsOf('channels');
const RANKINGS = ['mean_abs', 'variance', 'sparsity', 'index', 'point', 'class'];
const AT_POINT = ['point', 'class']; // rankings that need a pinned point
const PAUSE = 80; // ms that a point stays pinned before the server is asked about it
const SCOPES = ['channel', 'layer', 'network'];
const PAGE = 64; // channels on a page
// Whether places in its maps are places in the picture: tokens and vectors have none.
const isLinked = (facts) => facts.shape.length === 3 && !isSingle(facts);
const isSingle = ({map}) => map[0] * map[1] === 1; // each channel is one value

// What a tile warns of: one value varies nowhere, and may be 0.
const flagsOf = ({flags}, single) => {
  const broken = flags.includes('nan') || flags.includes('inf');
  if (single) return flags.filter((flag) => flag !== 'flat' && flag !== 'dead');
  return flags.filter((flag) => flag !== 'flat' || !broken);
};

// What is written on a tile whose picture says nothing.
const wordsOn = (entry, flags, single) => {
  if (single) return flags.includes('nan') || flags.includes('inf') ? '' : figure(entry.low);
  if (flags.includes('dead')) return t('zero_everywhere');
  if (!flags.includes('flat')) return '';
  return entry.low === entry.high ? t('one_value', {value: figure(entry.low)}) : t('hardly_varies');
};

let logarithmic = true; // as the reader last chose it
let unfolded = false; // likewise: all numbers of the stage
const histogram = ({edges, counts, counted_step: step}) => {
  const [low, high] = [edges[0], edges[edges.length - 1]];
  const most = Math.max(...counts, 1);
  const all = counts.reduce((sum, count) => sum + count, 0);
  const peak = counts.indexOf(most);
  const words = {count: whole(all), low: figure(low), high: figure(high), share: percent(most / (all || 1)),
    from: figure(edges[Math.max(peak, 0)]), to: figure(edges[Math.max(peak, 0) + 1])};
  const svg = draw('svg', {viewBox: '0 0 256 60', preserveAspectRatio: 'none', role: 'img', 'aria-label': t('histogram', words)});
  const bars = counts.map((count, index) => {
    const bar = draw('rect', {x: index * 256 / counts.length, width: 256 / counts.length - 0.5}, svg);
    draw('title', {}, bar, t('bin', {from: figure(edges[index]), to: figure(edges[index + 1]), count: whole(count)}));
    return bar;
  });
  if (low < 0 && high > 0) draw('line', {x1: -low / (high - low) * 256, x2: -low / (high - low) * 256, y1: 0, y2: 60}, svg);
  const level = (count) => logarithmic ? Math.log1p(count) / Math.log1p(most) : count / most;
  const raise = () => bars.forEach((bar, index) => {
    const height = counts[index] ? Math.max(60 * level(counts[index]), 0.8) : 0;
    bar.setAttribute('y', 60 - height);
    bar.setAttribute('height', height);
  });
  const log = make('input', {type: 'checkbox', class: 'log'});
  log.checked = logarithmic;
  log.addEventListener('change', () => { logarithmic = log.checked; raise(); });
  raise();
  const caption = make('p', {class: 'counted'}, make('span', {}, termed(t.parts(step > 1 ? 'histogram_of_some' : 'histogram_title', {step}))), make('label', {}, log, t('log')));
  return [make('figure', {class: 'histogram'}, svg, axis(low, high)), caption];
};

const crossOf = () => make('span', {class: 'pointed', 'aria-hidden': 'true'}, make('i'));

const makeTile = (facts, entry, index, sprite) => {
  const [high, wide] = facts.thumbnail;
  const canvas = make('canvas', {width: wide, height: high});
  canvas.getContext('2d').drawImage(sprite, (index % facts.columns) * wide, Math.floor(index / facts.columns) * high, wide, high, 0, 0, wide, high);
  // Very long maps are shown at most 8 times as long as high, in a box of at most 3 to 1: else nothing could be seen.
  const ratio = Math.min(Math.max(wide / high, 1 / 8), 8);
  const box = Math.min(Math.max(ratio, 0.6), 3);
  const holder = make('span', {class: 'holder', style: `width: ${Math.min(ratio / box, 1) * 100}%; height: ${Math.min(box / ratio, 1) * 100}%`},
    canvas, make('span', {class: 'veil'}), ...(isLinked(facts) ? [crossOf()] : []));
  const picture = make('span', {class: 'picture', style: `aspect-ratio: ${box}`}, holder);
  const flags = flagsOf(entry, isSingle(facts));
  const words = wordsOn(entry, flags, isSingle(facts));
  const [low, lastly] = figures(entry.low, entry.high);
  const range = {low, high: lastly};
  if (words) picture.append(make('span', {class: 'words'}, words));
  const badges = make('span', {class: 'badges'}, ...flags.map((flag) => make('b', {class: `badge ${flag}`}, t(`flag_${flag}`))));
  const zeros = percent(entry.zero_share);
  const tile = make('div', {class: `tile ${flags.join(' ')}`, role: 'option', tabindex: -1, 'data-channel': entry.channel, 'aria-selected': 'false',
    title: t('tile_more', {mean: figure(entry.mean), std: figure(entry.std), strength: figure(entry.mean_abs)})},
  picture, make('span', {class: 'caption'}, make('span', {class: 'for-readers'}, t('channel', {channel: entry.channel})), make('strong', {'aria-hidden': 'true'}, entry.channel), make('span', {class: 'zeros'}, t('zero_share', {zeros}))),
  ...(isSingle(facts) ? [] : [make('span', {class: 'range'}, make('span', {}, range.low), make('span', {}, `… ${range.high}`))]));
  if (flags.length) picture.append(badges);
  picture.append(make('span', {class: 'there', hidden: ''}));
  if (facts.scores && facts.ranking === 'class') {
    tile.querySelector('.zeros').textContent = t('score', {score: figure(Number(facts.scores[index]))});
  }
  return tile;
};

export function mount({element, props, server, trigger, watch}) {
  const card = element.querySelector('.sheet-card');
  const name = uniqueName('scope'); // of the radio group

  let asked = null; // the newest request: run, layer, ranking, scope, page, channel
  let facts = null; // the answer on screen
  let drawn = ''; // which sheet is on screen
  let latest = 0; // number of the newest request; older ones give up when their answers arrive
  let active = 0; // the tile that Tab reaches
  let crosses = []; // what moves in the crosshairs of the tiles
  let valued = ''; // the pin and the sheet whose values have been asked for

  // ---- Parts that stay: they keep the focus while everything around them changes.

  const live = make('p', {class: 'for-readers', 'aria-live': 'polite'});
  const say = (text) => { live.textContent = text; };
  const head = make('header', {class: 'head'});
  const rank = make('select', {class: 'ranking'}, ...RANKINGS.map((key) => make('option', {value: key}, t(`ranking_${key}`))));
  const radios = SCOPES.map((key) => make('input', {type: 'radio', name, value: key}));
  const segments = make('fieldset', {class: 'scope'}, make('legend', {}, t('scope')),
    ...radios.map((radio) => make('label', {}, radio, make('span', {}, t(`scope_${radio.value}`)))));
  const meaning = make('div', {class: 'meaning'});
  const earlier = button('‹', t('previous_page'), () => request({page: facts.page - 1}));
  const later = button('›', t('next_page'), () => request({page: facts.page + 1}));
  const place = make('span', {class: 'place'});
  const controls = make('div', {class: 'controls'}, make('label', {class: 'rank'}, make('span', {}, t('ranking')), rank), segments,
    make('div', {class: 'pager', role: 'group', 'aria-label': t('pages')}, earlier, place, later));
  const how = make('p', {class: 'how'});
  const code = make('div', {class: 'code'});
  const grid = make('div', {class: 'grid', role: 'listbox', 'aria-orientation': 'horizontal'});
  const large = enlargedView({step: (by) => stepChannel(by), close: () => closeLarge(), say});
  const body = make('div', {class: 'body'}, grid, large.node);
  const emptyState = make('div', {class: 'empty'}, make('div', {class: 'ghosts', 'aria-hidden': 'true'},
    ...Array.from({length: 24}, () => make('i'))), make('p', {}, t('empty')), make('p', {class: 'fine'}, t('empty_more')));

  // ---- Asking the server. The newest request alone is drawn.

  const showBusy = (busy) => {
    card.classList.toggle('waiting', busy);
    grid.setAttribute('aria-busy', String(busy));
  };
  const request = async (changes, {keepSheet = false, atArrival = null} = {}) => {
    const mine = ++latest;
    const needed = () => mine === latest;
    asked = {...asked, ...changes};
    asked.point = pointer.pinnedIn(asked.run.picture);
    if (!asked.point && AT_POINT.includes(asked.ranking)) asked.ranking = 'variance';
    if (facts) update();
    showBusy(!keepSheet);
    try {
      const value = await ask(server.channels, asked);
      if (!needed()) return;
      const {enlarged} = value;
      const key = JSON.stringify({...value, enlarged: null, python: null, point: AT_POINT.includes(value.ranking) && value.point});
      const files = await Promise.all([key === drawn ? null : loadPicture(value.sprite.url, {needed}),
        enlarged && loadFloats(enlarged.exact.url, {needed}), enlarged && loadPicture(enlarged.picture.url, {needed})]);
      if (!needed()) return;
      facts = value;
      asked = {...asked, page: facts.page};
      change(inAddress(asked));
      lostLine.remove();
      if (isSingle(facts)) facts.valid = [1, 1]; // one value for everything lies in no padding
      if (key !== drawn) drawSheet(files[0]);
      drawCode();
      drawn = key;
      update();
      drawLarge(enlarged, files[1]);
      mark(pointer.current());
      showBusy(false);
      element.dataset.ready = String(mine);
      if (atArrival) pick(facts.channels.at(atArrival === 'first' ? 0 : -1).channel);
    } catch (error) {
      if (!needed()) return;
      if (error instanceof Refused && !facts && asked.channel !== null) { // the address named none of its channels
        remember(null);
        await request({channel: null, page: 0});
        if (latest !== mine + 1) return;
      }
      sayLost(error, () => request(changes, {keepSheet, atArrival}));
    }
  };
  rank.addEventListener('change', () => request({ranking: rank.value, page: 0}));
  segments.addEventListener('change', () => request({scope: radios.find((radio) => radio.checked).value}));

  // What the address leaves out is as on a first visit; pages are counted from 1 there.
  const inAddress = ({ranking, scope, page, channel}) => ({ranking: ranking === 'variance' ? null : ranking,
    scope: scope === 'channel' ? null : scope, sheet: page > 0 ? page + 1 : null, channel});
  const remember = (channel) => follow({channel});
  const select = (channel) => {
    for (const tile of grid.children) {
      const isIt = Number(tile.dataset.channel) === channel;
      tile.setAttribute('aria-selected', String(isIt));
      if (isIt) tile.scrollIntoView({block: 'nearest', inline: 'nearest'});
    }
  };
  const pick = (channel) => {
    large.open(channel, facts.untrained);
    body.classList.add('split');
    select(channel);
    request({channel}, {keepSheet: true});
    trigger('select', {index: channel, value: channel});
  };
  const hideLarge = () => {
    large.hide();
    body.classList.remove('split');
    select(null);
  };
  const closeLarge = () => {
    asked = {...asked, channel: null};
    latest++; // answers still on their way do not open it again
    showBusy(false);
    hideLarge();
    change({channel: null});
    grid.children[active]?.focus();
  };
  const stepChannel = (by) => {
    const order = facts.channels.map((entry) => entry.channel);
    const index = order.indexOf(asked.channel) + by;
    const page = facts.page + by;
    if (index in order) {
      activate(index, false);
      pick(order[index]);
    } else if (page >= 0 && page < facts.pages) {
      request({page}, {atArrival: by > 0 ? 'first' : 'last'});
    }
  };

  // ---- Drawing.

  const drawHead = () => {
    const {label, layer, kind, stats, shape: size} = facts;
    const title = make('p', {class: 'name'}, make('strong', {}, label));
    if (facts.untrained) title.append(make('span', {class: 'badge untrained', title: t('untrained_long')}, termed(t.parts('untrained'))));
    title.append(make('span', {class: 'size', title: t('size')}, size.join(' × ')));
    const module = make('p', {class: 'module'}, make('span', {}, kind));
    if (layer !== label) module.append(' ', make('code', {}, layer));
    const line = t('line', {low: figure(stats.minimum), high: figure(stats.maximum), mean: figure(stats.mean), zeros: percent(stats.zero_share), dead: stats.dead});
    const [bars, counted] = histogram(stats);
    const more = make('details', {class: 'more', open: unfolded}, make('summary', {}, t('numbers')),
      make('p', {class: 'module'}, facts.network_title), module,
      definitions([[t('minimum'), figure(stats.minimum, 4)], [t('maximum'), figure(stats.maximum, 4)], [t('mean'), figure(stats.mean, 4)],
        [termed(t.parts('std')), figure(stats.std, 4)], [termed(t.parts('zeros')), percent(stats.zero_share)],
        [termed(t.parts('dead_channels')), t('of', {part: stats.dead, total: facts.total}), stats.dead > 0 && !isSingle(facts)],
        [term('nan', 'NaN'), whole(stats.nans), stats.nans > 0], [term('infinity', 'inf'), whole(stats.infinities), stats.infinities > 0]]), counted);
    more.addEventListener('toggle', () => { unfolded = more.open; });
    const alarms = [['NaN', stats.nans], ['inf', stats.infinities]].filter(([, count]) => count > 0)
      .map(([name, count]) => make('b', {class: 'alarm'}, `${whole(count)} ${name}`));
    head.replaceChildren(make('div', {class: 'who'}, make('h3', {class: 'for-readers'}, t('title')), title,
      make('p', {class: 'line'}, line, ...alarms)), bars,
      make('p', {class: 'explained'}, termed(explained(asked.run.network, label, kind))), more);
  };

  const drawMeaning = () => {
    const lone = isSingle(facts) && facts.scope === 'channel'; // drawn on the layer's scale
    const parts = [make('span', {}, termed(t.parts(lone ? 'means_single' : `means_${facts.scope}`)))];
    if (facts.scale) parts.push(colourBar(facts.scale, t));
    else {
      const signed = facts.channels.map((entry) => entry.low !== null && entry.low < 0);
      if (signed.includes(false)) parts.push(make('span', {class: 'own'}, t('own_low'), ramp([0, 1, false]), t('own_high')));
      if (signed.includes(true)) parts.push(make('span', {class: 'own'}, t('own_negative'), ramp([-1, 1, true]), t('own_positive')));
    }
    meaning.replaceChildren(...parts);
  };

  // What decides the order, in a sentence.
  const rankedBy = () => {
    const {ranking, point} = facts;
    if (AT_POINT.includes(ranking)) return t(`ranked_${ranking}`, {x: point[0], y: point[1], name: classText(facts.class ?? '')});
    return t(ranking === 'variance' || ranking === 'index' ? `ranked_${ranking}` : 'ranked_inside');
  };

  const drawCode = () => {
    const open = Boolean(code.firstElementChild?.open);
    code.replaceChildren(python(facts.python));
    code.firstElementChild.open = open;
  };
  const drawHow = () => {
    const [height, width] = facts.map;
    const [high, wide] = facts.thumbnail;
    const mean = {rows: Math.min(facts.step, height), columns: Math.min(facts.step, width)};
    const parts = [t(isSingle(facts) ? 'how_single' : facts.step === 1 ? 'how_native' : 'how_mean', {height, width, ...mean})];
    if (wide > 8 * high || high > 8 * wide) parts.push(t('how_stretched'));
    how.replaceChildren(make('span', {}, parts.join(' ')), make('span', {class: 'ranked'}, rankedBy()));
    if (Math.min(...facts.valid) < 1) how.append(make('span', {class: 'key'}, make('i', {class: 'swatch hatched'}), termed(t.parts('padding'))));
    if (facts.stats.nans) how.append(make('span', {class: 'key'}, swatchAt(PLACES.NaN), 'NaN'));
    if (facts.stats.infinities) how.append(make('span', {class: 'key'}, swatchAt(PLACES['+inf']), '+inf'), make('span', {class: 'key'}, swatchAt(PLACES['-inf']), '-inf'));
  };

  // Controls say what has been asked for.
  const update = () => {
    rank.value = asked.ranking;
    offerRankings();
    radios.forEach((radio) => { radio.checked = radio.value === asked.scope; });
    const first = facts.page * PAGE + 1;
    place.textContent = t('page', {first, last: first + facts.channels.length - 1, total: facts.total});
    earlier.setAttribute('aria-disabled', String(facts.page <= 0));
    later.setAttribute('aria-disabled', String(facts.page >= facts.pages - 1));
  };

  const offerRankings = () => {
    const pinned = asked && pointer.pinnedIn(asked.run.picture);
    for (const option of rank.options) {
      const needs = AT_POINT.includes(option.value) && !pinned;
      const name = t(`ranking_${option.value}`);
      option.disabled = needs;
      option.textContent = needs ? t('ranking_needs_point', {ranking: name}) : name;
    }
  };

  const drawSheet = (sprite) => {
    const focused = grid.contains(document.activeElement);
    if (!card.contains(grid)) card.replaceChildren(head, controls, body, meaning, how, code, live);
    drawHead();
    drawMeaning();
    drawHow();
    card.style.setProperty('--wide', facts.valid[0]);
    card.style.setProperty('--high', facts.valid[1]);
    const few = facts.channels.length;
    card.style.setProperty('--least', few <= 4 ? '150px' : few <= 16 ? '104px' : '96px');
    card.classList.toggle('whole', Math.min(...facts.valid) >= 1);
    card.classList.toggle('own-scales', !facts.scale);
    grid.setAttribute('aria-label', t('channels', {label: facts.label}));
    grid.replaceChildren(...facts.channels.map((entry, index) => makeTile(facts, entry, index, sprite)));
    crosses = [...grid.querySelectorAll('.pointed > i')];
    valued = '';
    activate(0, focused);
  };

  // ---- The point of the picture that all panels mark.

  const isHere = (state) => Boolean(facts && state.pixel && facts.run.picture === state.picture);
  const mark = (state) => {
    const here = isHere(state) && isLinked(facts);
    grid.classList.toggle('pointing', here);
    if (here) {
      const [x, y] = shareAt(facts, state.pixel);
      const transform = `translate(${100 * x}%, ${100 * y}%)`;
      for (const cross of crosses) cross.style.transform = transform;
    }
    large.mark(isHere(state) ? state : null);
    askForValues(state);
  };

  // The exact values of the channels on show over the pinned pixel.
  const askForValues = (state) => {
    const pinned = isHere(state) && state.pinned && !isSingle(facts);
    const key = pinned ? `${state.pixel} ${drawn}` : '';
    if (key === valued) return;
    valued = key;
    for (const node of grid.querySelectorAll('.there')) node.hidden = true;
    if (!pinned) return;
    const channels = facts.channels.map((entry) => entry.channel);
    setTimeout(async () => {
      if (key !== valued) return;
      try {
        const {run, layer} = facts;
        const {values} = await ask(server.values, {run, layer, channels, point: state.pixel});
        if (key !== valued) return;
        for (const tile of grid.children) {
          const value = Number(values[tile.dataset.channel]);
          const node = tile.querySelector('.there');
          [node.textContent, node.title, node.dataset.value] = [figure(value, 4), t('value_there', {value: exactly(value)}), value];
          node.hidden = false;
        }
      } catch (error) {
        if (key === valued) sayLost(error, () => { valued = ''; askForValues(pointer.current()); });
      }
    }, PAUSE);
  };

  let ranked = null; // the pin that the ranking looks at
  pointer.follow((state) => {
    if (asked) offerRankings();
    mark(state);
    const pinned = facts && pointer.pinnedIn(facts.run.picture);
    const changed = String(pinned) !== String(ranked);
    ranked = pinned;
    if (changed && asked && AT_POINT.includes(asked.ranking)) request({page: 0}, {keepSheet: true});
  });
  const pixelOf = (event) => {
    const holder = event.target.closest('.tile')?.querySelector('.holder');
    if (!holder || !facts || !isLinked(facts)) return null;
    const box = holder.getBoundingClientRect();
    const share = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    return share.every((part) => part >= 0 && part < 1) ? pixelAt(facts, share) : null;
  };
  grid.addEventListener('pointermove', (event) => { if (facts) pointer.hover(facts.run.picture, pixelOf(event), 'tiles'); });
  grid.addEventListener('pointerleave', () => { if (facts) pointer.hover(facts.run.picture, null, 'tiles'); });

  const lostLine = make('p', {class: 'how', role: 'alert'});
  const sayLost = (error, retry) => {
    console.warn(error);
    lostLine.replaceChildren(...lostNote(error, t('lost'), retry));
    if (!card.contains(lostLine)) (card.contains(grid) ? controls : card.lastElementChild).after(lostLine);
    showBusy(false);
    asked = {...asked, channel: facts?.enlarged?.channel ?? null};
    if (asked.channel === null) hideLarge();
    else { large.again(); select(asked.channel); }
  };

  const drawLarge = (fresh, values) => {
    if (!fresh) {
      if (large.channel !== null) remember(null);
      hideLarge();
      return;
    }
    const {channel, shape: [height, width], scale} = fresh;
    body.classList.add('split');
    const file = `${facts.layer}-channel-${channel}`.replace(/[^\w.-]+/g, '-');
    large.show({channel, values, width, height, picture: fresh.picture.url, scale, valid: facts.valid, name: file,
      placed: isLinked(facts) ? facts : null, run: facts.run}, facts);
    select(channel);
    remember(channel);
  };

  // What the page asks for. How the reader wants channels ranked and coloured outlives it, and so does, as long as it is
  // the same layer, what is looked at.
  const show = () => {
    const value = props.value && JSON.parse(JSON.stringify(props.value));
    if (value?.restored) request(value);
    else if (value) {
      const {ranking, scope} = asked ?? value;
      const same = asked?.run.network === value.run.network && asked.layer === value.layer && value.channel === null;
      request({...value, ranking, scope, ...(same ? {page: asked.page, channel: asked.channel} : {})});
    }
    if (value) return;
    latest++;
    [asked, facts, drawn] = [null, null, ''];
    showBusy(false);
    hideLarge();
    card.replaceChildren(make('h3', {}, t('title')), emptyState);
    element.dataset.ready = `empty-${latest}`;
  };

  // ---- Keyboard and pointer.

  const activate = (index, focus) => {
    grid.children[active]?.setAttribute('tabindex', '-1');
    active = Math.min(Math.max(index, 0), grid.children.length - 1);
    grid.children[active].setAttribute('tabindex', '0');
    if (focus) grid.children[active].focus();
  };
  const choose = (tile) => {
    activate([...grid.children].indexOf(tile), true);
    pick(Number(tile.dataset.channel));
  };
  grid.addEventListener('click', (event) => {
    const tile = event.target.closest('.tile');
    if (tile) choose(tile);
  });
  grid.addEventListener('keydown', (event) => {
    const {gridAutoFlow, gridTemplateColumns} = getComputedStyle(grid);
    const row = gridAutoFlow === 'column' ? 1 : gridTemplateColumns.split(' ').length; // beside a large channel it is a strip
    const moves = {ArrowLeft: -1, ArrowRight: 1, ArrowUp: -row, ArrowDown: row, Home: -PAGE, End: PAGE};
    if (event.key in moves) activate(active + moves[event.key], true);
    else if (event.key === 'PageDown') later.click();
    else if (event.key === 'PageUp') earlier.click();
    else if (event.key === 'Enter' || event.key === ' ') choose(grid.children[active]);
    else return;
    event.preventDefault();
  });
  element.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || event.defaultPrevented || large.node.hidden) return;
    event.preventDefault(); // one thing at a time: a pane over the whole window stays
    closeLarge();
  });

  // A stage of another network is to come: its run brings it here.
  listen('stage', ({network, layer}) => {
    if (asked?.run.network === network) request({layer, page: 0, channel: null});
  });
  // A step back or forward to the same stage needs no run.
  listen('walk', ({isOther}) => {
    if (isOther || !asked) return;
    const [page, channel] = ['sheet', 'channel'].map(read);
    request({ranking: read('ranking') ?? 'variance', scope: read('scope') ?? 'channel',
      page: channel === null ? Math.max(Number(page) - 1, 0) : -1, channel: channel === null ? null : Number(channel)});
  });
  watch('value', show);
  show();
}
