// The tabs of the three panes, for windows too narrow for all; and what makes a workspace of the panes.
import {listen} from '../static/picks.js';
import {textsOf} from '../static/texts.js';
import {workspace} from '../static/workspace.js';

export function mount({element}) {
  const front = workspace(document.getElementById('views'), element.querySelector('.panes'), textsOf('workspace'));
  listen('stage', () => front('channels')); // as it would be out of sight
  element.dataset.ready = 'true';
}
