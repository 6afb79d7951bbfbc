// Names of tensors as a tree: what became of each is said in words, and painted.
import {make} from '../static/dom.js';

const SIGNS = {loaded: '✓', used: '✓', random: '○', unused: '–', other_shape: '✗'};
const GOOD = new Set(['loaded', 'used']);

// Leaves by the parts of their names: {name, leaf} and {name, inside}.
export const grown = (leaves) => {
  const roots = [];
  for (const leaf of leaves) {
    let level = roots;
    const names = leaf.key.split('.');
    for (const name of names.slice(0, -1)) {
      let branch = level.find((one) => one.name === name && one.inside);
      if (!branch) level.push(branch = {name, inside: []});
      level = branch.inside;
    }
    level.push({name: names.at(-1), leaf});
  }
  return roots;
};

const leavesIn = (node) => node.leaf ? [node.leaf] : node.inside.flatMap(leavesIn);

const leafOf = ({name, leaf}, text) => make('li', {class: `leaf is-${leaf.fate}`, 'data-key': leaf.key, 'data-fate': leaf.fate},
  make('span', {class: 'sign', 'aria-hidden': 'true'}, SIGNS[leaf.fate] ?? '·'), make('code', {}, name), ' ',
  make('span', {class: 'size'}, `(${leaf.shape.join(', ')})`), ' ', make('span', {class: 'fate'}, text(`value.${leaf.fate}`)),
  leaf.gradient === null ? '' : make('span', {class: 'size'}, ` · ${text(leaf.gradient ? 'value.gradient' : 'value.frozen')}`));

const branchOf = (node, text) => {
  if (node.leaf) return leafOf(node, text);
  const all = leavesIn(node);
  const good = all.filter(({fate}) => GOOD.has(fate)).length;
  return make('li', {}, make('details', {open: true},
    make('summary', {}, make('code', {}, node.name), ' ', make('span', {class: 'size'}, `${good}/${all.length}`)),
    make('ul', {}, ...node.inside.map((one) => branchOf(one, text)))));
};

export const treeOf = (leaves, text) => make('ul', {class: 'names'}, ...grown(leaves).map((node) => branchOf(node, text)));
