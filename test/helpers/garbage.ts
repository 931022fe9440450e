// The garbage collector of this thread, at a moment that the test chooses.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
export const collectHere = runInNewContext('gc') as () => void;
