// A picture with a map over it that zooms and points together with all others of the page.
import {make} from './dom.js';
import {lens} from './lens.js';
import * as pointer from './pointer.js';

const AXES = [0, 1];
const STEPS = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]};

// Makes the stage once; show({photo, width, height, pixels, picture, size, opacity}) fills it. photo: address of the
// picture; pixels: of the map, 32 bits each; picture: fingerprint of the one that is pointed at; size: its own, in pixels.
export const linked = (label, from) => {
  const photo = make('img', {class: 'linked-photo', alt: ''});
  const map = make('canvas', {class: 'linked-map', role: 'img', tabindex: 0, 'aria-label': label});
  const scene = make('div', {class: 'linked-scene'}, photo, map);
  const cross = make('div', {class: 'linked-pointed', 'aria-hidden': 'true', hidden: true}, make('i'));
  const stage = make('div', {class: 'linked'}, scene, cross);
  let shown = null;

  const frame = () => shown && stage.clientWidth && stage.clientHeight
    ? {extent: shown.size, size: [stage.clientWidth, stage.clientHeight]} : null;
  const isMine = ({picture}) => Boolean(shown) && picture === shown.picture;

  const mark = (state) => {
    const here = isMine(state) && state.pixel && pointer.isWithin(state.pixel, shown.size) ? frame() : null;
    const at = here && glass.screenOf(state.pixel.map((part) => part + 0.5));
    cross.hidden = !at || at.some((part, axis) => part < 0 || part > here.size[axis]);
    cross.classList.toggle('pinned', state.pinned);
    if (!cross.hidden) cross.firstElementChild.style.transform = `translate(${at[0]}px, ${at[1]}px)`;
  };
  const spot = () => {
    const state = pointer.current();
    return isMine(state) && state.pixel ? state.pixel.map((part) => part + 0.5) : null;
  };
  const glass = lens({stage, scene, frame, drawn: () => mark(pointer.current()), spot});
  pointer.follow(mark);

  const pixelUnder = (event) => {
    const place = glass.placeOf(event);
    return place && AXES.every((axis) => place[axis] >= 0 && place[axis] < shown.size[axis]) ? place.map(Math.floor) : null;
  };
  stage.addEventListener('pointermove', (event) => {
    if (shown && !glass.dragging) pointer.hover(shown.picture, pixelUnder(event), from);
  });
  const leave = () => { if (shown) pointer.hover(shown.picture, null, from); };
  stage.addEventListener('pointerleave', leave);
  map.addEventListener('blur', leave);
  stage.addEventListener('click', (event) => {
    const pixel = shown && !glass.dragged && pixelUnder(event);
    if (pixel) pointer.pin(shown.picture, pixel, from);
  });
  // As in the segmentation: arrow keys move by about one hundredth of the picture, with Shift by one pixel; Enter pins.
  map.addEventListener('keydown', (event) => {
    if (!shown) return;
    const {pixel, pinned} = pointer.current();
    if (event.key === 'Enter' && pixel) pointer.pin(shown.picture, pixel, 'enter');
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    const stride = event.shiftKey ? 1 : Math.max(1, Math.round(Math.max(...shown.size) / 100));
    const start = pixel ?? shown.size.map((side) => side >> 1);
    const next = AXES.map((axis) => Math.min(shown.size[axis] - 1, Math.max(0, start[axis] + (pixel ? step[axis] * stride : 0))));
    if (pinned) pointer.pin(shown.picture, next, 'keys');
    else pointer.hover(shown.picture, next, 'keys');
    glass.reveal(next.map((part) => part + 0.5));
  });

  const show = (next) => {
    shown = next;
    stage.hidden = !next;
    if (!next) return;
    photo.src = next.photo;
    stage.style.setProperty('--aspect', next.width / next.height);
    map.style.opacity = next.opacity ?? 0.6;
    Object.assign(map, {width: next.width, height: next.height});
    const image = new ImageData(next.width, next.height);
    new Uint32Array(image.data.buffer).set(next.pixels);
    map.getContext('2d').putImageData(image, 0, 0);
    glass.draw();
  };
  show(null);
  return {stage, show};
};

// The index of the label over a pixel of a picture of a size; labels: {width, height}.
export const labelAt = ({width, height}, pixel, size) => {
  const [x, y] = [width, height].map((side, axis) => Math.min(side - 1, Math.floor((pixel[axis] + 0.5) / size[axis] * side)));
  return y * width + x;
};
