// What is picked in one panel, told to the others at once, without the server.
const listeners = new Map();

export const listen = (kind, act) => listeners.set(kind, [...(listeners.get(kind) ?? []), act]);

export const tell = (kind, picked) => { for (const act of listeners.get(kind) ?? []) act(picked); };
