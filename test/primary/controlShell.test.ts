/** The shell over a control plane that fails: what is lost, and what is not. */
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { Boundary } from '../../src/primary/boundary.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import type { ControlPlane } from '../../src/primary/control/controlPlane.ts';
import type { Effect, ResolveAnswer, ResolveRequest } from '../../src/primary/control/effects.ts';
import { ControlShell } from '../../src/primary/controlShell.ts';
import { ip } from '../support/addresses.ts';
import { boundaryOver, CollectingLog } from '../support/collectingLog.ts';

const hostFailed = (last: number): Effect => ({ kind: 'hostFailed', address: ip(`10.0.0.${last}`) });

describe('control shell', () => {
  let boundary: Boundary;
  let shell: ControlShell;
  let carriedOut: Effect[];
  let effects: Effect[];
  let nextMs: number | null;
  let onTimer: () => void;
  let carryOut: (effect: Effect) => void;
  let resolve: () => Promise<ResolveAnswer>;
  let resolved: unknown[];

  beforeEach(() => {
    boundary = boundaryOver(new CollectingLog());
    carriedOut = [];
    effects = [];
    nextMs = null;
    onTimer = () => undefined;
    carryOut = (effect) => carriedOut.push(effect);
    resolve = () => Promise.resolve({ endpoints: [], failures: [] });
    resolved = [];
    const control = {
      get nextMs() {
        return nextMs;
      },
      drain: () => effects.splice(0),
      onTimer: () => onTimer(),
      onResolved: (_now: unknown, id: number) => {
        resolved.push(id);
        effects.push(hostFailed(9));
      },
    };
    shell = new ControlShell({
      control: control as unknown as ControlPlane,
      performer: { carryOut: (effect) => carryOut(effect) },
      resolver: { resolve: () => resolve() },
      boundary,
    });
  });
  afterEach(() => shell.close());

  it('carries out what an event wanted before it failed, and sets the timer', async () => {
    let ticks = 0;
    onTimer = () => {
      ticks++;
      nextMs = null;
    };
    const event = (): void => {
      effects.push(hostFailed(1));
      nextMs = performance.now();
      throw new Error('half way');
    };
    expect(() => shell.act(event)).to.throw('half way');
    expect(carriedOut).to.have.length(1);
    await until('the timer', () => ticks === 1);
  });

  it('loses one effect by its fault, and none of the others', () => {
    const first = hostFailed(1);
    carryOut = (effect) => {
      if (effect === first) {
        throw new Error('the network fails');
      }
      carriedOut.push(effect);
    };
    shell.act(() => effects.push(first, hostFailed(2)));
    expect(carriedOut).to.deep.equal([hostFailed(2)]);
    expect(boundary.counts.get('boundary.effect')).to.equal(1);
  });

  it('comes back to a deadline that fails, with turns for others in between', async () => {
    let ticks = 0;
    let turns = 0;
    nextMs = performance.now();
    onTimer = () => {
      ticks++;
      throw new Error('cannot be kept');
    };
    const others = setInterval(() => turns++, 1);
    shell.act(() => undefined);
    await until('a second attempt', () => ticks >= 2);
    clearInterval(others);
    expect(boundary.counts.get('boundary.timer')).to.equal(ticks);
    expect(turns).to.be.greaterThan(2);
  });

  it('makes an event of the answer to a lookup, and goes on without one that fails', async () => {
    const request = { id: 7 } as ResolveRequest;
    shell.act(() => effects.push({ kind: 'resolve', request }));
    await until('the answer', () => resolved.length === 1);
    expect(resolved).to.deep.equal([7]);
    expect(carriedOut).to.deep.equal([hostFailed(9)]);
    resolve = () => Promise.reject(new Error('no resolver'));
    shell.act(() => effects.push({ kind: 'resolve', request }));
    await until('the fault', () => boundary.counts.get('boundary.lookup') === 1);
    expect(resolved).to.deep.equal([7]);
  });
});
