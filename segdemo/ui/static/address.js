// The only place that reads and writes the address of the page. One gesture of the visitor makes at most one step of the
// browser's history; whatever follows from it, or changes as long as a key or a button is held, replaces that step.

// What the address calls a network: one that the visitor brought is theirs alone, and its name is nobody else's to know.
const openly = (key, value) => (key === 'network' && value.startsWith('own-') ? 'own' : value);

// The address after changes to its parameters; null removes one.
export const changed = (href, changes) => {
  const url = new URL(href);
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === undefined) url.searchParams.delete(key);
    else url.searchParams.set(key, openly(key, String(value)));
  }
  return url.href;
};

// Whether an address names another run, or another stage, than another one.
const OF_A_RUN = ['network', 'example', 'side', 'step', 'stage'];
export const isOtherRun = (href, other) => {
  const [here, there] = [href, other].map((one) => new URL(one).searchParams);
  return OF_A_RUN.some((name) => here.get(name) !== there.get(name));
};

// A list in one parameter: names with commas in between, those in a name behind a backslash.
export const listed = (names) => (names.length ? names.map((name) => name.replace(/[\\,]/g, '\\$&')).join(',') : null);
export const unlisted = (words) => (words ? words.match(/(?:\\.|[^\\,])+/gs) ?? [] : []).map((name) => name.replace(/\\(.)/gs, '$1'));

export const read = (name) => new URL(location.href).searchParams.get(name);

// The visitor's own picture, {path, name}, is no part of a link, but of the step of the history.
export const photo = () => history.state?.photo ?? null;

let gesture = false; // one was made, and nothing has changed since
let here = ''; // the address, and its picture, as last written or walked to
let pictured = '';

const note = () => { [here, pictured] = [location.href, photo()?.path ?? '']; };

const write = (href, state, push) => {
  if (href === location.href && JSON.stringify(state) === JSON.stringify(history.state ?? {})) return;
  if (push) history.pushState(state, '', href);
  else history.replaceState(state, '', href);
  note();
};

// What follows from something else.
export const follow = (changes) => write(changed(location.href, changes), {...history.state}, false);

// What the visitor did; picture: of one's own, or null, where it is about that.
export const change = (changes, picture = photo()) => {
  const before = JSON.stringify([location.href, photo()]);
  const another = picture && picture.path !== photo()?.path; // chosen in a window of the browser's own
  write(changed(location.href, changes), {...history.state, photo: picture}, gesture || another);
  if (before !== JSON.stringify([location.href, photo()])) gesture = false;
};

// Loads the page anew; a picture of one's own stays.
export const go = (changes) => {
  follow(changes);
  location.reload();
};

// Calls act(isOther) after each step back or forward; isOther: it leads to another run, stage or picture.
export const listenToWalks = (act) => { walkers.push(act); };
const walkers = [];

const walk = () => {
  const lang = new URL(here).searchParams.get('lang'); // the page stays in its language
  history.replaceState(history.state, '', changed(location.href, {lang}));
  const isOther = isOtherRun(here, location.href) || pictured !== (photo()?.path ?? '');
  note();
  for (const act of walkers) act(isOther);
};

if (globalThis.window) {
  note();
  window.addEventListener('popstate', walk);
  const made = (event) => { if (event.isTrusted && !event.repeat) gesture = true; };
  for (const type of ['pointerdown', 'keydown', 'drop', 'paste']) window.addEventListener(type, made, true);
}
