/**
 * One YAML text as a tree of nodes that know their file and line. The loader merges such trees, validates their plain
 * values and reports places from them. Built on the event stream of js-yaml, whose events carry offsets; values are
 * resolved by `plainScalar.ts`. Never prints the source: it may hold a private key.
 */
import { EVENT_ID, type Event, getScalarValue, parseEvents, SCALAR_STYLE, YAMLException } from 'js-yaml';
import { isLegacyOctal, resolvePlainScalar, type ScalarValue } from './plainScalar.ts';
import { adviceAt, errorAt, formatPath, type PathStep, type Place, type Problem } from './problems.ts';
import { explainYamlFault } from './yamlFault.ts';

export interface ScalarNode {
  readonly kind: 'scalar';
  readonly place: Place;
  readonly value: ScalarValue;
  /** As written, without quotes. */
  readonly text: string;
}

export interface ListNode {
  readonly kind: 'list';
  readonly place: Place;
  readonly items: readonly ConfigNode[];
}

export interface MapNode {
  readonly kind: 'map';
  readonly place: Place;
  readonly entries: ReadonlyMap<string, ConfigNode>;
}

export type ConfigNode = ScalarNode | ListNode | MapNode;

export interface ParsedYaml {
  /** Null when the text is no map or no YAML; the problems say why. */
  readonly root: MapNode | null;
  readonly problems: readonly Problem[];
}

/** Aliases may multiply a small text; nobody needs more nodes than this. */
const NODE_COUNT_MAX = 200_000;
const DEPTH_MAX = 50;

/** Parses one file's text. An empty text is an empty map, as it is for Nebula. */
export function parseYaml(file: string, source: string): ParsedYaml {
  const reader = new EventReader(file, source);
  try {
    const root = reader.document(parseEvents(source, { filename: file, maxDepth: DEPTH_MAX }));
    return { root, problems: reader.problems };
  } catch (error) {
    if (error instanceof YAMLException) {
      const { line, message } = explainYamlFault(source, (error.mark?.line ?? -1) + 1, error.reason);
      return { root: null, problems: [errorAt({ file, line }, '', message)] };
    }
    if (error instanceof YamlFault) {
      return { root: null, problems: [errorAt(error.place, error.path, error.message)] };
    }
    throw error;
  }
}

/** Ends the reading of one text: what follows could not be understood. */
class YamlFault extends Error {
  readonly place: Place;
  readonly path: string;

  constructor(place: Place, path: string, message: string) {
    super(message);
    this.place = place;
    this.path = path;
  }
}

/** Whether a value is `port:443`, where an entry of a map was meant. */
export function isGluedEntry(node: ConfigNode): boolean {
  return node.kind === 'scalar' && /^[a-z_]+:[^\s:/]\S*$/.test(node.text);
}

class EventReader {
  readonly problems: Problem[] = [];
  readonly #file: string;
  readonly #source: string;
  readonly #lineStarts: number[] = [0];
  readonly #anchors: Map<string, { readonly node: ConfigNode; readonly nodeCount: number }> = new Map();
  readonly #path: PathStep[] = [];
  #events: readonly Event[] = [];
  #next = 0;
  #nodeCount = 0;
  /** Where the last event with an offset stood: the place of an empty value. */
  #offset = 0;

  constructor(file: string, source: string) {
    this.#file = file;
    this.#source = source;
    for (let at = source.indexOf('\n'); at >= 0; at = source.indexOf('\n', at + 1)) {
      this.#lineStarts.push(at + 1);
    }
  }

