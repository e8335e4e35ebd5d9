/** Hostile lighthouse and DNS messages: no exception, no write outside of the own memory, whatever comes in. */
import { expect } from 'chai';
import { encode } from 'dns-packet';
import { describe, it } from 'mocha';
import { DnsAnswers } from '../../src/dns/answers.ts';
import { parseAddress } from '../../src/shared/ip/address.ts';
import { LighthouseDecoder } from '../../src/shared/wire/lighthouseDecoder.ts';
import { encodeLighthouse, LIGHTHOUSE_BYTES_MAX } from '../../src/shared/wire/lighthouseEncoder.ts';
import { LighthouseMessage } from '../../src/shared/wire/lighthouseMessage.ts';
import { LIGHTHOUSE_OUTPUT_BYTES, LighthouseVerdict } from '../../src/worker/lighthouse/lighthouseHandler.ts';
import { World } from '../bench/lighthouse/world.ts';
import { filledZone } from '../support/dnsZone.ts';
import { Random } from '../support/random.ts';

const rounds = Number(process.env.WEFT_FUZZ ?? 200_000);

/** Bytes that mean something to the decoder: tags, lengths, varint ends. */
const telling = [0x00, 0x08, 0x0a, 0x10, 0x12, 0x18, 0x22, 0x28, 0x2a, 0x32, 0x3a, 0x0b, 0x0d, 0x7f, 0x80, 0xff];

describe('fuzz: lighthouse', function () {
  this.timeout(600_000);

  it(`takes ${rounds} hostile messages without an exception, and sends only what can be decoded`, () => {
    const random = new Random(20);
    const worlds = [new World(50, 1, 1), new World(50, 2, 2)];
    const samples = worlds.map((world) => [
      ...world.queries(30, true).bodies,
      ...world.queries(5, false).bodies,
      ...world.updates(Array.from({ length: 30 }, (_, index) => index)).bodies,
    ]);
    const input = new Uint8Array(2048);
    const verdicts = new Map<number, number>();
    const decoder = new LighthouseDecoder();
    const message = new LighthouseMessage();
    let sent = 0;
    for (let round = 0; round < rounds; round++) {
      const kind = round & 1;
      const world = worlds[kind];
      const length = mutate(random, random.pick(samples[kind]), input);
      const offset = 16;
      world.resetSent();
      world.keeps = round % 16 === 0;
      const verdict = world.handler.handle(input, offset, length, world.peers[random.below(50)]);
      verdicts.set(verdict, (verdicts.get(verdict) ?? 0) + 1);
      sent += world.sentCount;
      if (world.sentCount > 2) {
        expect.fail(`${world.sentCount} messages for one`);
      }
      for (const { body } of world.sent) {
        const bytes = Buffer.from(body, 'hex');
        expect(bytes.length).to.be.lessThan(LIGHTHOUSE_OUTPUT_BYTES);
        expect(decoder.decode(bytes, 0, bytes.length, message)).to.equal(0);
      }
    }
    expect(sent).to.be.greaterThan(rounds / 10);
    expect(verdicts.get(LighthouseVerdict.Malformed)).to.be.greaterThan(rounds / 100);
    expect(verdicts.get(LighthouseVerdict.Done)).to.be.greaterThan(rounds / 100);
  });

  it(`decodes within bounds, and what it decodes can be encoded again (${rounds} inputs)`, () => {
    const random = new Random(21);
    const decoder = new LighthouseDecoder();
    const message = new LighthouseMessage();
    const again = new LighthouseMessage();
    const input = new Uint8Array(2048);
    const output = new Uint8Array(LIGHTHOUSE_BYTES_MAX);
    let decoded = 0;
    for (let round = 0; round < rounds; round++) {
      const fields = messageFields(random);
      fields.forEach((byte, index) => {
        input[16 + index] = byte;
      });
      const length = round % 4 === 0 ? mutate(random, Uint8Array.from(fields), input) : fields.length;
      const fault = decoder.decode(input, 16, length, message);
      if (fault > 0 || fault < -7 || !Number.isInteger(fault)) {
        expect.fail(`fault ${fault}`);
      }
      if (message.v4Count > 10 || message.v6Count > 10 || message.relayCount > 10) {
        expect.fail('a list outgrew its bounds');
      }
      if (fault === 0 && message.type > 0 && message.type < 0x80) {
        decoded++;
        const size = encodeLighthouse(message, output, 0);
        const isSame =
          decoder.decode(output, 0, size, again) === 0 &&
          again.type === message.type &&
          again.v4Count === message.v4Count &&
          again.v6Count === message.v6Count &&
          again.hasTarget === message.hasTarget;
        if (!isSame) {
          expect.fail(`not the same again: ${Buffer.from(input.subarray(16, 16 + length)).toString('hex')}`);
        }
      }
    }
    expect(decoded).to.be.within(rounds / 10, (rounds * 9) / 10);
  });

  it(`answers ${rounds / 10} hostile DNS queries without an exception`, () => {
    const random = new Random(22);
    const answers = new DnsAnswers(filledZone());
    const client = parseAddress('127.0.0.1')!;
    const samples = [
      encode({ type: 'query', id: 1, questions: [{ type: 'A', name: 'db.prod' }] }),
      encode({ type: 'query', id: 1, questions: [{ type: 'TXT', name: '10.0.0.7' }] }),
      encode({
        type: 'query',
        id: 1,
        questions: [{ type: 'AAAA', name: 'db.prod' }],
        additionals: [{ type: 'OPT', name: '.', udpPayloadSize: 4096, flags: 0, options: [] } as never],
      }),
    ];
    const input = new Uint8Array(2048);
    let answered = 0;
    for (let round = 0; round < rounds / 10; round++) {
      const length = mutate(random, random.pick(samples), input);
      const answer = answers.answer(input.subarray(16, 16 + length), client, 'udp');
      answered += answer === null ? 0 : 1;
      if (answer !== null && answer.length > 3 * length) {
        expect.fail(`an answer of ${answer.length} bytes`);
      }
    }
    expect(answered).to.be.greaterThan(rounds / 200);
  });
});

