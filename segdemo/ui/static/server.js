// Questions of a panel to its Python side.

// The server says in a sentence why there is no answer.
export class Refused extends Error {}

export const ask = async (answer, asked) => {
  const found = await answer(asked);
  if (found?.error) throw new Refused(found.error);
  return found;
};
