import { readFileSync, writeFileSync } from 'node:fs';
import { inflateSync } from 'node:zlib';
import { expect } from 'chai';
import { after, before, describe, it } from 'mocha';
import decodeQr from 'qr/decode.js';
import { NOW } from '../../../support/certificates.ts';
import { CertTool } from '../../../support/certTool.ts';
import { toHex } from '../../../support/hex.ts';

describe('weft cert print', () => {
  const tool = new CertTool(NOW);
  after(() => tool.remove());

  before(async () => {
    const ca = await tool.makeCa('print-ca', '-version', '1', '-groups', 'a', '-duration', '240h');
    await tool.must([
      'sign',
      ...ca,
      '-name',
      '<h>\u001b[31m',
      '-networks',
      '10.0.0.1/8',
      '-version',
      '2',
      '-duration',
      '47h',
      ...tool.outputs('print'),
    ]);
    writeFileSync(tool.path('both.crt'), tool.read('print-ca.crt') + tool.read('print.crt'));
  });

  it('shows tables with the time that is left', async () => {
    const { code, stdout } = await tool.run(['print', '-path', tool.path('both.crt')]);
    expect(code).to.equal(0);
    const [first, second] = stdout.split('\n\n');
    expect(first).to.match(/^Name +print-ca\nKind +CA certificate, version 1\nNetworks +any\n/);
    expect(first).to.match(/^Groups +a$/m);
    expect(first).to.match(/^Valid until +2027-01-25T08:00:00Z \(10 days left\)$/m);
    expect(second).to.match(/^Name +<h>\\u\{1b\}\[31m\nKind +host certificate, version 2\nNetworks +10\.0\.0\.1\/8\n/);
    expect(second).to.match(/^Unsafe networks {2}none$/m);
    expect(second).to.match(/^Valid until .*\(47 hours left\)$/m);
    expect(second).to.include(tool.certificates('print.crt')[0].fingerprint);
    tool.now = NOW + 60 * 86_400;
    expect((await tool.run(['print', '-path', tool.path('print.crt')])).stdout).to.match(/EXPIRED 58 days ago/);
    tool.now = NOW - 86_400;
    expect((await tool.run(['print', '-path', tool.path('print.crt')])).stdout).to.match(
      /NOT YET VALID, starts in 24 hours/,
    );
    tool.now = NOW;
  });

  it('prints the JSON of nebula-cert', async () => {
    const { code, stdout } = await tool.run(['print', '-json', '-path', '-'], { stdin: tool.read('both.crt') });
    expect(code).to.equal(0);
    const [ca, host] = [tool.certificates('print-ca.crt')[0], tool.certificates('print.crt')[0]];
    const zone = '(?:Z|[+-]\\d\\d:\\d\\d)';
    const time = `"20\\d\\d-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\d${zone}"`;
    const escaped = (text: string): string => text.replaceAll(/[[\]{}()\\.*+?$^|]/g, '\\$&');
    expect(stdout).to.match(
      new RegExp(
        `^\\[${escaped('{"details":{"curve":"CURVE25519","groups":["a"],"isCa":true,"issuer":"","name":"print-ca","networks":[],')}` +
          `"notAfter":${time},"notBefore":${time},"publicKey":"${toHex(ca.publicKey)}","unsafeNetworks":\\[\\]},` +
          `"fingerprint":"${ca.fingerprint}","signature":"${toHex(ca.signature)}","version":1},` +
          `${escaped('{"curve":"CURVE25519","details":{"groups":null,"isCa":false,"issuer":"')}${ca.fingerprint}` +
          `${escaped('","name":"\\u003ch\\u003e\\u001b[31m","networks":["10.0.0.1/8"],')}` +
          `"notAfter":${time},"notBefore":${time},"unsafeNetworks":null},` +
          `"fingerprint":"${host.fingerprint}","publicKey":"${toHex(host.publicKey)}",` +
          `"signature":"${toHex(host.signature)}","version":2}\\]\\n$`,
      ),
    );
    const parsed: unknown = JSON.parse(stdout);
    expect(parsed).to.have.nested.property('[1].details.name', '<h>\u001b[31m');
    expect(Date.parse((parsed as { details: { notAfter: string } }[])[1].details.notAfter)).to.equal(
      host.notAfter * 1000,
    );
  });

  it('draws a QR code that reads back as the PEM text', async () => {
    const run = await tool.run(['print', '-path', tool.path('print.crt'), '-out-qr', '-']);
    expect([run.code, run.stderr]).to.deep.equal([0, '']);
    expect(readQr(run.stdoutBytes)).to.equal(tool.read('print.crt'));
    await tool.must(['ca', '-name', 'q', ...tool.outputs('qr'), '-out-qr', tool.path('qr.png')]);
    expect(readQr(readFileSync(tool.path('qr.png')))).to.equal(tool.read('qr.crt'));
    expect(tool.mode('qr.png')).to.equal(0o600);
  });

  it('refuses what is no certificate', async () => {
    writeFileSync(tool.path('empty.crt'), '');
    expect(await tool.failure(['print'])).to.match(/^-path is required\nUsage/);
    expect(await tool.failure(['print', '-path', '/nowhere'])).to.match(/^error while reading path: ENOENT/);
    expect(await tool.failure(['print', '-path', tool.path('print.key')])).to.match(/certificate banner/);
    expect(await tool.failure(['print', '-path', tool.path('empty.crt')])).to.match(/empty/);
    const long = Array(12).fill(tool.read('print.crt')).join('');
    expect(await tool.failure(['print', '-path', '-', '-out-qr', '-'], { stdin: long })).to.match(
      /qr code: \d+ bytes do not fit/,
    );
  });
});

/** Reads a black-and-white PNG without filters and the QR code in it. */
function readQr(png: Buffer): string {
  expect(png.subarray(0, 8).toString('hex')).to.equal('89504e470d0a1a0a');
  const chunks: Record<string, Buffer> = {};
  for (let offset = 8; offset < png.length; ) {
    const length = png.readUInt32BE(offset);
    chunks[png.toString('latin1', offset + 4, offset + 8)] = png.subarray(offset + 8, offset + 8 + length);
    offset += length + 12;
  }
  const [width, height] = [chunks['IHDR'].readUInt32BE(0), chunks['IHDR'].readUInt32BE(4)];
  expect([...chunks['IHDR'].subarray(8)]).to.deep.equal([1, 0, 0, 0, 0]);
  const lines = inflateSync(chunks['IDAT']);
  const lineBytes = 1 + Math.ceil(width / 8);
  const data = new Uint8Array(width * height * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const isWhite = (lines[y * lineBytes + 1 + (x >> 3)] & (0x80 >> (x & 7))) !== 0;
      data.fill(isWhite ? 255 : 0, (y * width + x) * 4, (y * width + x) * 4 + 4);
      data[(y * width + x) * 4 + 3] = 255;
    }
  }
  return decodeQr({ width, height, data });
}
