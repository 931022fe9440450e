// JSON whose integers keep all their digits. Pure.

/** An integer that a double cannot hold becomes a bigint, in browsers that give the text of a number. */
export function exactJson(text: string): unknown {
  const exact = (_key: string, value: unknown, context?: { readonly source?: string }) => {
    if (typeof value !== 'number' || Number.isSafeInteger(value)) return value;
    const source = context?.source;
    return source !== undefined && /^-?\d+$/.test(source) ? BigInt(source) : value;
  };
  return JSON.parse(text, exact);
}
