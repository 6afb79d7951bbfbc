// The top line: what the page is for, and the link to the other language.
import {go} from '../static/address.js';
import {textsOf} from '../static/texts.js';

export function mount({element}) {
  const t = textsOf('header');
  const link = element.querySelector('.language');
  element.querySelector('.motto').textContent = t('motto');
  link.textContent = t('other_language');
  link.lang = t('other_code');
  // The address changes while one works, so the link is made when it is used.
  link.addEventListener('click', (event) => {
    event.preventDefault();
    go({lang: t('other_code').slice(0, 2)});
  });
}
