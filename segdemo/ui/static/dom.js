// Elements of the page, made without a string of HTML, so that no text can become markup.

const SVG = 'http://www.w3.org/2000/svg';

const assign = (node, attributes) => {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) node.setAttribute(name, '');
    else if (value !== undefined && value !== null && value !== false) node.setAttribute(name, value);
  }
  return node;
};

// Makes an element. true sets an attribute without a value; undefined, null and false leave it out.
export const make = (tag, attributes = {}, ...children) => {
  const node = assign(document.createElement(tag), attributes);
  node.append(...children);
  return node;
};

// Makes an element of an SVG at the end of its parent, which may be missing.
export const draw = (tag, attributes, parent, text) => {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== undefined) node.textContent = text;
  parent?.append(node);
  return node;
};

// A button that does nothing while it says aria-disabled: it keeps the focus then.
export const button = (text, label, act) => {
  const node = make('button', {type: 'button', 'aria-label': label, title: label}, text);
  node.addEventListener('click', () => { if (node.getAttribute('aria-disabled') !== 'true') act(); });
  return node;
};

// Numbers with their names; what alarms is marked. pairs: [name, text, alarming], …
export const definitions = (pairs) => make('dl', {class: 'numbers'}, ...pairs.map(([name, text, alarming]) =>
  make('div', alarming ? {class: 'alarming'} : {}, make('dt', {}, name), make('dd', {}, text))));

// Different for each instance of a component: ids and names of radio groups belong to the whole page.
let instances = 0;
export const uniqueName = (start) => `${start}-${++instances}`;

// Has the browser save what lies at an address.
export const saveFrom = (href, name) => {
  const link = make('a', {href, download: name, hidden: true});
  document.body.append(link);
  link.click();
  link.remove();
};
export const save = (blob, name) => {
  const href = URL.createObjectURL(blob);
  saveFrom(href, name);
  setTimeout(() => URL.revokeObjectURL(href), 1000);
};
