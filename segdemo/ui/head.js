// Runs before the page is built: which language, and the view in the page's address.
(() => {
  const asked = new URLSearchParams(location.search).get('lang');
  const browser = (navigator.language || 'en').toLowerCase().startsWith('zh') ? 'zh' : 'en';
  const language = asked === 'zh' || asked === 'en' ? asked : browser;
  window.segdemoLanguage = language;
  document.documentElement.lang = language === 'zh' ? 'zh-CN' : 'en';
  document.cookie = `segdemo_language=${language}; path=/; SameSite=Lax`;
  if (language !== browser) {
    // The front end takes its language from the browser alone.
    Object.defineProperty(navigator, 'language', {get: () => (language === 'zh' ? 'zh-CN' : 'en')});
  }
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
