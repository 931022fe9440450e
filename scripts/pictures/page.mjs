// Pictures of pages by chromium, which is steered through a pair of pipes.

import { spawn, spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';

/** The command of chromium; undefined if there is none. */
export const chromium = ['chromium', 'chromium-browser', 'google-chrome'].find(
  (name) => spawnSync('sh', ['-c', `command -v ${name}`]).status === 0,
);

/** Opens a page in a window of this size, waits, and writes what it shows as PNG. */
export async function takePicture(url, file, { width, height, waitMs }) {
  const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--hide-scrollbars', '--remote-debugging-pipe'];
  const browser = spawn(chromium, flags, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] });
  const answers = new Map();
  let text = '';
  browser.stdio[4].setEncoding('utf8').on('data', (more) => {
    text += more;
    for (let end = text.indexOf('\0'); end >= 0; end = text.indexOf('\0')) {
      const { id, result, error } = JSON.parse(text.slice(0, end));
      text = text.slice(end + 1);
      if (error === undefined) answers.get(id)?.resolve(result);
      else answers.get(id)?.reject(new Error(error.message));
    }
  });
  let sent = 0;
  const call = (method, params = {}, sessionId = undefined) =>
    new Promise((resolve, reject) => {
      answers.set(++sent, { resolve, reject });
      browser.stdio[3].write(`${JSON.stringify({ id: sent, method, params, sessionId })}\0`);
    });
  try {
    const { targetId } = await call('Target.createTarget', { url: 'about:blank' });
    const { sessionId } = await call('Target.attachToTarget', { targetId, flatten: true });
    await call('Emulation.setDeviceMetricsOverride', { width, height, deviceScaleFactor: 1, mobile: false }, sessionId);
    await call('Page.navigate', { url }, sessionId);
    await new Promise((done) => setTimeout(done, waitMs));
    const { data } = await call('Page.captureScreenshot', { format: 'png' }, sessionId);
    writeFileSync(file, Buffer.from(data, 'base64'));
  } finally {
    browser.kill('SIGKILL');
  }
}
