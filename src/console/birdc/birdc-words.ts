/** A word of a command line; a text stood in quotes. */
export interface Word {
  readonly text: string;
  readonly quoted: boolean;
}

/**
 * The words that BIRD would read. birdc joins its arguments by blanks; so the quotes of `disable p1 "gone for lunch"` are lost when a
 * shell takes them, and an argument behind the first that has blanks in it, or none of a name's letters, is taken for a text.
 */
export function birdcWords(argv: readonly string[]): readonly Word[] {
  return argv.flatMap((argument, i) => {
    const text = i > 0 && !argument.includes('"') && (argument === "" || /\s/.test(argument));
    return text ? [{ text: argument, quoted: true }] : lineWords(argument);
  });
}

function lineWords(line: string): Word[] {
  const words: Word[] = [];
  for (const [, quoted, plain] of line.matchAll(/"([^"]*)"?|([^\s"]+)/g)) {
    words.push(plain === undefined ? { text: quoted ?? "", quoted: true } : { text: plain, quoted: false });
  }
  return words;
}
