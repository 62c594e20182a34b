// One version for all of it.
export const version = "0.1.0";