  document(events: readonly Event[]): MapNode | null {
    this.#events = events;
    const documents = events.filter((event) => event.type === EVENT_ID.DOCUMENT).length;
    const start = { file: this.#file, line: 1 };
    const empty: MapNode = { kind: 'map', place: start, entries: new Map() };
    if (documents > 1) {
      throw new YamlFault(start, '', 'more than one YAML document in one file; put each into a file of its own');
    }
    if (documents === 0) {
      return empty;
    }
    this.#next = 1;
    if (this.#events[this.#next].type === EVENT_ID.POP) {
      return empty;
    }
    const node = this.#node();
    if (node.kind === 'scalar' && node.value === null) {
      return empty;
    }
    if (node.kind !== 'map') {
      const kind = node.kind === 'list' ? 'a list' : 'a single value';
      throw new YamlFault(node.place, '', `expected a map of settings (\`key: value\`), found ${kind}`);
    }
    return node;
  }

  #node(): ConfigNode {
    const event = this.#events[this.#next++];
    if (++this.#nodeCount > NODE_COUNT_MAX) {
      throw new YamlFault(this.#place(), '', `more than ${NODE_COUNT_MAX} values; aliases that multiply?`);
    }
    const before = this.#nodeCount;
    if (event.type === EVENT_ID.ALIAS) {
      return this.#alias(event.anchorStart, event.anchorEnd);
    }
    const node = this.#anchored(event);
    if ('anchorStart' in event && event.anchorStart >= 0) {
      const name = this.#source.slice(event.anchorStart, event.anchorEnd);
      this.#anchors.set(name, { node, nodeCount: this.#nodeCount - before + 1 });
    }
    return node;
  }

  #anchored(event: Event): ConfigNode {
    switch (event.type) {
      case EVENT_ID.MAPPING:
        return this.#map(event.start);
      case EVENT_ID.SEQUENCE:
        return this.#list(event.start);
      case EVENT_ID.SCALAR: {
        if (event.valueStart >= 0) {
          this.#offset = event.valueStart;
        }
        const text = getScalarValue(this.#source, event);
        const tag = event.tagStart >= 0 ? this.#source.slice(event.tagStart, event.tagEnd) : '';
        const isText = event.style !== SCALAR_STYLE.PLAIN || tag === '!!str' || tag === '!';
        const place = this.#place();
        if (tag !== '' && !/^!(?:!(?:str|int|float|bool|null))?$/.test(tag)) {
          throw new YamlFault(place, formatPath(this.#path), `the YAML tag ${tag} is not supported`);
        }
        if (!isText && isLegacyOctal(text)) {
          const value = String(resolvePlainScalar(text));
          const message = `${text} is read as the octal number ${value}, as Nebula does; write ${value}, or quote it`;
          this.problems.push(adviceAt(place, formatPath(this.#path), message));
        }
        return { kind: 'scalar', place, text, value: isText ? text : resolvePlainScalar(text) };
      }
      default:
        throw new YamlFault(this.#place(), formatPath(this.#path), 'not valid YAML: a value is missing');
    }
  }

  #alias(start: number, end: number): ConfigNode {
    this.#offset = start;
    const name = this.#source.slice(start, end);
    const target = this.#anchors.get(name);
    if (target === undefined) {
      throw new YamlFault(this.#place(), formatPath(this.#path), `the alias *${name} has no anchor &${name} above it`);
    }
    this.#nodeCount += target.nodeCount;
    return target.node;
  }

  #list(start: number): ListNode {
    this.#offset = start;
    const place = this.#place();
    const items: ConfigNode[] = [];
    while (this.#events[this.#next].type !== EVENT_ID.POP) {
      this.#path.push(items.length);
      items.push(this.#node());
      this.#path.pop();
    }
    this.#next++;
    return { kind: 'list', place, items };
  }

  #map(start: number): MapNode {
    this.#offset = start;
    const place = this.#place();
    const entries = new Map<string, ConfigNode>();
    const merged: ConfigNode[] = [];
    while (this.#events[this.#next].type !== EVENT_ID.POP) {
      const key = this.#node();
      const keyPlace = this.#place();
      if (key.kind !== 'scalar') {
        throw new YamlFault(key.place, formatPath(this.#path), 'a key must be text, not a list or a map');
      }
      this.#path.push(key.text);
      if (entries.has(key.text)) {
        throw new YamlFault(keyPlace, formatPath(this.#path), 'this key stands twice in the same map');
      }
      const value = this.#node();
      if (key.text === '<<' && value.kind !== 'scalar') {
        merged.push(...(value.kind === 'list' ? value.items : [value]));
      } else {
        // A value's line is its key's: what an operator looks for, also when the value is empty, folded or an alias.
        entries.set(key.text, { ...value, place: isGluedEntry(value) ? value.place : keyPlace });
      }
      this.#path.pop();
    }
    this.#next++;
    this.#mergeInto(entries, merged);
    return { kind: 'map', place, entries };
  }

  /** YAML merge keys (`<<: *defaults`): what the map itself says wins, then the first of several. */
  #mergeInto(entries: Map<string, ConfigNode>, sources: readonly ConfigNode[]): void {
    for (const source of sources) {
      if (source.kind !== 'map') {
        throw new YamlFault(source.place, formatPath([...this.#path, '<<']), 'a merge key takes maps only');
      }
      for (const [name, node] of source.entries) {
        if (!entries.has(name)) {
          entries.set(name, node);
        }
      }
    }
  }

  #place(): Place {
    let low = 0;
    let high = this.#lineStarts.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.#lineStarts[middle] <= this.#offset) {
        low = middle;
      } else {
        high = middle - 1;
      }
    }
    return { file: this.#file, line: low + 1 };
  }
}
