// Which handler serves which API, by number. A number that is not here is not served: ApiVersions does not offer it.
import { assert } from "@blumfeld/core/base";
import { type Api, type ApiKey, apiOf } from "@blumfeld/core/protocol";
import type { Handler } from "../request-context.ts";

export class HandlerTable {
  private readonly handlers: (Handler<ApiKey> | undefined)[] = [];

  add<Key extends ApiKey>(key: Key, handler: Handler<Key>): void {
    assert(this.handlers[key] === undefined, `two handlers for ${apiOf(key).name}`);
    this.handlers[key] = handler as unknown as Handler<ApiKey>;
  }

  get(key: number): Handler<ApiKey> | undefined {
    return this.handlers[key];
  }

  /** What is served, in the order of keys. */
  served(): Api[] {
    const served: Api[] = [];
    this.handlers.forEach((handler, key) => {
      if (handler !== undefined) served.push(apiOf(key as ApiKey));
    });
    return served;
  }
}
