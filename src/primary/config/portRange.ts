/**
 * The `port` of a rule: a number, a range, `any` or `fragment`. Called by the rule parser only.
 * Source: Nebula protocol, firewall rules; the accepted spellings are exactly Nebula's.
 */
import { anyPort, fragmentPort, type PortRange } from '../../shared/firewall/rule.ts';

/** Parses a port; a string is the reason why it is none. */
export function parsePortRange(text: string): PortRange | string {
  if (text === 'any') {
    return anyPort;
  }
  if (text === 'fragment') {
    return fragmentPort;
  }
  const dash = text.indexOf('-');
  if (dash < 0) {
    const port = parsePort(text);
    return typeof port === 'string' ? port : { start: port, end: port };
  }
  const startText = text.slice(0, dash).trim();
  const endText = text.slice(dash + 1).trim();
  if (startText === '' || endText === '') {
    return `appears to be a range but could not be parsed; \`${text}\``;
  }
  const start = parsePort(startText);
  if (typeof start === 'string') {
    return `beginning range ${start}`;
  }
  const end = parsePort(endText);
  if (typeof end === 'string') {
    return `ending range ${end}`;
  }
  return start === 0 ? anyPort : { start, end };
}

function parsePort(text: string): number | string {
  if (!/^[0-9]+$/.test(text)) {
    return `was not a number; \`${text}\``;
  }
  const port = Number(text);
  return port > 65535 ? `out of range [0,65535]; \`${text}\`` : port;
}
