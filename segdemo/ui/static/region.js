// A photograph on which a region is drawn, as a rectangle or free-hand, or typed by its corners; a click pins a pixel.
import {draw, make, uniqueName} from './dom.js';
import * as pointer from './pointer.js';
import {textsOf} from './texts.js';

const t = textsOf('evidence');
const MOST = 200; // corners of a region
const SLACK = 4; // CSS pixels from which on a press that moves is no click
const SHAPES = ['rectangle', 'lasso'];

// At most so many of some corners, spread evenly.
export const thinned = (corners, most = MOST) => corners.length <= most ? corners
  : Array.from({length: most}, (_, index) => corners[Math.floor(index * corners.length / most)]);

// The corners that a text names, "x,y x,y …"; what is none becomes NaN, which the server refuses.
export const cornersIn = (text) => text.trim().split(/\s+/).filter(Boolean).map((pair) => pair.split(',').map(Number));

// Makes the photograph; drawn(corners) is told of each region. show({photo, size, picture, region, drawn}) fills it; null
// empties it. size: of the picture, pixels; drawn: whether the region is what is asked about.
export const drawing = (drawn) => {
  const svg = draw('svg', {preserveAspectRatio: 'none'});
  const photo = make('img', {class: 'photo', alt: ''});
  const stage = make('div', {class: 'layered pinnable', role: 'img', 'aria-label': t('draw')}, photo, svg);
  const corners = make('input', {type: 'text', placeholder: '0,0 100,100'});
  const name = uniqueName('shape');
  const radios = SHAPES.map((shape, index) => make('label', {class: 'choice'},
    make('input', {type: 'radio', name, value: shape, checked: index === 0}), ' ', t('shape.' + shape)));
  const node = make('div', {class: 'region', hidden: true}, stage, make('p', {class: 'key'}, t('draw')),
    make('div', {class: 'shapes', role: 'radiogroup', 'aria-label': t('shape')}, ...radios), make('label', {class: 'choice'}, t('choose.region'), ' ', corners));
  let shown = null;
  let region = [];
  let pressed = null; // {screen, path} since the pointer went down

  const paint = () => {
    svg.replaceChildren();
    if (!shown) return;
    const unit = Math.max(...shown.size) / 300;
    const known = region.filter((corner) => corner.length === 2 && corner.every(Number.isFinite));
    if (known.length > 1) {
      const [[a, b], [c, d]] = known;
      const outline = known.length > 2 ? known : [[a, b], [c, b], [c, d], [a, d]];
      draw('polygon', {points: outline.map(String).join(' '), class: shown.drawn ? 'area' : 'area idle', 'vector-effect': 'non-scaling-stroke'}, svg);
    }
    const pixel = pointer.pinnedIn(shown.picture);
    if (pixel) draw('circle', {cx: pixel[0] + 0.5, cy: pixel[1] + 0.5, r: 2.5 * unit, class: 'pin', 'vector-effect': 'non-scaling-stroke'}, svg);
  };
  pointer.follow(paint);

  const placeOf = (event) => {
    const {left, top, width, height} = stage.getBoundingClientRect();
    return [(event.clientX - left) / width, (event.clientY - top) / height].map((share, axis) =>
      Math.min(shown.size[axis] - 1, Math.max(0, Math.floor(share * shown.size[axis]))));
  };
  const isLasso = () => radios[1].firstElementChild.checked;
  stage.addEventListener('pointerdown', (event) => {
    if (!shown || event.button) return;
    event.preventDefault(); // the browser would drag the photograph away
    stage.setPointerCapture(event.pointerId);
    pressed = {screen: [event.clientX, event.clientY], path: [placeOf(event)], moved: false};
  });
  stage.addEventListener('pointermove', (event) => {
    if (!pressed || !shown) return;
    pressed.moved ||= Math.hypot(event.clientX - pressed.screen[0], event.clientY - pressed.screen[1]) > SLACK;
    if (!pressed.moved) return;
    const here = placeOf(event);
    if (pressed.path.at(-1).join() !== here.join()) pressed.path.push(here);
    region = isLasso() ? thinned(pressed.path) : [pressed.path[0], here];
    paint();
  });
  stage.addEventListener('pointerup', (event) => {
    if (!pressed || !shown) return;
    const {moved} = pressed;
    pressed = null;
    if (!moved) { pointer.pin(shown.picture, placeOf(event), 'why'); return; }
    corners.value = region.map(String).join(' ');
    drawn(region);
  });
  stage.addEventListener('pointercancel', () => { pressed = null; });
  corners.addEventListener('change', () => {
    region = cornersIn(corners.value);
    paint();
    drawn(region);
  });

  const show = (next) => {
    shown = next;
    pressed = null;
    node.hidden = !next;
    if (!next) return;
    ({region} = next);
    if (photo.getAttribute('src') !== next.photo) photo.src = next.photo;
    svg.setAttribute('viewBox', `0 0 ${next.size[0]} ${next.size[1]}`);
    if (document.activeElement !== corners) corners.value = region.map(String).join(' ');
    paint();
  };
  return {node, show};
};
