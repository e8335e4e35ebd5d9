import { join } from 'node:path';
import { expect } from 'chai';
import { after, afterEach, describe, it } from 'mocha';
import { ServiceManager } from '../../../src/primary/machine/serviceManager.ts';
import { ManagerSocket } from '../../support/managerSocket.ts';
import { ownDirectory } from '../../support/ownDirectory.ts';

describe('service manager', () => {
  const [directory, remove] = ownDirectory('weft-notify-');
  const open: ManagerSocket[] = [];
  afterEach(() => {
    for (const socket of open.splice(0)) {
      socket.close();
    }
  });
  after(remove);

  function listen(name: string): ManagerSocket {
    const socket = new ManagerSocket(name);
    open.push(socket);
    return socket;
  }

  for (const [kind, name] of [
    ['a path', join(directory, 'notify')],
    ['an abstract name', `@weft-test/${process.pid}`],
  ]) {
    it(`is told of each step over ${kind}`, () => {
      const socket = listen(name);
      const environment = { NOTIFY_SOCKET: name, PATH: '/bin' };
      const manager = ServiceManager.fromEnvironment(environment);
      expect(environment, 'what children get').to.deep.equal({ PATH: '/bin' });
      const before = process.hrtime.bigint() / 1000n;
      manager.ready();
      manager.reloading();
      manager.stopping();
      const [ready, reloading, stopping] = socket.messages;
      expect([ready, stopping]).to.deep.equal(['READY=1', 'STOPPING=1']);
      const [, moment] = /^RELOADING=1\nMONOTONIC_USEC=(\d+)$/.exec(reloading)!;
      expect(BigInt(moment) >= before).to.equal(true);
    });
  }

  it('may be nobody, or deaf, or of a kind that weft does not know', () => {
    const long = `/${'x'.repeat(200)}`;
    for (const name of [undefined, '', '/', '@', 'vsock:2:1234', join(directory, 'nobody'), long]) {
      const manager = ServiceManager.fromEnvironment(name === undefined ? {} : { NOTIFY_SOCKET: name });
      manager.ready();
      manager.stopping();
    }
  });

  it('that reads nothing never stalls the node', () => {
    const socket = listen(join(directory, 'full'));
    const manager = new ServiceManager(socket.name);
    for (let round = 0; round < 2_000; round++) {
      manager.ready();
    }
    expect(socket.messages.length).to.be.greaterThan(0).and.lessThan(2_000);
  });
});
