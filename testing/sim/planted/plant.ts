// How a fault is planted: one method of a class is put in another's place while the simulator runs, and put back. Nothing in the product
// knows of it.

export interface PlantedBug {
  readonly name: string;
  /** What a reader of the code would say is wrong. */
  readonly what: string;
  /** Plants it; returns the way to take it out. */
  readonly plant: () => () => void;
}

type Method = (this: Record<string, unknown>, ...args: readonly unknown[]) => unknown;

/** `make` is given the method as it is. */
export function replaceMethod(
  owner: { readonly prototype: object },
  name: string,
  make: (original: Method) => Method,
): () => void {
  const { prototype } = owner;
  const before = Object.getOwnPropertyDescriptor(prototype, name);
  if (before === undefined) throw new Error(`there is no method ${name} to plant a fault in`);
  const original = before.value as Method;
  Object.defineProperty(prototype, name, { ...before, value: make(original) });
  return () => void Object.defineProperty(prototype, name, before);
}

export function replaceGetter(
  owner: { readonly prototype: object },
  name: string,
  make: (original: Method) => Method,
): () => void {
  const { prototype } = owner;
  const before = Object.getOwnPropertyDescriptor(prototype, name);
  if (before?.get === undefined) throw new Error(`there is no property ${name} to plant a fault in`);
  Object.defineProperty(prototype, name, { ...before, get: make(before.get as Method) });
  return () => void Object.defineProperty(prototype, name, before);
}
