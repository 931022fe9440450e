// A process that stops a profile whose output nobody reads: profile-stop.js PIPE. It sends how many milliseconds stop()
// took.

import { opened } from '../store.ts';

const metrics = await opened();
const profile = metrics.startProfiling({ metrics: 'vcpu.exit_io_in', output: process.argv[2]!, intervalUs: 100 });
const began = performance.now();
try {
  await profile.stop();
} catch (error) {
  const { code } = (error as { cause?: NodeJS.ErrnoException }).cause ?? {};
  if (code !== 'EAGAIN') throw error; // with EAGAIN, rows are lost, as they must be
}
process.send!(performance.now() - began);
process.disconnect();
