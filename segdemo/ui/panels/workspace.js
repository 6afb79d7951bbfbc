// The tabs of the three panes, for windows too narrow for all; and what makes a workspace of the panes.
import {listen} from '../static/picks.js';
import {textsOf} from '../static/texts.js';
import {PANES, workspace} from '../static/workspace.js';

// Gradio puts the parts of a page up one after the other; this script may be there before the panes.
const panesThere = () => new Promise((resolve) => {
  const isThere = () => ['views', ...PANES].every((name) => document.getElementById(name));
  const look = () => { if (isThere()) { watcher.disconnect(); resolve(); } };
  const watcher = new MutationObserver(look);
  watcher.observe(document.body, {childList: true, subtree: true});
  look();
});

export async function mount({element}) {
  await panesThere();
  const front = workspace(document.getElementById('views'), element.querySelector('.panes'), textsOf('workspace'));
  listen('stage', () => front('channels')); // as it would be out of sight
  element.dataset.ready = 'true';
}
