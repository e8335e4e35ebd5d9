/** A clock that stands until a test moves it, and then runs what was due. */
export class HeldClock {
  #nowMs = 5000;
  #jobs: { readonly atMs: number; readonly work: () => void }[] = [];

  nowMs(): number {
    return this.#nowMs;
  }

  after(ms: number, work: () => void): void {
    this.#jobs.push({ atMs: this.#nowMs + ms, work });
  }

  advance(ms: number): void {
    this.#nowMs += ms;
    const due = this.#jobs.filter((job) => job.atMs <= this.#nowMs);
    this.#jobs = this.#jobs.filter((job) => job.atMs > this.#nowMs);
    for (const job of due) {
      job.work();
    }
  }
}
