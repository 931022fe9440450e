// What does it cost to plug a device in and out?

import { opened, plugDevices } from '../store.ts';
import { trialSubject } from '../trial.ts';

export const subject = trialSubject('devices', import.meta.url, [
  {
    name: 'alloc() and remove() of a device',
    prepare: async () => {
      const { app } = await opened();
      return (times) => {
        for (let i = 0; i < times; i++) {
          app.block.alloc('drive');
          app.block.remove('drive');
        }
      };
    },
  },
  {
    name: 'alloc() of a device that is there',
    prepare: async () => {
      const metrics = await opened();
      plugDevices(metrics);
      const { block } = metrics.app;
      return (times) => {
        for (let i = 0; i < times; i++) block.alloc('drive3');
      };
    },
  },
]);
