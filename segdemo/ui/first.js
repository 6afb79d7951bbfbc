// The first script of the page: its language, and how its view is written into the address.
(() => {
  const asked = new URLSearchParams(location.search).get('lang');
  const browser = (navigator.language || 'en').toLowerCase().startsWith('zh') ? 'zh' : 'en';
  const language = asked === 'zh' || asked === 'en' ? asked : browser;
  window.segdemoLanguage = language;
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  document.cookie = `segdemo_language=${language}; path=/; SameSite=Lax`;
  // The front end takes the language of its own labels from the browser alone.
  const code = language === 'zh' ? 'zh-CN' : 'en';
  if (language !== browser) Object.defineProperty(navigator, 'language', {get: () => code});
  // Sets parameters of the address; null removes one.
  window.segdemoAddress = (changes) => {
    const url = new URL(location.href);
    for (const [key, value] of Object.entries(changes)) {
      if (value === null || value === undefined) url.searchParams.delete(key);
      else url.searchParams.set(key, value);
    }
    history.replaceState(null, '', url);
  };
})();
