// A camera or a film, frame by frame. Only one frame is on its way at a time; those that come meanwhile are dropped.
import {classText} from '../static/classes.js';
import {make} from '../static/dom.js';
import {shareText} from '../static/numbers.js';
import {ask, Refused} from '../static/server.js';
import {textsOf} from '../static/texts.js';
import {choice} from '../static/why.js';

const t = textsOf('live');
const SIDE = 320; // pixels of the longest side of what is sent
const LONGEST = 60000; // characters of a frame
const QUALITIES = [0.85, 0.6, 0.35];
// What a browser calls the reasons that a visitor can do something about.
const TROUBLES = {NotAllowedError: 'camera_refused', NotFoundError: 'camera_missing', NotReadableError: 'camera_taken'};
const RECENT = 12; // answers by which the rate is reckoned

// How many frames a second came of late, by the moments at which they did, in ms.
export const rateOf = (moments) => moments.length < 2 ? 0 : 1000 * (moments.length - 1) / (moments.at(-1) - moments[0]);

export function mount({element, server}) {
  const card = element.querySelector('.live-card');
  const video = make('video', {muted: true, playsinline: true, loop: true, hidden: true});
  video.muted = true; // as a property: with sound, browsers would not start it
  const canvas = document.createElement('canvas');
  const shown = make('canvas', {role: 'img', 'aria-label': t('frame')});
  const mask = make('img', {class: 'mask', alt: '', hidden: true});
  const tiles = make('img', {class: 'tiles', alt: '', hidden: true});
  const tilesTold = make('figcaption');
  const told = make('p', {class: 'told', role: 'status'}, t('idle'));
  const rate = make('p', {class: 'told'});
  const shares = make('ul', {class: 'shares'});
  const networks = choice(t('network'), [], '');
  const sizes = choice(t('size'), [], '');
  const stages = choice(t('stage'), [], '');
  const camera = make('button', {type: 'button', class: 'go', disabled: true}, t('camera'));
  const film = make('button', {type: 'button', disabled: true}, t('film'));
  const stop = make('button', {type: 'button', disabled: true}, t('stop'));
  const file = make('input', {type: 'file', accept: 'video/*', hidden: true, 'aria-label': t('film')});
  card.append(make('div', {class: 'controls'}, networks.node, sizes.node, stages.node, camera, film, stop, file), told,
    make('div', {class: 'columns'}, make('figure', {}, make('div', {class: 'stagebox'}, shown, mask), shares, rate),
      make('figure', {}, tiles, tilesTold)), video);

  let offered = [];
  let channels = null; // of the stage on show, as the first answer chose them
  let course = 0; // a new one with every start and stop: what belongs to an old one is let go
  let stream = null;
  let source = null;

  const tell = (words, trouble = false) => {
    if (told.textContent === words) return; // else it would be read aloud with every frame
    told.textContent = words;
    told.className = trouble ? 'told banner' : 'told';
  };
  const options = (select, entries, value) =>
    select.replaceChildren(...entries.map(([key, words]) => make('option', {value: key, selected: key === value}, words)));
  const chosen = () => offered.find(({name}) => name === networks.select.value);
  const settle = () => {
    const network = chosen();
    options(sizes.select, network.sizes.map((size) => [String(size), String(size)]), String(network.size));
    options(stages.select, [['', t('no_stage')], ...network.stages.map((label) => [label, label])], network.stages[0]);
    channels = null;
  };
  networks.select.addEventListener('change', settle);
  for (const {select} of [sizes, stages]) select.addEventListener('change', () => { channels = null; });

  const close = (lent) => { for (const track of lent?.getTracks() ?? []) track.stop(); };
  const end = (words, trouble = false) => {
    course++;
    close(stream);
    stream = null;
    video.pause();
    video.srcObject = null;
    video.removeAttribute('src');
    if (source) URL.revokeObjectURL(source);
    source = null;
    stop.disabled = true;
    tell(words, trouble);
  };
  const stopped = () => { if (!stop.disabled) end(t('stopped')); };

  const frame = () => {
    const scale = Math.min(1, SIDE / Math.max(video.videoWidth, video.videoHeight));
    canvas.width = Math.max(1, Math.round(video.videoWidth * scale));
    canvas.height = Math.max(1, Math.round(video.videoHeight * scale));
    canvas.getContext('2d').drawImage(video, 0, 0, canvas.width, canvas.height);
    for (const quality of QUALITIES) {
      const address = canvas.toDataURL('image/jpeg', quality);
      if (address.length <= LONGEST) return address;
    }
    return canvas.toDataURL('image/jpeg', 0.1);
  };

  const draw = async (found, stage) => {
    shown.width = canvas.width;
    shown.height = canvas.height;
    shown.parentElement.style.aspectRatio = `${canvas.width} / ${canvas.height}`;
    if (found.mask) {
      mask.src = found.mask;
      await mask.decode(); // the mask and its frame appear together
    }
    shown.getContext('2d').drawImage(canvas, 0, 0);
    mask.hidden = !found.mask;
    shares.replaceChildren(...found.classes.map(({name, colour, percent}) => make('li', {},
      ...(colour ? [make('span', {class: 'swatch', style: `background: ${colour}`})] : []), `${classText(name)} ${shareText(percent)}`)));
    if (!found.classes.length) shares.replaceChildren(make('li', {}, t('nothing')));
    tell(found.trained ? '' : t('untrained'), !found.trained);
    tiles.hidden = !found.tiles;
    tilesTold.textContent = '';
    if (!found.tiles) return;
    tiles.src = found.tiles;
    channels = found.channels;
    tilesTold.textContent = t('tiles', {channels: channels.join(', '), of: found.of, stage, shape: found.shape.join(' × ')});
  };

  // Asks about one frame after the other, always the newest.
  const go = async () => {
    const mine = course;
    let moments = [];
    let view = '';
    let first = null; // how many frames the source had shown before the first that counts
    let latest = 0;
    const count = (_, {presentedFrames}) => {
      if (mine !== course) return;
      first ??= presentedFrames - 1;
      latest = presentedFrames;
      video.requestVideoFrameCallback(count);
    };
    video.requestVideoFrameCallback?.(count);
    let passed = -1;
    let drawn = 0;
    while (mine === course) {
      await new Promise(requestAnimationFrame);
      if (mine !== course) return;
      if (!video.videoWidth || video.currentTime === passed) continue; // no new frame yet
      passed = video.currentTime;
      const stage = stages.select.value || null;
      const asked = {frame: frame(), network: networks.select.value, size: Number(sizes.select.value), stage, channels};
      const current = () => [networks, sizes, stages].map(({select}) => select.value).join('\n');
      if (view !== current()) moments = []; // a rate is of one network, size and stage
      view = current();
      const started = performance.now();
      let found;
      try {
        found = await ask(server.frame, asked);
        if (mine !== course) return;
        if (view !== current()) continue; // something else has been chosen meanwhile
        await draw(found, stage);
        if (mine !== course) return;
      } catch (error) {
        if (mine === course) end(error instanceof Refused ? error.message : t('lost'), true);
        return;
      }
      moments.push(performance.now());
      if (moments.length > RECENT) moments.shift();
      drawn++;
      const dropped = first === null ? 0 : Math.max(0, latest - first - drawn);
      Object.assign(card.dataset, {frames: drawn, dropped});
      const facts = {rate: rateOf(moments).toFixed(1), milliseconds: Math.round(moments.at(-1) - started), pass: Math.round(1000 * found.seconds)};
      rate.textContent = `${t('rate', facts)} · ${t('dropped', {count: dropped})}`;
    }
  };

  // Prepares a source and goes on with it, unless something else was begun or stopped meanwhile.
  const begin = async (prepare, trouble) => {
    end(t('starting'));
    const mine = course;
    stop.disabled = false;
    Object.assign(card.dataset, {frames: 0, dropped: 0});
    rate.textContent = '';
    try {
      await prepare(() => mine === course);
      if (mine !== course) return;
      await video.play();
    } catch (error) {
      if (mine === course) end(trouble(error), true);
      return;
    }
    if (mine !== course) return;
    if (video.videoWidth) go();
    else end(trouble(new Error()), true); // a film of sound alone
  };
  const refusal = ({name, message}) => t(TROUBLES[name] ?? 'no_camera', {reason: message || name});
  camera.addEventListener('click', () => {
    if (!navigator.mediaDevices) return end(t('unsafe'), true);
    begin(async (isWanted) => {
      const lent = await navigator.mediaDevices.getUserMedia({video: {width: {ideal: 640}}, audio: false});
      if (!isWanted()) return close(lent); // while the browser asked, the visitor went away or chose a film
      stream = lent;
      for (const track of lent.getTracks()) track.addEventListener('ended', () => { if (stream === lent) end(t('camera_gone'), true); });
      video.srcObject = lent;
    }, refusal);
  });
  film.addEventListener('click', () => file.click());
  file.addEventListener('change', () => {
    const [taken] = file.files;
    file.value = '';
    if (!taken) return;
    begin(() => {
      source = URL.createObjectURL(taken);
      video.src = source;
    }, () => t('no_film'));
  });
  video.addEventListener('error', () => { if (source && !stop.disabled) end(t('no_film'), true); });
  stop.addEventListener('click', stopped);
  document.addEventListener('visibilitychange', () => { if (document.hidden && !source) stopped(); });

  new IntersectionObserver(async (entries) => {
    if (!entries.at(-1).isIntersecting) return stopped(); // the camera is not left on where nobody looks
    if (offered.length) return;
    try {
      const found = await ask(server.networks, {});
      offered = found.networks;
      const first = offered.some(({name}) => name === found.first) ? found.first : offered[0]?.name;
      options(networks.select, offered.map(({name, title}) => [name, title]), first);
      if (!offered.length) return;
      settle();
      camera.disabled = film.disabled = false;
    } catch (error) {
      tell(error instanceof Refused ? error.message : t('lost'), true);
    }
  }).observe(card);
}
