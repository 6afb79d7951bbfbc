// A checkpoint of the visitor's own: chosen or dropped, sent with a sign of how far it is, and what became of it.
import {change} from '../static/address.js';
import {make} from '../static/dom.js';
import {lostNote} from '../static/files.js';
import {whole} from '../static/numbers.js';
import {remember} from '../static/own.js';
import {Refused, ask} from '../static/server.js';
import {textsOf} from '../static/texts.js';

const t = textsOf('weights');
const MB = 1e6;

const endsAs = (name, endings) => endings.some((ending) => name.toLowerCase().endsWith(ending));

// Sends a file; told(share): how much of it has gone. The server says in words why it takes none.
const send = (file, told) => new Promise((resolve, reject) => {
  const request = new XMLHttpRequest();
  const form = new FormData();
  form.append('files', file, file.name);
  request.open('POST', new URL('gradio_api/upload', document.baseURI));
  request.upload.addEventListener('progress', ({loaded, total}) => told(loaded / Math.max(total, 1)));
  request.addEventListener('error', () => reject(new Refused(t('broken'))));
  request.addEventListener('load', () => {
    if (request.status === 200) resolve(JSON.parse(request.responseText)[0]);
    else if (request.status === 400) reject(new Refused(request.responseText));
    else reject(new Refused(t(request.status === 413 ? 'too_large_there' : 'broken')));
  });
  request.send(form);
});

export function mount({element, props, server, trigger, watch}) {
  const find = (place) => element.querySelector(place);
  const [input, drop, way, bar, said, wrong, report] =
    ['input', '.drop', '.way', 'progress', '.said', '.wrong', '.report'].map(find);
  const {bytes, endings, mine, networks, kept} = props.bounds;
  let busy = false;
  let asked = 0;
  let shown = null; // the network whose report stands here

  for (const place of element.querySelectorAll('[data-text]')) place.textContent = t(place.dataset.text);
  find('.hint summary').textContent = t('short', {most: bytes / MB});
  find('.hint p').textContent = t('hint', {mine, networks, kept: kept >> 20});
  input.accept = endings.join();
  bar.setAttribute('aria-label', t('way'));

  const complain = (sentence) => {
    wrong.textContent = sentence;
    wrong.hidden = !sentence;
    said.textContent = '';
    element.dataset.ready = sentence ? 'refused' : 'true';
  };
  const told = (share) => {
    bar.value = share;
    said.textContent = share < 1 ? t('sending', {percent: Math.floor(100 * share)}) : t('reading');
  };
  const take = async (file) => {
    if (busy) return;
    complain('');
    if (!endsAs(file.name, endings)) complain(t('no_weights', {name: file.name.slice(-60), endings: endings.join(', ')}));
    else if (file.size > bytes) complain(t('too_large', {name: file.name.slice(-60), size: whole(Math.ceil(file.size / MB)), most: bytes / MB}));
    else await bring(file);
  };
  const bring = async (file) => {
    busy = true;
    element.dataset.ready = 'busy';
    way.hidden = false;
    try {
      told(0);
      const path = await send(file, told);
      told(1);
      const {network, title} = await ask(server.bring, {path, name: file.name});
      remember(network, title);
      change({network: 'own', side: null, step: null, stage: null, channel: null, sheet: null});
      trigger('brought', {index: 0, value: network});
      said.textContent = t('done', {title});
      await show(network);
    } catch (error) {
      complain(error instanceof Refused ? error.message : t('broken'));
    }
    way.hidden = true;
    busy = false;
  };

  const row = ({fate, count, names}) => {
    const more = count > names.length ? [make('li', {}, t('more', {count: whole(count - names.length)}))] : [];
    const list = make('ul', {}, ...names.map((name) => make('li', {}, make('code', {}, name))), ...more);
    const details = count ? make('details', {}, make('summary', {}, t('names')), list) : '–';
    return make('tr', {class: count && ['missing', 'mismatched'].includes(fate) ? 'random' : '', 'data-fate': fate},
      make('th', {scope: 'row'}, t(fate), make('small', {}, t(`${fate}_long`))), make('td', {class: 'number'}, whole(count)),
      make('td', {}, details));
  };
  const notes = ({trained, stages, others, not_finite: infinite}) => [
    make('p', {class: trained ? 'verdict' : 'verdict random'}, t(trained ? 'complete' : 'incomplete')),
    ...(stages.length ? [make('p', {}, t('stages', {stages: stages.join(t('comma'))}))] : []),
    ...(others.length ? [make('p', {}, t('others', {others: others.join(t('comma'))}))] : []),
    ...(infinite ? [make('p', {}, t('infinite', {count: whole(infinite)}))] : []),
  ];
  async function show(network) {
    const mine_ = ++asked;
    let content = [];
    if (network) {
      try {
        const found = await ask(server.report, {network});
        const head = make('tr', {}, ...['fate', 'count', 'tensors'].map((key) => make('th', {scope: 'col'}, t(key))));
        content = [make('h4', {}, t('report', {file: found.file, title: found.title})), ...notes(found),
          make('table', {}, make('thead', {}, head), make('tbody', {}, ...found.fates.map(row)))];
      } catch (error) {
        content = lostNote(error, '', () => show(network));
      }
    }
    if (mine_ !== asked) return;
    shown = network;
    report.replaceChildren(...content);
    report.hidden = !network;
    if (network || !busy) element.dataset.ready = network || 'true';
  }

  find('.choose').addEventListener('click', () => input.click());
  input.addEventListener('change', () => {
    const [file] = input.files;
    input.value = ''; // the same may be chosen again
    if (file) take(file);
  });
  // Wherever it is dropped: before the page takes it for a picture.
  window.addEventListener('drop', (event) => {
    const files = [...event.dataTransfer?.files ?? []];
    const file = files.find(({name}) => endsAs(name, endings)) ?? (drop.contains(event.target) ? files[0] : null);
    if (!file) return;
    event.preventDefault();
    if (!element.closest('#controls').classList.contains('open')) document.querySelector('#chosen .opener').click();
    take(file);
  }, true);
  const follow = () => {
    const network = props.value?.network ?? null;
    if (busy || network === shown) return;
    complain('');
    show(network);
  };
  watch('value', follow);
  element.dataset.ready = 'true';
  follow();
}
