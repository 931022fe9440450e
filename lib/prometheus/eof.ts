/** The last line of OpenMetrics. */
export const EOF = Buffer.from('# EOF\n');
