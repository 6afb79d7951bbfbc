// The only place that reads and writes the address of the page.

// The address after changes to its parameters; null removes one.
export const changed = (href, changes) => {
  const url = new URL(href);
  for (const [key, value] of Object.entries(changes)) {
    if (value === null || value === undefined) url.searchParams.delete(key);
    else url.searchParams.set(key, value);
  }
  return url.href;
};

export const read = (name) => new URL(location.href).searchParams.get(name);

export const change = (changes) => history.replaceState(history.state, '', changed(location.href, changes));

// Loads the page anew.
export const go = (changes) => { location.href = changed(location.href, changes); };
