// Our own mistakes. An assertion that fails means the code is wrong, never that a peer or a file is: those have error codes and refusals.

/** Thrown when the program contradicts itself. It stops the partition or the process that it happens in. */
export class AssertionFailure extends Error {
  override name = "AssertionFailure";
}

export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new AssertionFailure(message);
}

/** For the branch that the types say cannot be reached. */
export function unreachable(value: never, what: string): never {
  throw new AssertionFailure(`${what}: impossible value ${String(value)}`);
}
