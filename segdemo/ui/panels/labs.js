// The labs. Every control writes the snippet anew, and what is shown is what the snippet computes. The state of a lab
// stands in the address: lab=layers&lab.stride=2. What cannot be computed is said, and the last good state stays.
import {change, changed, follow, listenToWalks} from '../static/address.js';
import {button, make, saveFrom, uniqueName} from '../static/dom.js';
import {lostNote} from '../static/files.js';
import {ask, Refused} from '../static/server.js';
import {textsOf} from '../static/texts.js';
import {blockOf} from './labs_blocks.js';
import {drawingOf} from './labs_drawing.js';
import {patchView} from './labs_patch.js';
import {readingView} from './labs_reading.js';
import {registersView} from './labs_registers.js';
import {trainingView} from './labs_training.js';

const t = textsOf('labs');
const START = 'lab.';
const REST = 150; // ms without another move before what takes longer is asked for

// The text of a lab, or the one that all labs share.
export const textIn = (lab) => (key, values) =>
  t.has(`${lab}.${key}`) ? t(`${lab}.${key}`, values) : t.has(`any.${key}`) ? t(`any.${key}`, values) : '';

// {name, words, read} that an address names; read: the section of a tutorial.
export const stateOf = (href) => {
  const query = new URL(href).searchParams;
  const words = Object.fromEntries([...query].filter(([key]) => key.startsWith(START)).map(([key, word]) => [key.slice(START.length), word]));
  return {name: query.get('lab'), words, read: query.get('read')};
};

// What of an address changes with the state of a lab.
export const changesTo = (href, name, words) => {
  const changes = {lab: name};
  for (const key of new URL(href).searchParams.keys()) if (key.startsWith(START)) changes[key] = null;
  for (const [key, word] of Object.entries(words)) changes[START + key] = word;
  return changes;
};

// The cells of a kernel of another side: what fits around the middle stays.
export const resized = (cells, side) => {
  const before = Math.sqrt(cells.length);
  const shift = Math.floor(before / 2) - Math.floor(side / 2);
  return Array.from({length: side * side}, (_, index) => {
    const [row, column] = [Math.floor(index / side) + shift, index % side + shift];
    return row >= 0 && row < before && column >= 0 && column < before ? cells[row * before + column] : 0;
  });
};

const counts = (control, words) => Object.entries(control.when).every(([name, values]) => values.includes(words[name]));

