/**
 * Checks of a configuration against the networks of its own certificate: what the configuration alone cannot know. Pure.
 * Errors are what Nebula refuses, and would cut this node off from its own underlay; warnings what is surely not meant.
 */

import { type IpAddress, type Prefix, prefixContains } from '../shared/ip/address.ts';
import type { Config } from './config/config.ts';
import type { LoadedConfig } from './config/loader.ts';
import { adviceAt, errorAt, formatPath, type PathStep, type Problem, warningAt } from './config/problems.ts';
import { linkMtu } from './machine/deviceRoutes.ts';
import type { Identity } from './pki/identity.ts';

export function networkProblems(
  config: Config,
  identity: Identity,
  locate: LoadedConfig['locate'],
): readonly Problem[] {
  const networks = identity.certificates.flatMap((certificate) => certificate.networks);
  const isInside = (address: IpAddress): boolean => networks.some((network) => prefixContains(network, address));
  const isOwn = ({ text }: IpAddress): boolean => networks.some(({ address }) => address.text === text);
  const own = textOf(networks);
  const error = (steps: readonly PathStep[], message: string): Problem =>
    errorAt(locate(steps), formatPath(steps), message);
  const warning = (steps: readonly PathStep[], message: string): Problem =>
    warningAt(locate(steps), formatPath(steps), message);
  const { tun, lighthouse, staticHostMap } = config;
  return [
    ...mtuFaults(config, networks).map((fault) => error(['tun', 'mtu'], fault)),
    ...tun.routes.flatMap(({ route }, index) =>
      networks.some((network) => network.bits <= route.bits && prefixContains(network, route.address))
        ? []
        : [
            error(
              ['tun', 'routes', index],
              `entry ${index + 1}.route in tun.routes is not contained within the configured vpn networks; route: ${route.text}, networks: ${own}`,
            ),
          ],
    ),
    ...tun.unsafeRoutes.flatMap(({ route }, index) =>
      isInside(route.address)
        ? [
            error(
              ['tun', 'unsafe_routes', index],
              `entry ${index + 1}.route in tun.unsafe_routes is contained within the configured vpn networks; route: ${route.text}, networks: ${own}`,
            ),
          ]
        : [],
    ),
    ...lighthouse.hosts.flatMap((host, index) =>
      strangeHost(host, ['lighthouse', 'hosts', index], `lighthouse ${host.text}`),
    ),
    ...staticHostMap.flatMap(({ vpnAddress }) =>
      strangeHost(vpnAddress, ['static_host_map', vpnAddress.text], `the host ${vpnAddress.text}`),
    ),
    ...lighthouse.advertiseAddrs.flatMap(({ endpoint, host }, index) =>
      endpoint !== null && isInside(endpoint.address)
        ? [
            warning(
              ['lighthouse', 'advertise_addrs', index],
              `${host} is a vpn address (${own}); peers need an address of the real network`,
            ),
          ]
        : [],
    ),
  ];

  function strangeHost(address: IpAddress, steps: readonly PathStep[], what: string): readonly Problem[] {
    if (isOwn(address)) {
      // Harmless where one file serves all hosts.
      return [adviceAt(locate(steps), formatPath(steps), `${what} is this node itself`)];
    }
    return isInside(address) ? [] : [warning(steps, `${what} is outside this node's own networks (${own})`)];
  }
}

/** The kernel takes IPv6 away from a device whose MTU is below the least that IPv6 allows (RFC 8200, section 5). */
function mtuFaults(config: Config, networks: readonly Prefix[]): readonly string[] {
  const ipv6 = networks.find(({ address }) => address.family === 6);
  const mtu = linkMtu(config);
  return ipv6 === undefined || mtu >= IPV6_MTU_MIN || config.tun.disabled
    ? []
    : [`${mtu} is too small for ${ipv6.text} of the certificate: IPv6 needs ${IPV6_MTU_MIN} or more`];
}

const IPV6_MTU_MIN = 1280;

function textOf(networks: readonly Prefix[]): string {
  return [...new Set(networks.map(({ text }) => text))].join(', ');
}
