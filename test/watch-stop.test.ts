// `vmm-metrics watch` and job control.

import { expect, test } from 'vitest';
import { defineSchema, group, inc, Metrics } from 'vmm-metrics';

import { inTerminal, LEFT, screenOf } from './helpers/terminal.ts';
import { closing, freshName, temporaryFolder } from './helpers/workplace.ts';

test('given a running watch, when it is stopped and continued, then the terminal is restored meanwhile, and the screen comes back', async () => {
  const file = `${temporaryFolder()}/region`;
  const metrics = closing(Metrics.open(defineSchema({ vcpu: group({ exits: inc('exits') }) }), { name: freshName(), file }));
  metrics.app.vcpu.exits.add(3);
  const stop = { stop: 'SIGTSTP' };
  const session = await inTerminal(
    80,
    24,
    [
      ['exits +3', stop],
      ['exits +3', 's'],
      ['vcpu[.]exits', stop],
      ['vcpu[.]exits', 'q'],
    ],
    'watch',
    file,
  );
  expect(session.stopped).toHaveLength(2);
  for (const { isStopped, wrote, restored } of session.stopped) {
    expect({ isStopped, restored }).toEqual({ isStopped: true, restored: true });
    expect(wrote).toContain(LEFT);
  }
  // The command uses the other screen again, and reads keys one by one.
  expect(session.screens[1]).toContain('\x1b[?1049h');
  expect(screenOf(session.screens[3]!)).toContain('vcpu.exits');
  expect(session).toMatchObject({ code: 0, restored: true });
  expect(session.last).toContain(LEFT);
});

test('given a running watch, when SIGSTOP stops it and a shell resets the terminal, then keys work again after it continues', async () => {
  const file = `${temporaryFolder()}/region`;
  const metrics = closing(Metrics.open(defineSchema({ vcpu: group({ exits: inc('exits') }) }), { name: freshName(), file }));
  metrics.app.vcpu.exits.add(3);
  const session = await inTerminal(
    80,
    24,
    [
      ['exits +3', { stop: 'SIGSTOP' }],
      ['exits +3', 's'],
      ['vcpu[.]exits', 'q'],
    ],
    'watch',
    file,
  );
  expect(session).toMatchObject({ code: 0, restored: true });
});
