// Words with a dotted line: a button each, which opens what the word means beside it. One is open at a time; Escape, a
// click beside it and moving on with Tab close it. The page stays where it is.
import {make} from './dom.js';
import {textsOf} from './texts.js';

const t = textsOf('glossary');
const MARGIN = 8; // px kept free to the sides of the window
const PLACE = 'glossary'; // id of what opens
const TEXT = 'glossary-text'; // and of what stands in it: it describes the word

let asked = null; // the button whose meaning is open
let note = null; // where it stands; made at the first use
let watch = null;

const isShown = () => asked !== null;

// Below the word, above it where there is no room below; within the window.
const place = () => {
  if (!isShown()) return;
  const word = asked.getBoundingClientRect();
  if (!asked.isConnected || word.bottom < 0 || word.top > innerHeight) {
    close();
    return;
  }
  const {offsetWidth: width, offsetHeight: height} = note;
  const fits = word.bottom + 4 + height <= innerHeight - MARGIN;
  note.style.left = `${Math.max(MARGIN, Math.min(word.left, innerWidth - width - MARGIN))}px`;
  note.style.top = `${fits ? word.bottom + 4 : Math.max(MARGIN, word.top - 4 - height)}px`;
};

const isOutside = ({target}) => !asked.contains(target) && !note.contains(target);
const onPointer = (event) => { if (isOutside(event)) close(); };
const onKey = (event) => {
  if (event.key !== 'Escape') return;
  event.stopPropagation(); // it closes the meaning, not what lies under it
  event.preventDefault();
  const word = asked;
  close();
  word.focus({preventScroll: true});
};
const onLeave = ({relatedTarget}) => { if (!note.contains(relatedTarget)) close(); };

const listen = (act) => {
  document[act]('pointerdown', onPointer, true);
  document[act]('keydown', onKey, true);
  window[act]('scroll', place, true);
  window[act]('resize', place);
};

const close = () => {
  if (!isShown()) return;
  listen('removeEventListener');
  watch.disconnect();
  asked.removeEventListener('focusout', onLeave);
  asked.setAttribute('aria-expanded', 'false');
  asked.removeAttribute('aria-describedby');
  asked = null;
  note.hidePopover?.();
  note.hidden = true;
};

const makeNote = () => {
  const node = make('div', {id: PLACE, role: 'note', 'aria-label': t('popover'), 'aria-live': 'polite', tabindex: -1,
    popover: 'manual', hidden: true}); // in the top layer, where no card cuts it off
  (document.querySelector('.gradio-container') ?? document.body).append(node);
  return node;
};

const open = (word, key) => {
  close();
  note ??= makeNote();
  asked = word;
  note.hidden = false;
  note.showPopover?.();
  note.replaceChildren(make('div', {id: TEXT}, make('strong', {}, t(`${key}.term`)), make('p', {}, t(`${key}.text`))));
  word.setAttribute('aria-expanded', 'true');
  word.setAttribute('aria-describedby', TEXT);
  word.addEventListener('focusout', onLeave);
  watch ??= new MutationObserver(place); // a panel that is drawn anew takes its words along
  watch.observe(document.body, {childList: true, subtree: true});
  listen('addEventListener');
  place();
};

// A word that opens its meaning; key: in the glossary.
export const term = (key, text) => {
  if (!t.has(`${key}.text`)) return text;
  const word = make('button', {type: 'button', class: 'term', 'aria-expanded': 'false'}, text);
  word.addEventListener('click', (event) => {
    event.preventDefault(); // within a label it would press what is labelled
    if (asked === word) close();
    else open(word, key);
  });
  return word;
};

// The parts of a text, as t.parts gives them, with its marked words as such buttons.
export const termed = (parts) => {
  const all = document.createDocumentFragment();
  all.append(...parts.map(({text, term: key}) => key ? term(key, text) : text));
  return all;
};

// Shows such a text in a node; the same text again changes nothing, so that an open meaning stays open.
const shown = new WeakMap();
export const showTerms = (node, parts) => {
  const text = JSON.stringify(parts);
  if (shown.get(node) === text) return;
  shown.set(node, text);
  node.replaceChildren(termed(parts));
};
