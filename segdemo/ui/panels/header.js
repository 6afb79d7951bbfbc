// The top line: what the page is for, a link to what is shown, and the way to the other language. What happens to the
// page as a whole starts here as well: steps back and forward, files dropped or pasted anywhere, menus typed into.
import {follow, go, listenToWalks, photo} from '../static/address.js';
import {replaceWhatIsWritten} from '../static/menus.js';
import {takeFiles} from '../static/paste.js';
import {tell} from '../static/picks.js';
import {textsOf} from '../static/texts.js';

export function mount({element, props, trigger, watch}) {
  const t = textsOf('header');
  const find = (name) => element.querySelector('.' + name);
  const [link, copy, field, copied] = ['language', 'copy', 'address', 'copied'].map(find);
  find('motto').textContent = t('motto');
  link.textContent = t('other_language');
  link.lang = t('other_code');
  copy.textContent = t('copy');
  field.setAttribute('aria-label', t('link'));
  // The address changes while one works, so the link is made when it is used.
  link.addEventListener('click', (event) => {
    event.preventDefault();
    go({lang: t('other_code').slice(0, 2)});
  });
  // The clipboard may be out of reach: without https, or by the browser's settings.
  const copyLink = async () => {
    const words = photo() ? t('copied_without_picture') : t('copied');
    try {
      await navigator.clipboard.writeText(location.href);
      field.hidden = true;
      copied.textContent = words;
    } catch {
      Object.assign(field, {hidden: false, value: location.href});
      field.focus();
      field.select();
      copied.textContent = t('copy_yourself');
    }
  };
  copy.addEventListener('click', copyLink);
  copy.addEventListener('blur', () => { copied.textContent = ''; });
  field.addEventListener('blur', () => { field.hidden = true; copied.textContent = ''; });
  field.addEventListener('keydown', (event) => { if (event.key === 'Escape') copy.focus(); });

  listenToWalks((isOther) => {
    tell('walk', {isOther});
    if (isOther) trigger('select', {index: 0, value: location.href, photo: photo()?.path ?? null});
  });
  takeFiles((given) => trigger('give', {index: 0, ...given}));
  replaceWhatIsWritten(['#network', '#side', '#layer']);
  for (const icon of document.querySelectorAll('footer img')) icon.alt = ''; // the words stand beside it
  const tidy = () => follow(Object.fromEntries((props.value?.strays ?? []).map((name) => [name, null])));
  watch('value', tidy);
  tidy();
}
