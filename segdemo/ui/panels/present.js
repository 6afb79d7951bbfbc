// Present: what a teacher at a projector needs. Stages are picked in the figure as by a click; the training step is moved
// as by the hand. Nothing is asked of the server here.
import {textsOf} from '../static/texts.js';

const PAUSE = {play: 4000, train: 1500}; // ms that a stage, or a step of the training, stays on show
const PATIENCE = 60000; // ms to wait for what was picked

const all = (selector) => [...document.querySelectorAll(selector)];
const boxes = () => all('#figure .node:not(.mini)');
const slider = () => document.querySelector('#step input[type=range]');
const sheet = () => document.querySelector('#channels [data-ready]');
const own = 'input, select, textarea, canvas, [role=slider], [role=separator], [role=tab], [role=option], svg';

export function mount({element}) {
  const t = textsOf('present');
  const [start, steps, previous, place, next, play, train] =
    ['start', 'steps', 'previous', 'place', 'next', 'play', 'train'].map((name) => element.querySelector('.' + name));
  let playing = null; // 'play', 'train' or null
  let turn = 0; // grows with every start and stop: what waits for an older one gives up

  const isOn = () => document.body.classList.contains('presenting');
  const at = () => boxes().findIndex((box) => box.getAttribute('aria-pressed') === 'true');
  const show = () => {
    const there = boxes();
    const label = there[at()]?.dataset.label ?? '';
    place.textContent = label && t('place', {number: at() + 1, count: there.length, label});
    train.hidden = !slider();
    for (const [button, kind] of [[play, 'play'], [train, 'train']]) {
      button.setAttribute('aria-pressed', String(playing === kind));
      button.textContent = t(playing === kind ? 'pause' : kind);
    }
  };
  const pick = (index) => {
    boxes()[index]?.dispatchEvent(new MouseEvent('click', {bubbles: true}));
    show();
  };
  const step = (by) => pick((at() + by + boxes().length) % boxes().length);

  // Resolves when another answer stands in the channels, or when nothing waits for it any more.
  const arrival = (mine, before) => new Promise((resolve) => {
    const began = performance.now();
    const look = () => {
      const isNew = sheet()?.dataset.ready !== before && sheet()?.querySelector('.grid')?.getAttribute('aria-busy') === 'false';
      if (isNew || mine !== turn || performance.now() - began > PATIENCE) resolve();
      else setTimeout(look, 100);
    };
    look();
  });
  const rest = (time) => new Promise((resolve) => { setTimeout(resolve, time); });
  const stop = () => { turn++; playing = null; show(); };
  const run = async (kind, hasNext, forward) => {
    const mine = ++turn;
    playing = kind;
    show();
    while (mine === turn && hasNext()) {
      const before = sheet()?.dataset.ready;
      forward();
      await arrival(mine, before);
      if (mine === turn) await rest(PAUSE[kind]);
    }
    if (mine === turn) stop();
  };
  const moveTo = (value) => {
    slider().value = value;
    slider().dispatchEvent(new Event('input', {bubbles: true}));
  };
  const playStages = () => {
    if (at() === boxes().length - 1) pick(0);
    run('play', () => at() < boxes().length - 1, () => step(1));
  };
  const playTraining = () => {
    let isFirst = Number(slider().value) === Number(slider().max);
    run('train', () => isFirst || Number(slider().value) < Number(slider().max), () => {
      moveTo(isFirst ? slider().min : Number(slider().value) + 1);
      isFirst = false;
    });
  };

  const watcher = new MutationObserver(show);
  const present = (isWanted) => {
    stop();
    watcher.disconnect();
    // Whatever is picked, by whomever, is named; a figure drawn anew too.
    if (isWanted) watcher.observe(document.querySelector('#figure'), {subtree: true, childList: true, attributeFilter: ['aria-pressed']});
    document.body.classList.toggle('presenting', isWanted);
    steps.hidden = !isWanted;
    start.setAttribute('aria-pressed', String(isWanted));
    start.textContent = t(isWanted ? 'end' : 'start');
    if (isWanted) next.focus();
    else start.focus();
  };
  start.addEventListener('click', () => present(!isOn()));
  previous.addEventListener('click', () => { stop(); step(-1); });
  next.addEventListener('click', () => { stop(); step(1); });
  play.addEventListener('click', () => (playing === 'play' ? stop() : playStages()));
  train.addEventListener('click', () => (playing === 'train' ? stop() : playTraining()));
  document.addEventListener('keydown', (event) => {
    if (!isOn() || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === 'Escape') present(false);
    else if (event.target.closest?.(own)) return; // arrow keys mean something else there
    else if (event.key === 'ArrowRight' || event.key === 'PageDown') next.click();
    else if (event.key === 'ArrowLeft' || event.key === 'PageUp') previous.click();
    else return;
    event.preventDefault();
  });

  start.textContent = t('start');
  start.title = t('help');
  steps.setAttribute('aria-label', t('steps'));
  previous.setAttribute('aria-label', t('previous'));
  next.setAttribute('aria-label', t('next'));
  show();
}
