// How long numbers are in protobuf messages. Pure.

/** How many bytes the length of a message takes. */
export function varintBytes(length: number): number {
  let bytes = 1;
  for (let rest = length >>> 7; rest > 0; rest >>>= 7) bytes++;
  return bytes;
}
