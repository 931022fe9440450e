// The token that clients send: `Authorization: Bearer <token>`.

import { createHash, timingSafeEqual } from 'node:crypto';
import { readFileSync } from 'node:fs';

/** Visible ASCII: what a header can carry. */
const TOKEN = /^[\x21-\x7e]+$/;

export class Token {
  readonly #hash: Buffer;

  private constructor(text: string) {
    this.#hash = hashOf(text);
  }

  /**
   * Reads a file with the token; a newline at its end is not part of the token.
   * @throws Error, which names the file but not its content.
   */
  static fromFile(path: string): Token {
    let text: string;
    try {
      text = readFileSync(path, 'latin1').trim();
    } catch (cause) {
      throw new Error(`the token file '${path}' cannot be read: ${(cause as Error).message}`, { cause });
    }
    if (!TOKEN.test(text)) throw new Error(`the token file '${path}' must contain one token of visible ASCII characters, without spaces`);
    return new Token(text);
  }

  /** Whether the header carries the token. The time that this takes does not depend on the header's content. */
  isIn(authorization: string | undefined): boolean {
    const given = /^bearer +(.*)$/i.exec(authorization ?? '')?.[1] ?? '';
    return timingSafeEqual(hashOf(given.trimEnd()), this.#hash);
  }
}

/** Hashes have one length, so they can be compared in constant time. */
function hashOf(text: string): Buffer {
  return createHash('sha256').update(text, 'latin1').digest();
}
