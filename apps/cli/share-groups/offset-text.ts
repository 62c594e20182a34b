// How an offset that may not be there is shown.

/** Below 0: there is none. */
export function offsetText(offset: number): number | string {
  return offset < 0 ? "-" : offset;
}
