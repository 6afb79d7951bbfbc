// What a careless hook records of a layer, beside the truth, and how many layers of this network it gets wrong.
import {make} from '../static/dom.js';
import {lostNote} from '../static/files.js';
import {figures, percent} from '../static/numbers.js';
import {ask} from '../static/server.js';
import {textsOf} from '../static/texts.js';
import {choice, newest, python, scaleText, whenSeen} from '../static/why.js';

const t = textsOf('honest');

export function mount({element, props, server, watch}) {
  const card = element.querySelector('.why-card');
  const turns = newest();
  const form = make('div', {class: 'why-form'});
  const out = make('div', {class: 'why-body', 'aria-live': 'polite'});
  card.append(make('h3', {}, t('title')), make('p', {class: 'intro'}, t('intro')), form, out);
  let run = null;

  const one = (words, map) => make('figure', {}, make('img', {class: 'plain', src: map.src, alt: words}), make('figcaption', {}, words,
    make('small', {}, t('range', {range: figures(map.low, map.high).join(' … ')})), make('small', {}, scaleText(map.scale))));

  const compare = async (layer) => {
    const needed = turns.begin();
    out.replaceChildren(make('p', {class: 'note'}, t('working')));
    try {
      const found = await ask(server.compare, {run, layer});
      if (!needed()) return;
      const words = found.wrong > 0 ? t(found.by ? 'lies_by' : 'lies', {layer: found.layer, kind: found.kind, share: percent(found.wrong), by: found.by})
        : t('right', {layer: found.layer, kind: found.kind});
      out.replaceChildren(make('p', {class: found.wrong > 0 ? 'banner' : 'verdict'}, words), make('div', {class: 'figures'},
        one(t('naive', {channel: found.channel}), found.naive), one(t('truth', {channel: found.channel}), found.truth)),
      make('pre', {}, `# ${t('line_naive')}\n${found.lines.naive}\n\n# ${t('line_honest')}\n${found.lines.honest}`), python(found.python));
      out.dataset.layer = found.layer;
    } catch (error) {
      if (needed()) out.replaceChildren(make('p', {class: 'note'}, ...lostNote(error, t('lost'), () => compare(layer))));
    }
  };

  const show = async () => {
    const needed = turns.begin();
    run = props.value && {...props.value};
    form.replaceChildren();
    out.replaceChildren(make('p', {class: 'note'}, t(run ? 'working' : 'no_run')));
    if (!run) return;
    try {
      const found = await ask(server.count, {run});
      if (!needed()) return;
      const wrong = found.wrong.map(({layer, kind}) => [layer, `${layer} · ${kind} · ${t('overwritten')}`]);
      const known = new Set(found.wrong.map(({layer}) => layer));
      const others = found.stages.filter((layer) => !known.has(layer)).map((layer) => [layer, layer]);
      const {select, node} = choice(t('layer'), [...wrong, ...others], '');
      select.addEventListener('change', () => compare(select.value));
      form.replaceChildren(make('p', {class: 'verdict'}, t(wrong.length ? 'count' : 'count_none', {wrong: wrong.length, layers: found.layers})), node);
      await compare(select.value);
    } catch (error) {
      if (needed()) out.replaceChildren(make('p', {class: 'note'}, ...lostNote(error, t('lost'), show)));
    }
  };
  const changed = whenSeen(element, show);
  watch('value', changed);
  changed();
}
