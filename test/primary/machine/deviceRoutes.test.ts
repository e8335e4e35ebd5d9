import { expect } from 'chai';
import { describe, it } from 'mocha';
import {
  linkMtu,
  type PlacedRoute,
  planRoutes,
  routeKey,
  wantedRoutes,
} from '../../../src/primary/machine/deviceRoutes.ts';
import type { KernelRoute } from '../../../src/primary/machine/netlinkRoutes.ts';
import { ip, net } from '../../support/addresses.ts';
import { configOf } from '../config/support.ts';

const TUN = 7;
const LAN = 2;
const NETWORKS = [net('10.86.0.1/24'), net('fd86::1/64')];

function wanted(tun: object): KernelRoute[] {
  return wantedRoutes(configOf(`tun: ${JSON.stringify(tun)}\n`), NETWORKS, TUN);
}

const NOTHING: ReadonlyMap<string, PlacedRoute> = new Map();
const onLan = (destination: string, metric?: number): KernelRoute => ({
  destination: net(destination),
  linkIndex: LAN,
  ...(metric === undefined ? {} : { metric }),
});
const via = (destination: string, metric?: number): KernelRoute => ({
  ...onLan(destination, metric),
  gateway: ip('192.0.2.1'),
});

/** Destination and metric of what the plan puts there, without the connected routes. */
function placedKeys(routes: readonly KernelRoute[], standing: readonly KernelRoute[]): string[] {
  return [...planRoutes(routes, standing, NOTHING).placed].flatMap(([key, { route }]) =>
    route.isConnected ? [] : [key],
  );
}

const unsafe = (route: string, more: object = {}): object => ({
  unsafe_routes: [{ route, via: '10.86.0.2', ...more }],
});

describe('the routes of the device', () => {
  it('are the connected ones, those with an MTU of their own, and the unsafe ones that are to be installed', () => {
    const routes = wanted({
      mtu: 1300,
      routes: [{ route: '10.86.0.8/29', mtu: 8800 }],
      unsafe_routes: [
        { route: '192.168.0.0/16', via: '10.86.0.2', metric: 5 },
        { route: '172.16.0.0/12', via: '10.86.0.2', install: false },
      ],
    });
    expect(
      routes.map((route) => `${routeKey(route)} ${route.mtu ?? 'link'} ${route.source?.text ?? ''}`),
    ).to.deep.equal([
      '10.86.0.0/24 0 1300 10.86.0.1',
      'fd86::/64 256 1300 fd86::1',
      '10.86.0.8/29 0 link ',
      '192.168.0.0/16 5 1300 ',
    ]);
    expect(linkMtu(configOf('tun: {mtu: 1300, routes: [{route: 10.0.0.0/8, mtu: 8800}]}'))).to.equal(8800);
  });

  it('have one for a vpn network whose MTU is given by tun.routes', () => {
    const routes = wanted({ mtu: 1400, routes: [{ route: 'fd86::/64', mtu: 1350 }] });
    expect(routes.map((route) => `${routeKey(route)} ${route.mtu ?? 'link'}`)).to.deep.equal([
      '10.86.0.0/24 0 link',
      'fd86::/64 256 1350',
    ]);
  });

  it('stand where nobody else has one', () => {
    const plan = planRoutes(wanted(unsafe('0.0.0.0/0')), [via('10.0.0.0/8')], NOTHING);
    expect(plan.add.map(({ route }) => routeKey(route))).to.deep.equal([
      '10.86.0.0/24 0',
      'fd86::/64 256',
      '0.0.0.0/0 0',
    ]);
    expect(plan.replace).to.deep.equal([]);
  });

  it('go behind the route of a network that the machine is on', () => {
    expect(placedKeys(wanted(unsafe('192.168.7.0/24')), [onLan('192.168.7.0/24')])).to.deep.equal(['192.168.7.0/24 1']);
    expect(placedKeys(wanted(unsafe('192.168.7.0/24')), [onLan('192.168.7.0/24', 600)])).to.deep.equal([
      '192.168.7.0/24 601',
    ]);
    expect(placedKeys(wanted(unsafe('fd99::/64')), [onLan('fd99::/64', 256)])).to.deep.equal(['fd99::/64 257']);
    const own = planRoutes(wanted({}), [onLan('10.86.0.0/24')], NOTHING);
    expect([...own.placed.keys()], 'a vpn network that is the LAN').to.include('10.86.0.0/24 1');
  });

  it('have the metric that the configuration names, or the next that is free', () => {
    expect(placedKeys(wanted(unsafe('192.168.7.0/24', { metric: 5 })), [onLan('192.168.7.0/24', 600)])).to.deep.equal([
      '192.168.7.0/24 5',
    ]);
    const taken = [via('0.0.0.0/0', 5), via('0.0.0.0/0', 6)];
    expect(placedKeys(wanted(unsafe('0.0.0.0/0', { metric: 5 })), taken)).to.deep.equal(['0.0.0.0/0 7']);
  });

  it('are preferred to a default route with a metric, and beside one without', () => {
    expect(placedKeys(wanted(unsafe('0.0.0.0/0')), [via('0.0.0.0/0', 100)])).to.deep.equal(['0.0.0.0/0 0']);
    expect(placedKeys(wanted(unsafe('0.0.0.0/0')), [via('0.0.0.0/0')])).to.deep.equal(['0.0.0.0/0 1']);
    expect(placedKeys(wanted(unsafe('::/0')), [via('::/0', 1024)])).to.deep.equal(['::/0 1025']);
  });

  it('are left alone when they are right, replaced when not, and taken away when ours and wanted no more', () => {
    const before = planRoutes(wanted({ mtu: 1300, ...unsafe('192.168.0.0/16') }), [], NOTHING);
    const standing = [...before.placed.values()].map(({ route }) => route);
    const byHand = { destination: net('10.99.0.0/16'), linkIndex: TUN };
    const same = planRoutes(wanted({ mtu: 1300, ...unsafe('192.168.0.0/16') }), [...standing, byHand], before.placed);
    expect([same.add, same.replace, same.remove]).to.deep.equal([[], [], []]);
    const changed = planRoutes(
      wanted({ mtu: 1300, ...unsafe('192.168.0.0/16', { mtu: 1290 }) }),
      standing,
      before.placed,
    );
    expect(changed.replace.map(({ route }) => `${route.destination.text} ${route.mtu}`)).to.deep.equal([
      '192.168.0.0/16 1290',
    ]);
    const gone = planRoutes(wanted({ mtu: 1300 }), [...standing, byHand], before.placed);
    expect(gone.remove.map(routeKey)).to.deep.equal(['192.168.0.0/16 0']);
  });
});
