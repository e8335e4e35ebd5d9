/** `weft cert keygen`: a host's key pair, made where the private key will live, so that it never has to travel. */
import { formatKey } from '../../pki/keyFile.ts';
import { type FlagValues, stringFlag } from '../flags.ts';
import { curveOf, requireText } from './arguments.ts';
import { newHostKey } from './hostKey.ts';
import { type CertIo, checkStreams, writeOutput } from './io.ts';
import { defineMode, type Mode } from './mode.ts';

const FLAGS = {
  curve: stringFlag('ECDH curve: 25519 or P256', '25519'),
  'out-key': stringFlag('Required: path to write the private key to; an existing file is overwritten'),
  'out-pub': stringFlag('Required: path to write the public key to; an existing file is overwritten'),
};

export const keygenMode: Mode = defineMode(
  'keygen',
  'create a public/private key pair. the public key can be passed to `weft cert sign`',
  FLAGS,
  run,
);

async function run(flags: FlagValues<typeof FLAGS>, io: CertIo): Promise<void> {
  requireText('out-key', flags['out-key']);
  requireText('out-pub', flags['out-pub']);
  checkStreams({}, { 'out-key': flags['out-key'], 'out-pub': flags['out-pub'] });
  const curve = curveOf(flags.curve);
  const { publicKey, keyFile } = newHostKey(curve);
  writeOutput(io, flags['out-key'], keyFile, 'out-key', 'overwrite');
  keyFile.fill(0);
  writeOutput(io, flags['out-pub'], formatKey('host public', { curve, bytes: publicKey }), 'out-pub', 'overwrite');
}
