// What became of each region file that the agent has found.

import type { RegionState } from '../region/reader.ts';

export const STATES = ['running', 'closed', 'exited', 'panicked', 'crashed', 'killed'] as const satisfies readonly RegionState[];

/**
 * A file whose process is shown has the state of the process. `unreadable`: the reader refuses the file. `duplicate`: a
 * newer process has the same name. `forgotten`: its process has been dead for too long.
 */
export const FILE_STATES = [...STATES, 'unreadable', 'duplicate', 'forgotten'] as const;
export type FileState = (typeof FILE_STATES)[number];
