// Titles of the networks that the visitor brought: the page was built without them.
const titles = new Map();

export const remember = (network, title) => titles.set(network, title);
export const titleOf = (network) => titles.get(network);
