// The fenced blocks that a document shows: programs, commands, and samples of other languages.

export interface ShownBlock {
  readonly language: string;
  readonly text: string;
  /** The name under which the reader saves the block: the last file name before it that the text gives. */
  readonly file: string | undefined;
}

/** All fenced blocks of a document, in order. */
export function shownBlocks(document: string): ShownBlock[] {
  return [...document.matchAll(/([\s\S]*?)^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, before = '', language = '', text = '']) => {
    // A block that the reader saves comes right after the sentence that names its file.
    const [, file] = /[Ss]ave this\sas\s`([\w.@/-]+)`:\n\n$/.exec(before) ?? [];
    return { language, text, file };
  });
}

/** The commands of the fenced shell blocks of a document, one a line, in order. */
export const shownCommands = (document: string): string[] =>
  shownBlocks(document)
    .filter(({ language }) => language === 'sh')
    .flatMap(({ text }) => text.trimEnd().split('\n'));
