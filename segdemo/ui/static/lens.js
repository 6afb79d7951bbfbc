// Zooming and panning by wheel, fingers and keys. All lenses of the page share one view of the picture.
import {WHOLE, cellsIn, originOf, panned, showing, toPlace, toScreen, zoomed} from './zoom.js';

const LEAST = 28; // CSS pixels of a cell whose value is written in it
const SLACK = 4; // CSS pixels that a pointer may move between press and release of a click

let view = WHOLE;
let told = false;
const lenses = new Set();

const look = (next) => {
  if (next === view) return;
  view = next;
  if (told) return;
  told = true;
  requestAnimationFrame(() => {
    told = false;
    for (const draw of lenses) draw();
  });
};

// Shows the whole of another picture.
export const showWhole = () => look(WHOLE);

// Makes a stage a lens: its scene is magnified. frame() gives {extent, size} as zoom.js has them, or null where there is
// nothing to zoom; drawn(view, frame) draws what is not magnified; spot() gives the place that keys zoom about, or null.
export const lens = ({stage, scene, frame, drawn, spot = () => null}) => {
  const fingers = new Map(); // id of a pointer that is down → where, in the stage
  let dragged = false; // since the press: no click follows
  let pressed = [0, 0];

  const at = (event) => {
    const box = stage.getBoundingClientRect();
    return [event.clientX - box.left - stage.clientLeft, event.clientY - box.top - stage.clientTop];
  };
  const draw = () => {
    const here = frame();
    if (!here) {
      scene.style.transform = '';
      return;
    }
    const [left, top] = originOf(view, here);
    scene.style.transform = view.zoom === 1 ? '' : `translate(${-left}px, ${-top}px) scale(${view.zoom})`;
    stage.style.touchAction = view.zoom > 1 ? 'none' : 'pan-y';
    stage.dataset.zoom = view.zoom.toFixed(3);
    drawn(view, here);
  };
  const middle = () => [...fingers.values()].reduce(([x, y], [u, v]) => [x + u / fingers.size, y + v / fingers.size], [0, 0]);
  const spread = () => {
    const [a, b] = [...fingers.values()];
    return b ? Math.hypot(a[0] - b[0], a[1] - b[1]) : 1;
  };

  stage.addEventListener('wheel', (event) => {
    const here = frame();
    const factor = Math.exp(-event.deltaY * (event.deltaMode ? 16 : 1) * (event.ctrlKey ? 0.01 : 0.002));
    if (!here || (view.zoom === 1 && factor < 1 && !event.ctrlKey)) return; // the page scrolls
    event.preventDefault();
    look(zoomed(view, here, factor, at(event)));
  }, {passive: false});
  stage.addEventListener('pointerdown', (event) => {
    if (event.button || event.target.closest('.divider')) return;
    fingers.set(event.pointerId, at(event));
    [dragged, pressed] = [fingers.size > 1, at(event)];
  });
  // On the window: a drag goes on beyond the stage, and a release there ends it.
  addEventListener('pointermove', (event) => {
    const here = fingers.has(event.pointerId) && frame();
    if (!here) return;
    const [before, wide] = [middle(), spread()];
    fingers.set(event.pointerId, at(event));
    const after = middle();
    if (Math.hypot(after[0] - pressed[0], after[1] - pressed[1]) > SLACK) dragged = true;
    if (!dragged) return;
    const moved = panned(view, here, [after[0] - before[0], after[1] - before[1]]);
    look(fingers.size > 1 ? zoomed(moved, here, spread() / wide, after) : view.zoom > 1 ? moved : view);
  });
  for (const type of ['pointerup', 'pointercancel']) addEventListener(type, (event) => fingers.delete(event.pointerId));
  stage.addEventListener('keydown', (event) => {
    const here = frame();
    const factor = {'+': 1.5, '=': 1.5, '-': 1 / 1.5, _: 1 / 1.5}[event.key];
    if (!here || event.ctrlKey || event.metaKey || event.altKey || (!factor && event.key !== '0')) return;
    event.preventDefault();
    const place = spot();
    const fixed = place ? toScreen(view, here, place) : here.size.map((side) => side / 2);
    look(factor ? zoomed(view, here, factor, fixed) : WHOLE);
  });
  new ResizeObserver(draw).observe(stage);
  lenses.add(draw);

  return {
    draw,
    // Whether the press before a click moved what is seen: no place is meant then.
    get dragged() { return dragged; },
    get dragging() { return fingers.size > 0 && dragged; },
    placeAt: (screen) => toPlace(view, frame(), screen),
    placeOf: (event) => { const here = frame(); return here && toPlace(view, here, at(event)); },
    screenOf: (place) => { const here = frame(); return here && toScreen(view, here, place); },
    reveal: (place) => { const here = frame(); if (here && view.zoom > 1) look(showing(view, here, place)); },
  };
};

// Writes into every cell in view, once it is large enough. grid: [columns, rows] over an extent; lines(column, row, fits):
// what to write, where fits(text) says whether a text has room.
export const writeCells = (canvas, here, frame, grid, extent, lines) => {
  const {ranges: [[left, right], [top, bottom]], cell} = cellsIn(here, frame, grid, extent);
  canvas.hidden = Math.min(...cell) < LEAST;
  if (canvas.hidden) return;
  const density = devicePixelRatio;
  [canvas.width, canvas.height] = frame.size.map((side) => Math.round(side * density));
  const pen = canvas.getContext('2d');
  pen.scale(density, density);
  const size = Math.min(13, Math.max(9, cell[0] / 6));
  Object.assign(pen, {font: `600 ${size}px ${getComputedStyle(canvas).fontFamily}`, textAlign: 'center', textBaseline: 'middle',
    lineWidth: 3, lineJoin: 'round', strokeStyle: 'rgb(0 0 0 / 80%)', fillStyle: '#fff'});
  const fits = (text) => pen.measureText(text).width <= cell[0] - 3;
  for (let row = top; row < bottom; row++) {
    for (let column = left; column < right; column++) {
      const [x, y] = toScreen(here, frame, [(column + 0.5) / grid[0] * extent[0], (row + 0.5) / grid[1] * extent[1]]);
      const texts = lines(column, row, fits);
      texts.forEach((text, index) => {
        const line = y + (index - (texts.length - 1) / 2) * (size + 2);
        pen.strokeText(text, x, line);
        pen.fillText(text, x, line);
      });
    }
  }
};
