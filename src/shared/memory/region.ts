/** A stretch of shared memory that belongs to one table: it starts at `byteOffset`, a multiple of 64, of `buffer`. */
export interface Region {
  readonly buffer: ArrayBufferLike;
  readonly byteOffset: number;
}
