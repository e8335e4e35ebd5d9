/** Child programs of the demo and the tests: their lines, their end, and who is recognised as one of them. */
import { expect } from 'chai';
import { afterEach, describe, it } from 'mocha';
import { groupMembers, isRunning, markProcess, processStat } from '../../../src/primary/cli/demo/processTable.ts';
import { describeExit, Program } from '../../../src/primary/cli/demo/program.ts';
import { until } from '../../../src/primary/cli/demo/until.ts';

describe('program', function () {
  this.timeout(60_000);
  const started: Program[] = [];
  afterEach(() => {
    for (const program of started.splice(0)) {
      program.killGroup();
    }
  });

  function shell(script: string, input?: string): Program {
    const program = new Program('shell', ['sh', '-c', script], input === undefined ? {} : { input });
    started.push(program);
    return program;
  }

  it('keeps both streams line by line, and standard output apart', async () => {
    const program = shell('echo one; echo two >&2; printf three');
    expect(await program.exited).to.deep.equal({ code: 0, signal: null });
    expect([...program.lines].sort()).to.deep.equal(['one', 'three', 'two']);
    expect(program.stdout).to.equal('one\nthree\n');
  });

  it('gives the first line that matches, past or to come, from a place on', async () => {
    const program = shell('echo a1; echo b; echo a2; sleep 100');
    expect(await program.waitForLine(/^a/)).to.equal('a1');
    expect(await program.waitForLine(/^a/, 20_000, 1)).to.equal('a2');
    expect(await program.waitForLine(/b/)).to.equal('b');
  });

  it('says what was printed instead when a line does not come', async () => {
    const program = shell('echo something else; sleep 100');
    await program.waitForLine(/else/);
    const error = await program.waitForLine(/never/, 20).catch((reason: unknown) => reason);
    expect(String(error)).to.match(/did not print \/never\/ within 20 ms.*\n.*something else/);
  });

  it('does not wait for a line of a program that has ended', async () => {
    const program = shell('echo last words; exit 3');
    const error = await program.waitForLine(/never/, 60_000).catch((reason: unknown) => reason);
    expect(String(error)).to.match(/ended \(exit code 3\)[\s\S]*last words/);
    expect(program.status).to.deep.equal({ code: 3, signal: null });
  });

  it('hands over its input', async () => {
    const program = shell('cat', 'given\n');
    await program.exited;
    expect(program.lines).to.deep.equal(['given']);
  });

  it('refuses a program that does not exist', () => {
    expect(() => new Program('nothing', ['/nonexistent/program'])).to.throw(/cannot start nothing/);
  });

  it('ends gently first, by force when that does not help, children included', async () => {
    const gentle = shell('trap "exit 7" TERM; echo ready; while :; do sleep 0.01; done');
    await gentle.waitForLine(/ready/);
    expect(await gentle.stop()).to.deep.equal({ code: 7, signal: null });

    const stubborn = shell('trap "" TERM; sleep 100 & echo child $!; wait; sleep 100');
    const child = markProcess(Number((await stubborn.waitForLine(/child/)).split(' ')[1]));
    expect(describeExit(await stubborn.stop(50))).to.equal('signal SIGKILL');
    await until('the child to end', () => child === null || !isRunning(child));
  });
});

describe('process table', function () {
  this.timeout(60_000);

  it('knows this process and its numbers', () => {
    const stat = processStat(process.pid);
    expect(stat).to.deep.include({ pid: process.pid, parent: process.ppid });
    expect(stat?.startTicks).to.be.greaterThan(0);
    expect(processStat(2 ** 22 + 1)).to.equal(null);
  });

  it('recognises a process by number and start time together', () => {
    const mark = markProcess(process.pid);
    expect(mark !== null && isRunning(mark)).to.equal(true);
    expect(isRunning({ pid: process.pid, startTicks: 1 })).to.equal(false);
  });

  it('lists a group, but never a stranger that got the number of its leader', async () => {
    const program = new Program('shell', ['sh', '-c', 'sleep 100 & sleep 100 & echo ready; wait']);
    await program.waitForLine(/ready/);
    expect(groupMembers(program.mark)).to.have.length(3);
    expect(groupMembers({ ...program.mark, startTicks: program.mark.startTicks - 1 })).to.deep.equal([]);
    program.killGroup();
    await program.exited;
    await until('the group to end', () => groupMembers(program.mark).length === 0);
  });
});

describe('until', () => {
  it('returns the value that has come', async () => {
    let calls = 0;
    const value = await until('a number', () => (++calls === 3 ? calls : null), 20_000, 1);
    expect(value).to.equal(3);
  });

  it('gives up with the name of what did not come', async () => {
    const error = await until('the sky to fall', () => false, 5, 1).catch((reason: unknown) => reason);
    expect(String(error)).to.include('gave up after 5 ms waiting for the sky to fall');
  });
});
