/** Addresses and endpoints written short: parsed, or an error where a test has a slip of the pen; and back to text. */
import type { HostPort } from '../../src/primary/config/config.ts';
import {
  type Endpoint,
  type IpAddress,
  type Prefix,
  parseAddress,
  parseEndpoint,
  parsePrefix,
  splitHostPort,
} from '../../src/shared/ip/address.ts';

export function ip(text: string): IpAddress {
  return parsed('an address', text, parseAddress(text));
}

export function ep(text: string): Endpoint {
  return parsed('an endpoint', text, parseEndpoint(text));
}

export function net(text: string): Prefix {
  return parsed('a prefix', text, parsePrefix(text));
}

/** `endpoint` is null where a name stands before the port. */
export function target(text: string): HostPort {
  return { ...parsed('a host and port', text, splitHostPort(text)), endpoint: parseEndpoint(text) };
}

export function texts(values: readonly { readonly text: string }[]): string[] {
  return values.map((value) => value.text);
}

function parsed<T>(what: string, text: string, value: T | null): T {
  if (value === null) {
    throw new Error(`not ${what}: ${text}`);
  }
  return value;
}
