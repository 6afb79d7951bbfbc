// The pixel of the picture that every panel marks: the one under the pointer, or the one that is pinned.
// A pixel is [x, y] from the picture's top left; to the right of the picture or below it lies the padding of the batch.
import {change, read} from './address.js';

const NONE = {pixel: null, pinned: false, from: null};

let state = {picture: null, size: null, ...NONE}; // picture: its fingerprint; size: its own, [width, height]
let told = false; // the next frame tells all who listen
const listeners = new Set();

// The pixel that a word of the address names, null for any other word.
export const pixelFrom = (word) => /^\d{1,6},\d{1,6}$/.test(word ?? '') ? word.split(',').map(Number) : null;

export const isWithin = (pixel, size) => pixel[0] < size[0] && pixel[1] < size[1];

export const current = () => state;

// Calls a function with the state in the next frame after each change, however many there were.
export const follow = (act) => listeners.add(act);

const set = (changes) => {
  state = {...state, ...changes};
  if (told) return;
  told = true;
  requestAnimationFrame(() => {
    told = false;
    for (const act of listeners) act(state);
  });
};

// The page shows another run: what was pinned in another picture is let go, what the address names is pinned.
// renewed() is called when the picture is another one.
export const adopt = (picture, size, renewed) => {
  if (picture === state.picture) return;
  renewed();
  const first = state.picture === null;
  const asked = first ? pixelFrom(read('point')) : null;
  const pixel = asked && isWithin(asked, size) ? asked : null;
  if (!pixel) change({point: null});
  set({picture, size, ...NONE, pixel, pinned: Boolean(pixel)});
};

// Marks a pixel as long as none is pinned; null marks none. from: who says so.
export const hover = (picture, pixel, from) => {
  if (state.pinned || picture !== state.picture || (!pixel && !state.pixel)) return;
  set({pixel, from});
};

export const unpin = () => {
  if (!state.pinned) return;
  change({point: null});
  set(NONE);
};

// Pins a pixel, or lets it go if it is the pinned one, give or take a few. Of the padding nothing can be pinned.
export const pin = (picture, pixel, from, near = 0) => {
  if (picture !== state.picture || !isWithin(pixel, state.size)) return;
  const same = state.pinned && [0, 1].every((axis) => Math.abs(pixel[axis] - state.pixel[axis]) <= near);
  if (same && from !== 'keys') return unpin();
  change({point: pixel.join()});
  set({pixel, pinned: true, from});
};

// The pinned pixel of a picture, or null.
export const pinnedIn = (picture) => state.pinned && state.picture === picture ? state.pixel : null;

globalThis.document?.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && !event.defaultPrevented) unpin();
});
