// The first script of the page: its language, and how its modules are loaded. Python puts SEGDEMO before it, which says
// what modules there are, under which version, and what to say where one of them cannot be had.
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

  // Where a module is; a browser may remember that one failed, so another attempt asks at another address.
  const addressOf = (name, attempt = 0) =>
    new URL(`scripts/${SEGDEMO.version}${attempt ? `-${attempt}` : ''}/${name}`, document.baseURI).href;
  // All are asked for while the front end starts, instead of one after the other when it needs them.
  for (const name of SEGDEMO.modules) {
    document.head.append(Object.assign(document.createElement('link'), {rel: 'modulepreload', href: addressOf(name)}));
  }

  const PAUSES = [500, 1500, 4500]; // ms before each new attempt
  const attempts = {}; // by name of the module
  const loads = {}; // what is under way or done, by name
  const load = async (name) => {
    for (const pause of [...PAUSES, null]) {
      try {
        return await import(addressOf(name, attempts[name]));
      } catch (error) {
        attempts[name] = (attempts[name] ?? 0) + 1;
        if (pause === null) throw error;
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  };
  const shared = (name) => (loads[name] ??= load(name).catch((error) => { delete loads[name]; throw error; }));

  // Fetches a component's module and hands it its element. What came meanwhile it finds in props.value.
  window.segdemoMount = async (name, parts) => {
    let module;
    try {
      module = await shared(name);
    } catch (error) {
      console.warn(error);
      const texts = SEGDEMO.texts[language];
      const button = Object.assign(document.createElement('button'), {type: 'button', textContent: texts.again});
      const note = Object.assign(document.createElement('p'), {className: 'segdemo-lost', role: 'alert'});
      note.append(`${texts.script} `, button);
      button.addEventListener('click', () => { note.remove(); window.segdemoMount(name, parts); });
      parts.element.prepend(note);
      return;
    }
    module.mount(parts);
  };
})();
