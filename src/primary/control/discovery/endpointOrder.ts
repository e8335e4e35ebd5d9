/**
 * In which order a peer's endpoints are tried (Nebula protocol: remote list sorting): preferred ranges, IPv6 before IPv4,
 * public IPv4 before private, address, port.
 */
import {
  compareAddresses,
  type Endpoint,
  type IpAddress,
  isPrivate,
  type Prefix,
  prefixContains,
} from '../../../shared/ip/address.ts';

/** Returns a new array; duplicates are the caller's. */
export function sortEndpoints(endpoints: readonly Endpoint[], preferredRanges: readonly Prefix[]): Endpoint[] {
  return endpoints
    .map((endpoint) => ({ endpoint, rank: rankOf(endpoint.address, preferredRanges) }))
    .sort(
      (a, b) =>
        a.rank - b.rank ||
        compareAddresses(a.endpoint.address, b.endpoint.address) ||
        a.endpoint.port - b.endpoint.port,
    )
    .map((ranked) => ranked.endpoint);
}

/** The order of what matters more than the address itself, as one number: smaller is better. */
function rankOf(address: IpAddress, preferredRanges: readonly Prefix[]): number {
  const preferred = preferredRanges.some((range) => prefixContains(range, address)) ? 0 : 4;
  return preferred + (address.family === 6 ? 0 : isPrivate(address) ? 2 : 1);
}
