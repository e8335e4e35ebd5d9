/** The shell over a control plane that fails: what is lost, and what is not. */
import { expect } from 'chai';
import { afterEach, beforeEach, describe, it } from 'mocha';
import type { Boundary } from '../../src/primary/boundary.ts';
import { until } from '../../src/primary/cli/demo/until.ts';
import type { Effect } from '../../src/primary/control/effects.ts';
import { type ControlCompanion, ControlShell, type ControlShellParts } from '../../src/primary/controlShell.ts';
import type { ToWorker } from '../../src/shared/ipc/messages.ts';
import { ip } from '../support/addresses.ts';
import { boundaryOver, CollectingLog } from '../support/collectingLog.ts';

const hostFailed = (last: number): Effect => ({ kind: 'hostFailed', address: ip(`10.0.0.${last}`) });

describe('control shell', () => {
  let log: CollectingLog;
  let boundary: Boundary;
  let shell: ControlShell;
  let sent: ToWorker[];
  let effects: Effect[];
  let nextMs: number | null;
  let onTimer: () => void;
  let onEffect: (effect: Effect) => void;

  beforeEach(() => {
    log = new CollectingLog();
    boundary = boundaryOver(log);
    sent = [];
    effects = [];
    nextMs = null;
    onTimer = () => undefined;
    onEffect = () => undefined;
    const control = {
      get nextMs() {
        return nextMs;
      },
      drain: () => effects.splice(0),
      onTimer: () => onTimer(),
      onMiss: () => {
        throw new Error('no way to there');
      },
    };
    const companion = {
      nextMs: null,
      drain: () => [],
      onTimer: () => undefined,
      onEffect: (_now: unknown, effect: Effect) => onEffect(effect),
    };
    shell = new ControlShell({
      control,
      companion: companion as unknown as ControlCompanion,
      boundary,
      log,
      broadcast: (message: ToWorker) => sent.push(message),
    } as unknown as ControlShellParts);
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
    expect(sent).to.have.length(1);
    await until('the timer', () => ticks === 1);
  });

  it('loses one effect by its fault, and none of the others', () => {
    onEffect = (effect) => {
      if (effect === first) {
        throw new Error('the companion fails');
      }
    };
    const first = hostFailed(1);
    shell.act(() => effects.push(first, hostFailed(2)));
    expect(sent).to.have.length(2);
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

  it('takes effects without end for a defect of the core, not for a reason to hang', () => {
    onEffect = () => effects.push(hostFailed(1));
    shell.act(() => effects.push(hostFailed(1)));
    expect(log.texts.filter((line) => line.startsWith('error broken: '))).to.have.length(1);
  });
});
