element.querySelector('.motto').textContent = t('motto');
const link = element.querySelector('.language');
link.textContent = t('other_language');
link.lang = t('other_code');
// The address changes while one works, so the link is made when it is used.
link.addEventListener('click', (event) => {
  event.preventDefault();
  const url = new URL(location.href);
  url.searchParams.set('lang', t('other_code').slice(0, 2));
  location.href = url;
});
