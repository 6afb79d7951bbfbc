// The bar: a small picture, the network, its working size; it opens the inputs over the workspace and closes them.
import {titleOf} from '../static/own.js';
import {textsOf} from '../static/texts.js';

export function mount({element, props, watch}) {
  const t = textsOf('bar');
  const find = (name) => element.querySelector(name);
  const opener = find('.opener');
  const controls = element.closest('#controls');

  const open = (isOpen) => {
    controls.classList.toggle('open', isOpen);
    opener.setAttribute('aria-expanded', String(isOpen));
    find('.word').textContent = t(isOpen ? 'close' : 'change');
  };
  const isOpen = () => controls.classList.contains('open');

  const show = () => {
    const {picture, network, size} = props.value ?? {};
    find('.title').textContent = props.titles?.[network] ?? titleOf(network) ?? network?.split('?')[0] ?? '';
    find('.size').textContent = size ? `${size} px` : '';
    find('img').hidden = !picture;
    if (picture) find('img').src = picture;
    if (props.value && !picture) open(true); // there is nothing to look at yet
    element.dataset.ready = 'true';
  };

  opener.addEventListener('click', () => open(!isOpen()));
  document.addEventListener('keydown', (event) => {
    if (event.key !== 'Escape' || event.defaultPrevented || !isOpen() || !controls.contains(event.target)) return;
    event.preventDefault();
    open(false);
    opener.focus();
  });
  // Whoever goes on with the workspace is done with the inputs; messages and menus lie outside of both.
  document.addEventListener('pointerdown', (event) => {
    if (isOpen() && event.target.closest?.('#tabs')) open(false);
  });
  controls.addEventListener('click', (event) => { if (event.target.closest('#run')) open(false); });
  // Gradio draws the examples as buttons with a picture and no name.
  const nameExamples = () => document.querySelectorAll('#examples button').forEach((button, index) => {
    const name = props.examples[index];
    if (name && !button.hasAttribute('aria-label')) button.setAttribute('aria-label', t('example', {name}));
  });
  new MutationObserver(nameExamples).observe(controls, {childList: true, subtree: true});
  nameExamples();
  find('h2').textContent = t('title');
  open(false);
  watch('value', show);
  show();
}
