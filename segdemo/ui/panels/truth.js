// Ground truth beside the segmentation, and an error map: what the network says too much, and what it misses.
import {classText} from '../static/classes.js';
import {toPixel} from '../static/colours.js';
import {make} from '../static/dom.js';
import {loadPicture, loadPixels, lostNote} from '../static/files.js';
import {linked} from '../static/linked.js';
import {ask} from '../static/server.js';
import {swatch} from '../static/scales.js';
import {textsOf} from '../static/texts.js';
import {choice, newest, python} from '../static/why.js';

const t = textsOf('truth');
const IGNORED = 255; // label of what is not scored
const ALL = '';

export function mount({element, props, server, watch}) {
  const card = element.querySelector('.why-card');
  const turns = newest();
  const head = make('div', {class: 'why-form'});
  const [truth, errors] = ['truth', 'errors'].map((key) => linked(t('view.' + key), 'truth'));
  const figures = make('div', {class: 'figures two'}, ...[[truth, 'truth'], [errors, 'errors']].map(([{stage}, key]) =>
    make('figure', {}, stage, make('figcaption', {}, t('view.' + key)))));
  const key = make('p', {class: 'key'});
  const rest = make('div', {});
  card.append(make('h3', {}, t('title')), head, figures, key, rest);
  let shown = null;
  let of = ALL; // name of the class whose errors are drawn

  const paintErrors = () => {
    const {labels, classes, photo, size} = shown;
    const index = classes.findIndex(({name}) => name === of);
    const [wrong, extra, missed, ignored] = ['wrong', 'extra', 'missed', 'ignored'].map((name) => toPixel(shown.colours[name]));
    const pixels = labels.pixels.map((label) => {
      const [is, given] = [label & 255, label >>> 8 & 255];
      if (is === IGNORED) return ignored;
      if (is === given) return 0;
      if (index < 0) return wrong;
      return given === index ? extra : is === index ? missed : 0;
    });
    errors.show({photo: photo.url, width: labels.width, height: labels.height, pixels, opacity: 0.85, picture: shown.run.picture, size});
    const names = index < 0 ? ['wrong', 'ignored'] : ['extra', 'missed', 'ignored'];
    key.replaceChildren(...names.flatMap((name) => [swatch(shown.colours[name]), ` ${t('key.' + name, {name: classText(of)})}  `]));
  };
  const paint = () => {
    const {labels, classes, photo, size, run} = shown;
    const colours = classes.map(({colour, hidden}) => hidden ? 0 : toPixel(colour));
    const grey = toPixel(shown.colours.ignored);
    const pixels = labels.pixels.map((label) => (label & 255) === IGNORED ? grey : colours[label & 255]);
    truth.show({photo: photo.url, width: labels.width, height: labels.height, pixels, picture: run.picture, size});
    const scored = classes.filter(({iou}) => iou !== null);
    if (!scored.some(({name}) => name === of)) of = ALL;
    const {select, node} = choice(t('of'), [[ALL, t('all')], ...scored.map(({name, iou}) => [name, `${classText(name)}: ${iou.toFixed(3)}`])], of);
    select.addEventListener('change', () => { of = select.value; paintErrors(); });
    const words = shown.mean === null ? t('nothing') : t('mean', {iou: shown.mean.toFixed(3)});
    head.replaceChildren(make('b', {class: 'mean'}, words), node);
    rest.replaceChildren(python(shown.python));
    paintErrors();
  };

  const show = async () => {
    const needed = turns.begin();
    const run = props.value && {...props.value};
    if (shown && JSON.stringify(run) === JSON.stringify(shown.run)) return;
    shown = null;
    card.hidden = true;
    if (!run) return;
    try {
      const found = await ask(server.truth, {run});
      if (!needed() || !found.labels) return;
      const labels = await loadPixels(found.labels.url, {needed});
      await loadPicture(found.photo.url, {needed});
      if (!needed()) return;
      shown = {...found, labels, run};
      card.hidden = figures.hidden = key.hidden = false;
      paint();
    } catch (error) {
      if (!needed()) return;
      card.hidden = false;
      figures.hidden = key.hidden = true;
      head.replaceChildren(...lostNote(error, t('lost'), show));
    }
  };
  watch('value', show);
  show();
}
