// 64-bit integers as decimal text, written into bytes. No digit goes through floating point that would round it, and no
// object is made for a value below 2^53. Pure.

const ZERO = 0x30;
const POINT = 0x2e;
/** The most bytes that a value takes: 20 digits and a decimal point, or 18 decimals behind `0.`. */
export const DECIMAL_BYTES_MAX = 24;

const E9 = 1_000_000_000;

/**
 * Writes `(high * 2^32 + low) / 10^decimals` to `bytes` at `at`, exactly. Zeros at the end of a fraction are left out,
 * and so is a fraction of zero.
 * @returns The index behind the last digit.
 */
export function writeDecimal(bytes: Uint8Array, at: number, low: number, high: number, decimals: number): number {
  if (decimals !== 0) return writeFraction(bytes, at, low, high, decimals);
  if (high === 0) {
    if (low >= 10) return writeDigits(bytes, at, low, digitsOf(low));
    bytes[at] = ZERO + low;
    return at + 1;
  }
  if (high >= 0x20_0000) return writeText(bytes, at, (BigInt(high) << 32n) | BigInt(low));
  return writeSafe(bytes, at, high * 0x1_0000_0000 + low);
}

/**
 * Writes a 32-bit integer over another one with the same number of digits. A count that goes up seldom changes more
 * than its last digits. `end` is the index behind the last digit.
 */
export function changeDigits(bytes: Uint8Array, end: number, before: number, now: number): void {
  let old = before;
  let rest = now;
  for (let i = end - 1; old !== rest; i--) {
    const next = (rest / 10) >>> 0;
    bytes[i] = ZERO + (rest - next * 10);
    rest = next;
    old = (old / 10) >>> 0;
  }
}

/** How many decimal digits a 32-bit integer has. */
export function digitsOf(value: number): number {
  if (value < 100_000) return value < 100 ? (value < 10 ? 1 : 2) : value < 1000 ? 3 : value < 10_000 ? 4 : 5;
  if (value < 10_000_000) return value < 1_000_000 ? 6 : 7;
  return value < 100_000_000 ? 8 : value < E9 ? 9 : 10;
}

/** Writes the last `count` digits of a 32-bit integer. */
function writeDigits(bytes: Uint8Array, at: number, value: number, count: number): number {
  const end = at + count;
  let rest = value;
  for (let i = end - 1; i >= at; i--) {
    const next = (rest / 10) >>> 0;
    bytes[i] = ZERO + (rest - next * 10);
    rest = next;
  }
  return end;
}

/** Writes an integer from 2^32 to 2^53. */
function writeSafe(bytes: Uint8Array, at: number, value: number): number {
  // The division rounds by less than 10^-9, because the quotient is below 2^24. So it never reaches the next integer.
  const upper = Math.floor(value / E9);
  const lower = value - upper * E9;
  return writeDigits(bytes, writeDigits(bytes, at, upper, digitsOf(upper)), lower, 9);
}

function writeText(bytes: Uint8Array, at: number, value: bigint): number {
  const text = value.toString();
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
  return at + text.length;
}

function writeFraction(bytes: Uint8Array, at: number, low: number, high: number, decimals: number): number {
  if (high === 0 && low === 0) {
    bytes[at] = ZERO;
    return at + 1;
  }
  // Write the digits of the integer one place to the right, with at least one digit before the point.
  let end = writeDecimal(bytes, at + 1, low, high, 0);
  const missing = decimals + 1 - (end - at - 1);
  if (missing > 0) {
    bytes.copyWithin(at + 1 + missing, at + 1, end);
    bytes.fill(ZERO, at + 1, at + 1 + missing);
    end += missing;
  }
  // Move the digits before the point back to make room for the point.
  const point = end - decimals - 1;
  for (let i = at; i < point; i++) bytes[i] = bytes[i + 1]!;
  bytes[point] = POINT;
  while (bytes[end - 1] === ZERO) end--;
  return end - 1 === point ? point : end;
}
