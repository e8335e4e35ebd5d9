/** A program that opens a lab, starts something in it and then waits: what `lab.test.ts` interrupts and kills. */
import { Lab } from '../../src/primary/cli/demo/lab.ts';

const lab = new Lab('t');
const program = lab.start(lab.namespace('room'), ['sleep', '1000']);
console.log(JSON.stringify({ directory: lab.directory, program: program.mark }));
