/**
 * Where the mistake is that a YAML reader has noticed only further down: a bracket that is never closed, a colon without
 * a blank behind it. Looks at the text as an operator does; never quotes more of it than a key's name.
 */

export interface YamlFaultWords {
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

/** Words for a fault that the reader met in `line` for `reason`. */
export function explainYamlFault(source: string, line: number, reason: string): YamlFaultWords {
  const lines = source.split('\n');
  const noticed = (at: number): string => (at === line ? reason : `noticed in line ${line}: ${reason}`);
  const open = unclosedBracket(lines);
  if (open !== null && open.line <= line) {
    const message = `not valid YAML: the "${open.bracket}" that opens here is not closed (${noticed(open.line)})`;
    return { line: open.line, message };
  }
  for (let at = line; at > 0 && at > line - LOOK_BACK_LINES; at--) {
    const match = /^\s*(?:- +)*([\w-]+):[^\s:/]/.exec(lines[at - 1] ?? '');
    if (match !== null) {
      return { line: at, message: `not valid YAML: a blank is missing after "${match[1]}:" (${noticed(at)})` };
    }
  }
  return { line, message: `not valid YAML: ${reason}` };
}

/** A value without a blank after its colon is one word with the line above. */
const LOOK_BACK_LINES = 3;

interface OpenBracket {
  readonly bracket: string;
  readonly line: number;
  /** Of the line in which it stands. */
  readonly indent: number;
}

/** The innermost bracket that is open where another one closes, where its collection must have ended, or at the end. */
function unclosedBracket(lines: readonly string[]): OpenBracket | null {
  const open: OpenBracket[] = [];
  let blockIndent = -1;
  for (const [index, text] of lines.entries()) {
    const indent = text.search(/\S/);
    if (indent < 0 || (blockIndent >= 0 && indent > blockIndent)) {
      continue;
    }
    blockIndent = -1;
    const innermost = open[open.length - 1];
    if (innermost !== undefined && indent <= open[0].indent && !/^\s*[\]}]/.test(text)) {
      return innermost;
    }
    const wrong = scanLine(text, index + 1, indent, open);
    if (wrong !== null) {
      return wrong;
    }
    if (open.length === 0 && /(?:^|[\s:-])[|>][-+\d]*\s*(?:\s#.*)?$/.test(text)) {
      blockIndent = indent;
    }
  }
  return open[open.length - 1] ?? null;
}

/** Follows the brackets of one line; returns the open one in whose place another is closed. */
function scanLine(text: string, line: number, indent: number, open: OpenBracket[]): OpenBracket | null {
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[[\]{}]|(?:^|\s)#.*/g)) {
    if (token === '[' || token === '{') {
      // Outside of a collection only at the start of a value.
      if (open.length > 0 || /(?:^|[:?-]\s)\s*(?:[&!]\S*\s+)*$/.test(text.slice(0, index))) {
        open.push({ bracket: token, line, indent });
      }
    } else if ((token === ']' || token === '}') && open.length > 0) {
      const innermost = open[open.length - 1];
      if (innermost.bracket !== (token === ']' ? '[' : '{')) {
        return innermost;
      }
      open.pop();
    }
  }
  return null;
}
