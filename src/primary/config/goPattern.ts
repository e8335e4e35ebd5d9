/**
 * Regular expressions as Go writes them (RE2 syntax, https://github.com/google/re2/wiki/Syntax), as those of JavaScript:
 * flags at the start (`(?i)`), named groups, `\A`, `\z`, `\Q…\E` and classes such as `[[:alpha:]]`. What has no counterpart is
 * refused.
 */

/** An expression that matches whole texts, or null when it is none or cannot be had here. */
export function parseGoPattern(pattern: string): RegExp | null {
  const match = /^((?:\(\?[imsU]+\))*)(.*)$/s.exec(pattern);
  const flags = new Set((match?.[1] ?? '').replaceAll(/[^imsU]/g, ''));
  const body = match === null ? null : translated(match[2]);
  // U swaps greedy and lazy: no difference to what matches as a whole.
  flags.delete('U');
  if (body === null) {
    return null;
  }
  try {
    return new RegExp(`^(?:${body})$`, [...flags].join(''));
  } catch {
    return null;
  }
}

const CLASSES: Readonly<Record<string, string>> = {
  alnum: '0-9A-Za-z',
  alpha: 'A-Za-z',
  ascii: '\\x00-\\x7f',
  blank: '\\t ',
  cntrl: '\\x00-\\x1f\\x7f',
  digit: '0-9',
  graph: '!-~',
  lower: 'a-z',
  print: ' -~',
  punct: '!-\\/:-@\\[-`{-~',
  space: '\\t\\n\\v\\f\\r ',
  upper: 'A-Z',
  word: '0-9A-Za-z_',
  xdigit: '0-9A-Fa-f',
};

const PIECE =
  /\\Q(?<quoted>.*?)(?:\\E|$)|\\(?<escaped>.)|\(\?P<(?<name>\w+)>|\[:(?<class>\w+):\]|\(\?(?<flags>[^:<P])/gs;

function translated(body: string): string | null {
  let isKnown = true;
  const text = body.replaceAll(PIECE, (piece, ...rest) => {
    const groups = rest[rest.length - 1] as Readonly<Record<string, string | undefined>>;
    if (groups.quoted !== undefined) {
      return groups.quoted.replaceAll(/[\\^$.*+?()[\]{}|/-]/g, '\\$&');
    }
    if (groups.escaped !== undefined) {
      return groups.escaped === 'A' ? '^' : groups.escaped === 'z' ? '$' : piece;
    }
    if (groups.name !== undefined) {
      return `(?<${groups.name}>`;
    }
    const members = CLASSES[groups.class ?? ''];
    // Neither a flag in the middle nor a look-around.
    isKnown &&= members !== undefined;
    return members ?? piece;
  });
  return isKnown ? text : null;
}
