// Turns what node:fs throws into the port's DiskError.
import { DiskError } from "@blumfeld/core/base";

export function diskFailure(error: unknown, path: string, operation: string): DiskError {
  if (error instanceof DiskError) return error;
  const code = (error as { code?: unknown }).code;
  return new DiskError(typeof code === "string" ? code : "EIO", path, operation, error);
}
