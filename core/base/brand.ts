// Nominal types that erase: a plain number or string at run time, a distinct type to the compiler.

declare const brandName: unique symbol;

/** `Base` that the compiler keeps apart from every other `Base`. Costs nothing at run time. */
export type Brand<Base, Name extends string> = Base & { readonly [brandName]: Name };
