/** What was thrown, in words: the end of a sentence, or of a log line. */
export function errorText(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