/** Copies a sample to offset 16 of `target` with a few faults in it; returns its length. */
function mutate(random: Random, sample: Uint8Array, target: Uint8Array): number {
  target.set(sample, 16);
  let length = sample.length;
  for (let left = random.below(4); left > 0; left--) {
    const at = 16 + random.below(length + 1);
    switch (random.below(5)) {
      case 0:
        target[at] = random.u32();
        break;
      case 1:
        target[at] = random.pick(telling);
        break;
      case 2:
        length = Math.max(0, at - 16);
        break;
      case 3:
        // A piece of the message once more: repeated and nested fields.
        target.copyWithin(at, 16, 16 + Math.min(length, 64));
        length = Math.min(1024, length + random.below(64));
        break;
      default:
        target[at] ^= 1 << random.below(8);
    }
  }
  return length;
}

/** A message of known and unknown fields in any order and number; now and then with a wrong type or value. */
function messageFields(random: Random): number[] {
  const details = Array.from({ length: random.below(16) }, () => detailsField(random)).flat();
  return [0x08, ...varint(random, random.below(12)), ...lengthPrefixed(0x12, details), ...unknownField(random)];
}

function detailsField(random: Random): number[] {
  const u32 = (): number[] => varint(random, random.bool() ? random.u32() : random.below(200));
  const port = (): number[] => varint(random, random.below(random.below(50) === 0 ? 70_000 : 65_536));
  const halves = (): number[] => [0x08, ...u64(random), 0x10, ...u64(random)];
  switch (random.below(9)) {
    case 0:
      return [0x08, ...u32()];
    case 1:
      return lengthPrefixed(0x12, [0x08, ...u32(), 0x10, ...port(), ...unknownField(random)]);
    case 2:
      return lengthPrefixed(0x22, [...halves(), 0x18, ...port()]);
    case 3:
      return [0x28, ...u32()];
    case 4:
      return lengthPrefixed(0x2a, Array.from({ length: random.below(6) }, u32).flat());
    case 5:
      return lengthPrefixed(0x32, halves());
    case 6:
      return lengthPrefixed(0x3a, halves());
    case 7:
      return [0x18, ...u32()];
    default:
      return unknownField(random);
  }
}

function unknownField(random: Random): number[] {
  switch (random.below(40)) {
    case 0:
      return [0x78, ...varint(random, random.u32())];
    case 1:
      return lengthPrefixed(0x7a, [...random.bytes(random.below(5))]);
    case 2:
      return [0x7d, ...random.bytes(4)];
    case 3:
      return [0x79, ...random.bytes(8)];
    case 4:
      return [random.pick(telling)];
    default:
      return [];
  }
}

function lengthPrefixed(tag: number, content: readonly number[]): number[] {
  const length = content.length < 0x80 ? [content.length] : [(content.length & 0x7f) | 0x80, content.length >> 7];
  return [tag, ...length, ...content];
}

/** A varint, sometimes longer than it need be. */
function varint(random: Random, value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  while (rest > 0x7f) {
    bytes.push((rest & 0x7f) | 0x80);
    rest = Math.floor(rest / 128);
  }
  return random.below(20) === 0 ? [...bytes, rest | 0x80, 0] : [...bytes, rest];
}

function u64(random: Random): number[] {
  const bytes = Array.from({ length: random.below(10) }, () => random.u32() | 0x80);
  return [...bytes, random.below(bytes.length === 9 ? 2 : 128)].map((byte) => byte & 0xff);
}
