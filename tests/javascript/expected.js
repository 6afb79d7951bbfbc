// What Python says, written by `python -m tests.javascript.export build/javascript`.
import {readFileSync} from 'node:fs';

export const expected = JSON.parse(readFileSync(new URL('../../build/javascript/expected.json', import.meta.url)));
