// A drawing of square points: with a pointer, or one of the examples. Its word has a hexadecimal digit for four points.
import {button, make} from '../static/dom.js';
import {textsOf} from '../static/texts.js';

const t = textsOf('labs');
const SHOWN = 7; // px of a point
const PEN = 2.3; // points from the middle of the pen to its edge

// Points, true where there is ink, of a word, and back.
export const pointsOf = (word) => [...word].flatMap((digit) => [8, 4, 2, 1].map((bit) => (Number.parseInt(digit, 16) & bit) > 0));
export const wordOf = (points) => {
  let word = '';
  for (let place = 0; place < points.length; place += 4) {
    word += points.slice(place, place + 4).reduce((sum, point) => 2 * sum + Number(point), 0).toString(16);
  }
  return word;
};

// Puts the ink of a pen that goes from one place to another, in points.
export const stroke = (points, side, [x1, y1], [x2, y2]) => points.map((point, place) => {
  if (point) return true;
  const [x, y] = [place % side + 0.5, Math.floor(place / side) + 0.5];
  const length = (x2 - x1) ** 2 + (y2 - y1) ** 2;
  const share = length ? Math.min(Math.max(((x - x1) * (x2 - x1) + (y - y1) * (y2 - y1)) / length, 0), 1) : 0;
  return Math.hypot(x - x1 - share * (x2 - x1), y - y1 - share * (y2 - y1)) < PEN;
});

// set(word, isHeld): isHeld while the pen is down. Gives [element, put].
export const drawingOf = ({side, examples}, id, label, set) => {
  let points = Array(side * side).fill(false);
  let at = null; // of the pen
  const canvas = make('canvas', {id, width: side, height: side, role: 'img', 'aria-label': label, style: `width: ${side * SHOWN}px`});
  const paint = () => {
    const pen = canvas.getContext('2d');
    const image = pen.createImageData(side, side);
    points.forEach((point, place) => image.data.set(point ? [255, 255, 255, 255] : [16, 18, 24, 255], 4 * place));
    pen.putImageData(image, 0, 0);
  };
  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [side * (event.clientX - box.left) / box.width, side * (event.clientY - box.top) / box.height];
  };
  const to = (next) => {
    points = stroke(points, side, at ?? next, next);
    at = next;
    paint();
    set(wordOf(points), true);
  };
  canvas.addEventListener('pointerdown', (event) => {
    if (event.button) return;
    canvas.setPointerCapture(event.pointerId);
    event.preventDefault();
    to(place(event));
  });
  canvas.addEventListener('pointermove', (event) => { if (at) to(place(event)); });
  for (const type of ['pointerup', 'pointercancel']) {
    canvas.addEventListener(type, () => {
      if (!at) return;
      at = null;
      set(wordOf(points), false);
    });
  }
  const put = (word) => {
    if (at || word.length !== side * side / 4) return;
    points = pointsOf(word);
    paint();
  };
  const clear = button(t('draw_clear'), t('draw_clear'), () => set('0'.repeat(side * side / 4), false));
  const row = make('span', {class: 'examples', role: 'group', 'aria-label': t('draw_examples')}, make('span', {class: 'why'}, t('draw_examples')),
    ...examples.map((word, digit) => button(String(digit), t('draw_example', {digit}), () => set(word, false))));
  return [make('div', {class: 'drawing'}, canvas, clear, row), put];
};