export function mount({element, props, server, watch}) {
  const [cards, place, lost] = ['.cards', '.lab', '.lost'].map((one) => element.querySelector(one));
  let reading = null; // along a tutorial
  const done = new Set(); // tasks, as "lab.task"
  let labs = [];
  let lab = null; // the one on show
  let words = {}; // all of its settings
  let good = null; // settings of what is on show
  let parts = {};
  let asked = 0;
  let busy = false;
  let isOpen = false; // the tab is in sight

  const changedWords = () => Object.fromEntries(lab.controls.filter(({name, default: first}) => words[name] !== first)
    .map(({name}) => [name, words[name]]));
  const question = () => ({lab: lab.name, words: changedWords(), picture: props.value?.picture ?? null});

  // offer: {setting: word} that would mend it.
  const sayTrouble = (error, offer = {}) => {
    parts.trouble.hidden = false;
    parts.trouble.replaceChildren(error instanceof Refused ? error.message : t('lost'));
    for (const [name, word] of Object.entries(offer)) {
      const said = textIn(lab.name)(`offer.${name}`);
      parts.trouble.append(' ', button(said, said, () => set(name, word)));
    }
  };

  const show = (found) => {
    parts.trouble.hidden = true;
    parts.snippet.textContent = found.snippet;
    parts.save.onclick = () => saveFrom(found.picture, 'picture.png');
    parts.files.replaceChildren(...found.files.map((name) => button(t('save_file', {name}), t('save_file', {name}), () => saveFile(name))));
    const text = textIn(lab.name);
    const pointed = document.activeElement.closest('.blocks .map'); // who walks over a map stays on it
    const at = pointed && [pointed.closest('.block').dataset.block, pointed.dataset.map];
    parts.blocks.replaceChildren(...found.blocks.map((block) => blockOf(block, text, {input: found.picture})));
    if (parts.cells && found.cells) parts.cells.fill(found.cells);
    for (const name of lab.tasks) if (found.tasks[name]) done.add(`${lab.name}.${name}`);
    for (const [name, node] of Object.entries(parts.tasks)) node.dataset.done = String(done.has(`${lab.name}.${name}`));
    for (const [name, node] of Object.entries(parts.tasks)) node.querySelector('.mark').textContent = done.has(`${lab.name}.${name}`) ? '✓' : '○';
    parts.patch?.renew(parts.blocks, question());
    if (at) parts.blocks.querySelector(`[data-block=${at[0]}] [data-map="${at[1]}"]`)?.focus({preventScroll: true});
    parts.registers?.renew();
    parts.training?.renew(question());
    place.dataset.ready = String(asked);
  };

  const saveFile = async (name) => {
    try {
      saveFrom((await ask(server.file, {lab: lab.name, name})).url, name);
    } catch (error) {
      sayTrouble(error);
    }
  };

  // One question at a time; the newest settings are asked for last.
  const renew = async () => {
    asked++;
    if (busy) return;
    busy = true;
    try {
      for (let number = 0; number !== asked;) {
        number = asked;
        const [one, at] = [lab, {...words}];
        place.setAttribute('aria-busy', 'true');
        try {
          const asking = question();
          if (lab.quick) { // what needs no pass comes first
            const soon = await ask(server.answer, {...asking, quick: true});
            if (one === lab && number === asked) show(soon);
            if (number !== asked) continue;
          }
          if (lab.quick) {
            await new Promise((go) => { setTimeout(go, REST); });
            if (number !== asked) continue;
          }
          const found = await ask(server.answer, asking);
          if (one !== lab) continue;
          if (found.refused) { sayTrouble(new Refused(found.refused), found.offer); continue; }
          good = at;
          show(found);
        } catch (error) {
          if (one === lab) sayTrouble(error);
          if (one === lab && good === null && Object.keys(changedWords()).length) { // a wrong address
            words = Object.fromEntries(lab.controls.map(({name, default: first}) => [name, first]));
            const message = parts.trouble.textContent;
            refresh();
            try { show(await ask(server.answer, question())); good = {...words}; } catch { /* said already */ }
            parts.trouble.hidden = false;
            parts.trouble.textContent = message;
          }
        }
      }
    } finally {
      busy = false;
      place.setAttribute('aria-busy', 'false');
    }
  };

  const refresh = () => {
    for (const control of lab.controls) {
      parts.rows[control.name].hidden = !counts(control, words);
      parts.set[control.name](words[control.name]);
    }
  };

  // isHeld: a button is down, so that more is coming.
  const set = (name, word, isHeld = false) => {
    words[name] = word;
    if (name === 'kernel_size' && words.kernel === 'own') {
      words.weights = resized(words.weights.split('_').map(Number), Number(word)).join('_');
    }
    if (name === 'kernel' && word === 'own' && parts.cells) words.weights = parts.cells.read();
    if (name === 'weights' && 'kernel' in words) words.kernel = 'own';
    refresh();
    if (!isHeld) change(changesTo(location.href, lab.name, changedWords()));
    renew();
  };

  const inputOf = (control, id) => {
    const {name, kind} = control;
    if (kind === 'choice') {
      const text = textIn(lab.name);
      const node = make('select', {id}, ...control.options.map((word) => make('option', {value: word}, text(`option.${word}`) || word)));
      node.addEventListener('change', () => set(name, node.value));
      return [node, (word) => { node.value = word; }];
    }
    if (kind === 'switch') {
      const node = make('input', {id, type: 'checkbox'});
      node.addEventListener('change', () => set(name, node.checked ? '1' : '0'));
      return [node, (word) => { node.checked = word === '1'; }];
    }
    if (kind === 'cells') return cellsOf(name, id);
    if (kind === 'drawing') return drawingOf(control, id, textIn(lab.name)(`control.${name}`), (word, isHeld) => set(name, word, isHeld));
    const {least, most} = control;
    const typed = make('input', {id, type: 'text', inputmode: 'decimal', class: 'typed', autocomplete: 'off'});
    const slider = make('input', {type: 'range', min: least, max: most, step: kind === 'whole' ? 1 : 'any', tabindex: -1, 'aria-hidden': 'true'});
    typed.addEventListener('change', () => set(name, typed.value.trim()));
    slider.addEventListener('input', () => set(name, kind === 'whole' ? slider.value : String(Number(Number(slider.value).toFixed(2)))));
    return [make('span', {class: 'number'}, slider, typed), (word) => { slider.value = word; typed.value = word; }];
  };

  // The kernel, to be edited cell by cell.
  const cellsOf = (name, id) => {
    const node = make('div', {class: 'cells', id, role: 'group', 'aria-label': textIn(lab.name)(`control.${name}`)});
    const read = () => [...node.querySelectorAll('input')].map((input) => input.value.trim() || '0').join('_');
    const lay = (values) => {
      const side = Math.sqrt(values.length);
      if (node.childElementCount !== values.length) {
        node.style.setProperty('--side', side);
        node.replaceChildren(...values.map((_, index) => {
          const where = `${Math.floor(index / side) + 1}, ${index % side + 1}`;
          const input = make('input', {type: 'text', inputmode: 'decimal', autocomplete: 'off', 'aria-label': t('cell', {where})});
          input.addEventListener('change', () => set(name, read()));
          return input;
        }));
      }
      values.forEach((value, index) => {
        const input = node.children[index];
        if (input !== document.activeElement || input.value === '') input.value = String(value);
      });
    };
    parts.cells = {read, fill: (rows) => lay(rows.flat())};
    return [node, (word) => { if (words.kernel === 'own' || !('kernel' in words)) lay(word.split('_')); }];
  };

  const rowOf = (control) => {
    const text = textIn(lab.name);
    const id = uniqueName('lab-control');
    const [input, put] = inputOf(control, id);
    parts.set[control.name] = put;
    const label = text(`control.${control.name}`) || control.name;
    const why = text(`control.${control.name}.why`);
    const row = make('div', {class: 'control', 'data-name': control.name},
      ['cells', 'drawing'].includes(control.kind) ? make('span', {class: 'label'}, label) : make('label', {for: id}, label), input, make('p', {class: 'why'}, why));
    parts.rows[control.name] = row;
    return row;
  };

  const taskOf = (name) => {
    const text = textIn(lab.name);
    const node = make('li', {'data-task': name, 'data-done': 'false'}, make('span', {class: 'mark', 'aria-hidden': 'true'}, '○'), text(`task.${name}`),
      make('details', {}, make('summary', {}, t('hint')), text(`task.${name}.hint`)),
      make('p', {class: 'reason'}, text(`task.${name}.reason`)));
    parts.tasks[name] = node;
    return node;
  };

  const copy = async (text, node) => {
    await navigator.clipboard.writeText(text);
    node.textContent = t('copied');
    setTimeout(() => { node.textContent = t('copy'); }, 1500);
  };

  const lay = () => {
    const text = textIn(lab.name);
    parts = {rows: {}, set: {}, tasks: {}};
    parts.trouble = make('p', {class: 'trouble', role: 'alert', hidden: true});
    parts.snippet = make('code', {});
    const copier = button(t('copy'), t('copy'), () => copy(parts.snippet.textContent, copier));
    parts.save = make('button', {type: 'button'}, t('save_picture'));
    parts.files = make('span', {class: 'buttons'});
    parts.blocks = make('div', {class: 'blocks'});
    const controls = make('form', {class: 'controls', 'aria-label': t('controls')}, ...lab.controls.map(rowOf));
    controls.addEventListener('submit', (event) => event.preventDefault());
    const tasks = make('ol', {class: 'tasks'}, ...lab.tasks.map(taskOf));
    const first = button(t('reset'), t('reset'), () => open(lab.name, {}, true, reading.key()));
    const body = make('div', {class: 'body'}, parts.trouble, parts.blocks);
    if (lab.name === 'layers') {
      parts.patch = patchView(server, parts.blocks, sayTrouble);
      body.append(parts.patch.node);
    }
    if (lab.name === 'containers') {
      parts.registers = registersView(server, () => props.value?.run ?? null, sayTrouble);
      body.append(parts.registers.node);
    }
    if (lab.name === 'unet') {
      parts.training = trainingView(server, text, sayTrouble);
      body.append(parts.training.node);
    }
    body.append(make('section', {class: 'code'}, make('h4', {}, t('snippet')), make('p', {class: 'why'}, t('snippet_why')),
      make('pre', {tabindex: 0, role: 'region', 'aria-label': t('snippet')}, parts.snippet), make('p', {class: 'buttons'}, copier, parts.save, parts.files)),
    make('section', {class: 'try'}, make('h4', {}, t('try')), tasks));
    place.replaceChildren(make('h3', {}, t(lab.name)), make('p', {class: 'intro'}, text('intro')),
      make('div', {class: 'columns'}, make('div', {class: 'side'}, controls, first), body));
    place.hidden = false;
  };

  const open = (name, given = {}, write = false, read = null) => {
    lab = labs.find((one) => one.name === name) ?? labs[0];
    words = Object.fromEntries(lab.controls.map(({name: one, default: first}) => [one, first]));
    good = null;
    place.dataset.lab = lab.name;
    for (const one of cards.children) one.setAttribute('aria-pressed', String(one.dataset.lab === lab.name));
    lay();
    Object.assign(words, given);
    refresh();
    reading.show(read);
    if (write) change({...changesTo(location.href, lab.name, changedWords()), read: reading.key()});
    renew();
  };

  const start = async () => {
    lost.hidden = true;
    try {
      let paths;
      ({labs, paths} = await ask(server.labs, {}));
      reading = readingView(element.querySelector('.paths'), element.querySelector('.reading'), paths, {
        open: (section, key) => open(section.lab, section.words, true, key),
        leave: () => { reading.show(null); change({read: null}); },
        hrefOf: (section, key) => changed(location.href, {...changesTo(location.href, section.lab, section.words), read: key}),
      });
    } catch (error) {
      lost.hidden = false;
      lost.replaceChildren(...lostNote(error, '', start));
      return;
    }
    cards.setAttribute('aria-label', t('cards'));
    cards.replaceChildren(...labs.map(({name}) => {
      const card = make('button', {type: 'button', class: 'card', 'data-lab': name, 'aria-pressed': 'false'},
        make('strong', {}, t(name)), make('span', {}, t(`${name}.short`)));
      card.addEventListener('click', () => open(name, {}, true));
      return card;
    }));
    const {name, words: given, read} = stateOf(location.href);
    open(name, given, false, read);
    if (name !== null && name !== lab.name) {
      try { await ask(server.answer, {lab: name, words: {}}); } catch (error) { sayTrouble(error); }
    }
  };

  // The address names the lab as long as the tab is in sight.
  new IntersectionObserver((entries) => {
    const inSight = entries.at(-1).isIntersecting;
    if (inSight === isOpen) return;
    isOpen = inSight;
    if (!lab) { if (inSight) start(); return; }
    follow({...(inSight ? changesTo(location.href, lab.name, changedWords()) : changesTo(location.href, null, {})), read: inSight ? reading.key() : null});
  }).observe(element);
  listenToWalks(() => {
    const {name, words: given, read} = stateOf(location.href);
    if (lab && name) open(name, given, false, read);
  });
  watch('value', () => { if (lab) renew(); });
}
