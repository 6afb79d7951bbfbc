// Reading along: five tutorials as lists of links, and above the lab, where one is, what to look at, and the next one.
import {button, make} from '../static/dom.js';
import {textsOf} from '../static/texts.js';

const t = textsOf('labs');

// open({lab, words}, key) shows a section's lab; leave() is called at the end; hrefOf(section, key) is its link.
export const readingView = (place, strip, paths, {open, leave, hrefOf}) => {
  const sections = paths.flatMap(({name, sections: all}) => all.map((section, index) => ({...section, tutorial: name, number: index + 1, count: all.length, key: `${name}.${section.name}`})));
  let key = null;

  const link = (section) => {
    const node = make('a', {'data-read': section.key}, t(`read.${section.key}`));
    node.addEventListener('click', (event) => {
      if (event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
      event.preventDefault();
      open(section, section.key);
      strip.scrollIntoView({block: 'nearest'});
    });
    return node;
  };
  place.replaceChildren(make('summary', {}, t('read')), make('p', {class: 'why'}, t('read.why')), make('div', {class: 'tutorials'},
    ...paths.map(({name}) => make('details', {'data-tutorial': name}, make('summary', {}, t(`read.${name}`)),
      make('ol', {}, ...sections.filter((one) => one.tutorial === name).map((section) => make('li', {}, link(section))))))));

  // Shows where one is; null: nowhere.
  const show = (read) => {
    const index = sections.findIndex((section) => section.key === read);
    key = index < 0 ? null : read;
    strip.hidden = index < 0;
    for (const node of place.querySelectorAll('a')) {
      const section = sections.find((one) => one.key === node.dataset.read);
      node.href = hrefOf(section, section.key);
      if (section.key === key) node.setAttribute('aria-current', 'true');
      else node.removeAttribute('aria-current');
    }
    if (index < 0) return;
    const section = sections[index];
    const step = (by, sign, label) => {
      const other = sections[index + by];
      const node = button(sign, t(label), () => open(other, other.key));
      node.dataset.step = by;
      if (other?.tutorial !== section.tutorial) node.setAttribute('aria-disabled', 'true');
      return node;
    };
    const focused = strip.contains(document.activeElement) ? document.activeElement.dataset.step : null;
    strip.replaceChildren(make('div', {}, make('p', {class: 'where'}, t('read.at', {title: t(`read.${section.tutorial}`), number: section.number, count: section.count})),
      make('h3', {}, t(`read.${section.key}`)), make('p', {}, t(`read.${section.key}.say`))),
    make('p', {class: 'buttons'}, step(-1, '‹', 'read.before'), step(1, '›', 'read.next'), button('×', t('read.end'), leave)));
    if (focused) strip.querySelector(`[data-step="${focused}"]`)?.focus();
  };
  return {show, key: () => key};
};
