// What is asked of a tool of the tab "Why" from elsewhere on the page. The tab may not be open yet, nor its tools there.
const tools = new Map(); // name → what takes a question
const waiting = new Map(); // name → the question asked before the tool was there

export const askTool = (name, asked = {}) => {
  const take = tools.get(name);
  if (take) take(asked);
  else waiting.set(name, asked);
};

// Acts once an element has a place on the page, which in a tab that is closed it has not.
const whenPlaced = (element, act) => {
  if (element.offsetParent) { act(); return; }
  const watcher = new ResizeObserver(() => {
    if (!element.offsetParent) return;
    watcher.disconnect();
    act();
  });
  watcher.observe(element);
};

// Lets a tool take questions: it is brought into sight with its heading in focus, and take(asked) is called.
export const takesQuestions = (name, element, take = () => {}) => {
  const heading = element.querySelector('h3');
  heading.tabIndex = -1;
  const taking = (asked) => whenPlaced(element, () => {
    element.scrollIntoView({block: 'start'});
    heading.focus({preventScroll: true});
    take(asked);
  });
  tools.set(name, taking);
  if (!waiting.has(name)) return;
  const asked = waiting.get(name);
  waiting.delete(name);
  taking(asked);
};
