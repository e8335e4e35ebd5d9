/**
 * How long the tests of this folder attack: a short form for `npm test`, a long one for `npm run test:adversary`
 * (`WEFT_ADVERSARY=long`). Amounts are bounded in both; what is asserted is the same.
 */

const LONG_FACTOR = 10;

/** Whether the long form was asked for. */
export const isLong: boolean = process.env['WEFT_ADVERSARY'] === 'long';

/** `amount` in the short form, ten times as much in the long one: packets, rounds or seconds of an attack. */
export function adversaryScale(amount: number): number {
  return isLong ? amount * LONG_FACTOR : amount;
}
