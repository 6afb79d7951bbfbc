// Below the menu of networks: any other by its name, official weights, and what was guessed, to be said otherwise.
import {change} from '../static/address.js';
import {make, uniqueName} from '../static/dom.js';
import {ask} from '../static/server.js';
import {textsOf} from '../static/texts.js';

const t = textsOf('choosing');
const PAUSE = 250; // ms after the last key before names are looked for
const LOOK = 500; // ms between two looks at a download
const OFFICIAL = 'weights=official';
const PRESETS = {
  imagenet: ['0.485, 0.456, 0.406', '0.229, 0.224, 0.225'],
  half: ['0.5, 0.5, 0.5', '0.5, 0.5, 0.5'],
  plain: ['0, 0, 0', '1, 1, 1'],
};

const baseOf = (name) => name.split('?')[0];
const isOfficial = (name) => (name.split('?')[1] ?? '').split('&').includes(OFFICIAL);
const numbersText = (numbers) => numbers.map((number) => String(+number.toFixed(4))).join(', ');

export function mount({element, props, server, trigger, watch}) {
  const find = (name) => element.querySelector(name);
  let turn = 0; // of the network on show
  let looks = Date.now(); // each look at a download is another question

  const open = (name) => {
    change({network: name, side: null, step: null, stage: null, channel: null, sheet: null});
    trigger('open', {index: 0, value: name});
  };

  // ---- any network of a library, by its name

  let searched = 0;
  const search = async () => {
    const mine = ++searched;
    find('.trouble').textContent = '';
    try {
      const {names, libraries} = await ask(server.search, {words: find('.search input').value});
      if (mine !== searched) return;
      find('.found').replaceChildren(...names.map((name) => {
        const entry = make('button', {type: 'button', 'data-network': name}, name);
        entry.addEventListener('click', () => open(name));
        return make('li', {}, entry);
      }));
      if (!names.length) find('.trouble').textContent = t('none', {libraries: libraries.join(', ')});
      element.dataset.found = String(mine);
    } catch (error) {
      if (mine === searched) find('.trouble').textContent = error.message;
    }
  };
  let waiting = 0;
  find('.search input').addEventListener('input', () => {
    clearTimeout(waiting);
    waiting = setTimeout(search, PAUSE);
  });
  find('.search input').addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return;
    event.preventDefault();
    find('.found button')?.click();
  });
  find('.search').addEventListener('toggle', () => { if (find('.search').open && !searched) search(); });

  // ---- official weights

  const showOfficial = async (name, offered, fetching = false) => {
    const mine = turn;
    const part = find('.official');
    part.hidden = !offered;
    if (!offered) return;
    const [press, bar, words] = ['.fetch', 'progress', '.state'].map(find);
    try {
      const state = await ask(server.official, {network: name, fetch: fetching, look: ++looks});
      if (mine !== turn) return;
      press.hidden = state.running || isOfficial(name) && state.there;
      press.textContent = t(state.there ? 'official_use' : 'official_fetch', {megabytes: Math.round(state.megabytes)});
      press.onclick = () => {
        if (state.there) open(`${baseOf(name)}?${OFFICIAL}`);
        else showOfficial(name, true, true);
      };
      bar.hidden = !state.running;
      if (state.total) Object.assign(bar, {max: state.total, value: state.done});
      words.textContent = state.trouble ?? (state.running ? t('official_running', {
        done: (state.done / 1e6).toFixed(0), total: state.total ? (state.total / 1e6).toFixed(0) : '?',
      }) : isOfficial(name) && state.there ? t('official_on') : '');
      words.classList.toggle('wrong', Boolean(state.trouble));
      if (state.running) setTimeout(() => { if (mine === turn) showOfficial(name, true); }, LOOK);
      else if (state.there && (fetching || part.dataset.running === 'true')) open(`${baseOf(name)}?${OFFICIAL}`);
      part.dataset.running = String(state.running);
    } catch (error) {
      if (mine !== turn) return;
      words.textContent = error.message;
      words.classList.add('wrong');
    }
  };

  // ---- what was guessed, or said in place of a guess

  const labelled = (key, guessed, control) => {
    const id = uniqueName('said');
    control.id = id;
    control.dataset.key = key;
    return make('div', {class: guessed ? 'field guessed' : 'field'},
      make('label', {for: id}, guessed ? `⚠ ${t(key)}` : t(key)), control);
  };
  const choice = (options, value) => {
    const control = make('select', {}, ...options.map(([key, words]) => make('option', {value: key}, words)));
    control.value = value;
    return control;
  };

  const fill = (name, now) => {
    const said = Object.fromEntries(now.said);
    const changed = Object.keys(said).some((key) => key !== 'weights');
    const part = find('.said');
    part.hidden = !now.keys.includes('size');
    if (part.hidden) return;
    find('.said summary').textContent = t(now.guesses.length ? 'said_guessed' : changed ? 'said_changed' : 'said');
    part.classList.toggle('guessed', now.guesses.length > 0);
    const guessed = (key) => now.guesses.includes(key);
    const [mean, std] = [now.mean, now.std].map(numbersText);
    const preset = Object.keys(PRESETS).find((key) => PRESETS[key][0] === mean && PRESETS[key][1] === std) ?? 'own';
    const fields = {
      size: make('input', {type: 'text', inputmode: 'numeric', value: now.size}),
      mean: make('input', {type: 'text', value: mean}),
      std: make('input', {type: 'text', value: std}),
      classes: make('textarea', {rows: 3}, now.classes.length > 100 ? '' : now.classes.join(', ')),
      ending: choice(['logits', 'shares'].map((key) => [key, t(`ending_${key}`)]), now.ending),
      output: choice([...(now.output ? [] : [['', t('output_any')]]),
        ...now.outputs.map(([leaf, shape, task]) => [leaf, `${leaf} ${shape.join(' × ')} · ${t(`task_${task}`)}`])], now.output),
    };
    const before = Object.fromEntries(Object.entries(fields).map(([key, field]) => [key, field.value]));
    const presets = choice([...Object.keys(PRESETS), 'own'].map((key) => [key, t(`preset_${key}`)]), preset);
    presets.addEventListener('change', () => {
      if (PRESETS[presets.value]) [fields.mean.value, fields.std.value] = PRESETS[presets.value];
    });
    const trouble = make('p', {class: 'trouble', role: 'alert'});
    const apply = make('button', {type: 'submit', class: 'apply'}, t('apply'));
    const reset = make('button', {type: 'button', class: 'reset', hidden: !changed}, t('reset'));
    reset.addEventListener('click', () => open(baseOf(name) + (isOfficial(name) ? `?${OFFICIAL}` : '')));
    const form = find('.said form');
    form.replaceChildren(
      labelled('size', guessed('size'), fields.size), labelled('preset', guessed('normalisation'), presets),
      labelled('mean', guessed('normalisation'), fields.mean), labelled('std', guessed('normalisation'), fields.std),
      labelled('classes', guessed('classes'), fields.classes), labelled('ending', guessed('ending'), fields.ending),
      ...(now.outputs.length ? [labelled('output', guessed('output'), fields.output)] : []),
      make('div', {class: 'ends'}, apply, reset), trouble);
    form.onsubmit = async (event) => {
      event.preventDefault();
      const wanted = {...said};
      for (const [key, field] of Object.entries(fields)) if (field.value !== before[key]) wanted[key] = field.value.trim();
      // As another output has other classes, and a mean is guessed with its deviation.
      if (wanted.output !== said.output && fields.classes.value === before.classes) delete wanted.classes;
      for (const [one, other] of [['mean', 'std'], ['std', 'mean']]) if (one in wanted) wanted[other] ??= fields[other].value;
      const words = new URLSearchParams(wanted).toString();
      trouble.textContent = '';
      try {
        const asked = words ? `${baseOf(name)}?${words}` : baseOf(name);
        await ask(server.said, {network: asked});
        if (asked !== name) open(asked);
      } catch (error) {
        trouble.textContent = error.message;
      }
    };
  };

  const show = async () => {
    const [name, mine] = [props.value, ++turn];
    find('.official').dataset.running = 'false';
    if (!name) return;
    try {
      const now = await ask(server.said, {network: name});
      if (mine !== turn) return;
      fill(name, now);
      await showOfficial(name, now.keys.includes('weights'));
    } catch (error) {
      console.warn(error);
    }
    if (mine === turn) element.dataset.ready = name;
  };

  for (const node of element.querySelectorAll('[data-text]')) node.textContent = t(node.dataset.text);
  for (const node of element.querySelectorAll('[data-label]')) node.setAttribute('aria-label', t(node.dataset.label));
  watch('value', show);
  show();
}
