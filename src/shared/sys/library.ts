/**
 * Optional shared libraries: loaded when present and complete, otherwise null with the reason.
 *
 * Used by the cipher providers of `shared/crypto`. A library that is missing, too old or lacks a symbol is a normal
 * outcome here, never an exception. Loading runs the library's constructors, so a library that may crash belongs into a
 * process where a crash costs nothing.
 */
import koffi from 'koffi';
import { errorText } from '../log/errorText.ts';

/** C name → [result type, parameter types]. Pointers are 'uintptr_t' and travel as Numbers. */
export type Signatures = Readonly<Record<string, readonly [string, readonly string[]]>>;

/** Every function takes and returns Numbers (strings where the signature says 'str'). */
export type LibraryCall = (...values: (number | string | null)[]) => number;

export type LibraryFunctions<S extends Signatures> = { readonly [K in keyof S]: LibraryCall };

export interface LoadedLibrary<S extends Signatures> {
  /** File name that was found, or '' for the node binary itself. */
  readonly path: string;
  readonly functions: LibraryFunctions<S>;
}

export interface LibraryRequest<S extends Signatures> {
  /** Names for the dynamic loader, tried in order; null means the node binary and what it is linked with. */
  readonly names: readonly (string | null)[];
  readonly functions: S;
  /** Binds the library's own calls to its own symbols first: needed when it exports the same names as node. */
  readonly deep?: boolean;
  /** Says what is wrong with a loaded library (a version too old), or null. Must not throw. */
  readonly reject?: (functions: LibraryFunctions<S>) => string | null;
}

/** Loads the first acceptable library. On failure `library` is null and `reasons` has one line per name tried. */
export function loadLibrary<S extends Signatures>(
  request: LibraryRequest<S>,
): { readonly library: LoadedLibrary<S> | null; readonly reasons: readonly string[] } {
  const reasons: string[] = [];
  for (const name of request.names) {
    try {
      const functions = declareAll(name, request);
      const fault = request.reject?.(functions) ?? null;
      if (fault === null) {
        return { library: { path: name ?? '', functions }, reasons };
      }
      reasons.push(`${name ?? 'node binary'}: ${fault}`);
    } catch (error) {
      reasons.push(`${name ?? 'node binary'}: ${errorText(error)}`);
    }
  }
  return { library: null, reasons };
}

/** Text of a NUL-terminated string of the library, '' for a null pointer. */
export function readCString(address: number): string {
  return address === 0 ? '' : koffi.decode.string(address);
}

function declareAll<S extends Signatures>(name: string | null, request: LibraryRequest<S>): LibraryFunctions<S> {
  const handle = koffi.load(name, { deep: request.deep ?? false });
  const functions: Record<string, unknown> = {};
  for (const [symbol, [result, parameters]] of Object.entries(request.functions)) {
    functions[symbol] = handle.func(symbol, result, [...parameters]);
  }
  return functions as LibraryFunctions<S>;
}
