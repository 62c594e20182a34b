// A heartbeat that is refused: the error and what the member is told.
import type { ErrorCode } from "../../../protocol/index.ts";

export class Refused {
  readonly errorCode: ErrorCode;
  readonly message: string;

  constructor(errorCode: ErrorCode, message: string) {
    this.errorCode = errorCode;
    this.message = message;
  }
}

export function refused(errorCode: ErrorCode, message: string): Refused {
  return new Refused(errorCode, message);
}
