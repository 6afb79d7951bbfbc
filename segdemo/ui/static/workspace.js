// The three panes beside each other: how wide each is, one of them over the whole window, and tabs where there is no room.

export const PANES = ['segmentation', 'figure', 'channels'];
export const SHARES = [0.28, 0.34, 0.38]; // of the width, from the first pane to the last
const LEAST = 0.14; // that a pane keeps
const NARROW = '(max-width: 999px)';
const MEMORY = 'segdemo.panes';

// The shares of the panes after divider `index` moved by `by` of the width: what one pane gains the next one loses.
export const moved = (shares, index, by) => {
  const most = shares[index + 1] - LEAST;
  const least = LEAST - shares[index];
  const step = Math.min(Math.max(by, least), most);
  return shares.map((share, i) => (i === index ? share + step : i === index + 1 ? share - step : share));
};

// What was remembered, if it can be used: as many shares as there are panes, none too small, 1 together.
export const recalled = (text) => {
  try {
    const shares = JSON.parse(text);
    const whole = shares.length === PANES.length && shares.every((share) => share >= LEAST - 1e-6);
    return whole && Math.abs(shares.reduce((sum, share) => sum + share, 0) - 1) < 1e-6 ? shares : SHARES;
  } catch {
    return SHARES;
  }
};

// The browser may refuse to remember anything.
const memory = {
  read: () => { try { return localStorage.getItem(MEMORY); } catch { return null; } },
  write: (text) => { try { localStorage.setItem(MEMORY, text); } catch { /* then it is forgotten */ } },
  clear: () => { try { localStorage.removeItem(MEMORY); } catch { /* nothing was remembered */ } },
};

const dividersOf = (views, panes, t) => {
  let shares = recalled(memory.read());
  const lines = panes.slice(0, -1).map((pane, index) => {
    const line = Object.assign(document.createElement('div'), {className: 'pane-divider', tabIndex: 0});
    const facts = {role: 'separator', 'aria-orientation': 'vertical', 'aria-controls': pane.id, 'aria-label': t(`divider_${index}`),
      'aria-valuemin': 100 * LEAST, title: t('divider_help')};
    for (const [name, value] of Object.entries(facts)) line.setAttribute(name, value);
    pane.after(line);
    return line;
  });
  const show = () => {
    PANES.forEach((name, i) => views.style.setProperty(`--${name}`, `${shares[i]}fr`));
    lines.forEach((line, i) => {
      line.setAttribute('aria-valuenow', Math.round(100 * shares[i]));
      line.setAttribute('aria-valuemax', Math.round(100 * (shares[i] + shares[i + 1] - LEAST)));
    });
  };
  const set = (fresh) => {
    shares = fresh;
    show();
    memory.write(JSON.stringify(shares));
  };
  lines.forEach((line, index) => {
    let held = null; // where it was taken, and the shares then
    line.addEventListener('pointerdown', (event) => {
      line.setPointerCapture(event.pointerId);
      held = {x: event.clientX, shares};
      event.preventDefault();
      line.focus({preventScroll: true});
    });
    line.addEventListener('pointermove', (event) => {
      if (held) set(moved(held.shares, index, (event.clientX - held.x) / views.clientWidth));
    });
    for (const type of ['pointerup', 'pointercancel']) line.addEventListener(type, () => { held = null; });
    line.addEventListener('keydown', (event) => {
      const step = event.shiftKey ? 0.1 : 0.02;
      const by = {ArrowLeft: -step, ArrowRight: step, Home: -1, End: 1}[event.key];
      if (by === undefined) return;
      event.preventDefault();
      set(moved(shares, index, by));
    });
    line.addEventListener('dblclick', () => { set(SHARES); memory.clear(); });
  });
  show();
};

const fullScreen = (views, panes, t) => {
  const others = () => [...views.children, document.getElementById('header'), document.getElementById('controls')].filter(Boolean);
  const show = (name) => {
    if (name) views.dataset.full = name;
    else delete views.dataset.full;
    for (const other of others()) other.inert = Boolean(name) && other.id !== name;
    for (const [i, button] of buttons.entries()) {
      const isFull = panes[i].id === name;
      const label = t(isFull ? 'smaller' : 'larger', {pane: t(panes[i].id)});
      Object.assign(button, {textContent: isFull ? '×' : '⤢', title: label});
      button.setAttribute('aria-label', label);
      button.setAttribute('aria-pressed', String(isFull));
    }
  };
  const buttons = panes.map((pane) => {
    const button = Object.assign(document.createElement('button'), {type: 'button', className: 'pane-full'});
    button.addEventListener('click', () => show(views.dataset.full ? null : pane.id));
    pane.append(button);
    return button;
  });
  show(null);
  document.addEventListener('keydown', (event) => {
    const name = views.dataset.full;
    if (event.key !== 'Escape' || event.defaultPrevented || !name) return;
    show(null);
    buttons[PANES.indexOf(name)].focus();
  });
};

// Tabs of the panes, shown where there is no room for three; arrow keys go from one to the next.
const tabsOf = (list, panes, t) => {
  const tabs = panes.map((pane) => {
    const tab = Object.assign(document.createElement('button'), {type: 'button', id: `tab-${pane.id}`, textContent: t(pane.id)});
    tab.setAttribute('role', 'tab');
    tab.setAttribute('aria-controls', pane.id);
    return tab;
  });
  const narrow = matchMedia(NARROW);
  const show = (index) => panes.forEach((pane, i) => {
    pane.classList.toggle('current', i === index);
    tabs[i].setAttribute('aria-selected', String(i === index));
    tabs[i].tabIndex = i === index ? 0 : -1;
  });
  const arrange = () => panes.forEach((pane, i) => {
    pane.setAttribute('role', narrow.matches ? 'tabpanel' : 'region');
    if (narrow.matches) pane.setAttribute('aria-labelledby', tabs[i].id);
    else pane.removeAttribute('aria-labelledby');
    if (narrow.matches) pane.removeAttribute('aria-label');
    else pane.setAttribute('aria-label', t(pane.id));
  });
  tabs.forEach((tab, index) => {
    tab.addEventListener('click', () => show(index));
    tab.addEventListener('keydown', (event) => {
      const last = tabs.length - 1;
      const to = {ArrowRight: index === last ? 0 : index + 1, ArrowLeft: index || last + 1, Home: 0, End: last}[event.key];
      if (to === undefined) return;
      event.preventDefault();
      const next = event.key === 'ArrowLeft' ? to - 1 : to;
      show(next);
      tabs[next].focus();
    });
  });
  list.setAttribute('aria-label', t('panes'));
  list.replaceChildren(...tabs);
  narrow.addEventListener('change', arrange);
  arrange();
  show(0);
  return (name) => { if (narrow.matches) show(PANES.indexOf(name)); };
};

// Makes a workspace of the panes within `views`; `list` becomes the tabs. Gives what brings a pane to the front.
export const workspace = (views, list, t) => {
  const panes = PANES.map((name) => document.getElementById(name));
  dividersOf(views, panes, t);
  fullScreen(views, panes, t);
  return tabsOf(list, panes, t);
};
