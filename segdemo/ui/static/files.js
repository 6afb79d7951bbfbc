// Files of the server: asked for again when they fail or arrive broken, a few times with growing pauses.
import {make} from './dom.js';
import {Refused} from './server.js';
import {textsOf} from './texts.js';

const t = textsOf('files');
const PAUSES = [300, 900, 2700]; // ms before each new attempt
const GONE = [403, 404, 410]; // what the server has deleted, no pause brings back

export class Gone extends Error {}

const sleep = (duration) => new Promise((resolve) => setTimeout(resolve, duration));

// Does what `attempt` does until it succeeds. `needed` says whether anyone still waits for it.
// Rejects with the last error, at once where the server says that the file is gone.
export const persist = async (attempt, {pauses = PAUSES, needed = () => true, wait = sleep} = {}) => {
  for (let count = 0; ; count++) {
    try {
      return await attempt(count);
    } catch (error) {
      if (error instanceof Gone || count >= pauses.length || !needed()) throw error;
      await wait(pauses[count]);
      if (!needed()) throw error;
    }
  }
};

const fetched = async (url, count) => {
  // What has arrived broken may lie broken in the browser's memory.
  const answer = await fetch(url, count ? {cache: 'reload'} : {});
  if (GONE.includes(answer.status)) throw new Gone(`${answer.status} ${url}`);
  if (!answer.ok) throw new Error(`${answer.status} ${url}`);
  return answer.blob();
};

// The numbers in a file of 32-bit floats, little-endian, as every machine a browser runs on.
export const loadFloats = (url, options) => persist(async (count) => {
  return new Float32Array(await (await fetched(url, count)).arrayBuffer()); // refuses a number that is cut off
}, options);

// A picture as an <img>, decoded; its address is remembered by the browser, so that others that show it need no request.
export const loadPicture = (url, options) => persist(async (count) => {
  if (count) await fetched(url, count); // renews what the browser remembers, and tells what is gone
  const picture = make('img', {src: url});
  await picture.decode();
  return picture;
}, options);

// The pixels of a picture that carries numbers: none of its colours may be converted. Size: its own unless given.
export const loadPixels = (url, {width, height, ...options} = {}) => persist(async (count) => {
  const bitmap = await createImageBitmap(await fetched(url, count), {colorSpaceConversion: 'none', premultiplyAlpha: 'none'});
  const size = {width: width ?? bitmap.width, height: height ?? bitmap.height};
  const pen = Object.assign(document.createElement('canvas'), size).getContext('2d', {willReadFrequently: true});
  pen.imageSmoothingEnabled = false;
  pen.drawImage(bitmap, 0, 0, size.width, size.height);
  return {...size, pixels: new Uint32Array(pen.getImageData(0, 0, size.width, size.height).data.buffer)};
}, options);

// What the page says of what did not come, with a button to ask for it once more where that may help.
export const lostNote = (error, goneText, retry) => {
  const again = make('button', {type: 'button', class: 'again'}, t('again'));
  again.addEventListener('click', retry);
  if (error instanceof Refused) return [error.message];
  return [error instanceof Gone ? goneText : t('lost'), ' ', again];
};
