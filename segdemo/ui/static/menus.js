// Menus that one can type into: what is typed takes the place of what is written there.

// places: selectors of the menus.
export const replaceWhatIsWritten = (places) => {
  const menuOf = (event) => event.target.closest?.(places.map((place) => `${place} input`).join());
  let entered = null; // the menu in which the pointer went down before it had the focus
  document.addEventListener('pointerdown', (event) => {
    const menu = menuOf(event);
    entered = menu && menu !== document.activeElement ? menu : null;
  }, true);
  // Where the pointer is let go it would set the caret, and end a selection made before.
  document.addEventListener('click', (event) => {
    if (entered && menuOf(event) === entered) entered.select();
    entered = null;
  }, true);
  document.addEventListener('focusin', (event) => menuOf(event)?.select());
};
