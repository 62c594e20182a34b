// Who may connect, as whom, and what they may do: from the node's settings.
import { ImageAuthorizer, ListenerSecurity } from "@blumfeld/broker/security";
import type { Clock, Random } from "@blumfeld/core/base";
import type { MetadataImage } from "@blumfeld/core/controller";
import type { BrokerSettings } from "@blumfeld/core/model/settings";
import { parseSuperUsers } from "@blumfeld/core/security";
import { StartRefused } from "./start-refused.ts";

export interface NodeSecurity {
  /** Null: no authorizer.class.name, and everybody may do everything, as in Kafka. */
  readonly authorizer: ImageAuthorizer | null;
  readonly listeners: ListenerSecurity;
}

/** Throws StartRefused. */
export function nodeSecurityFrom(
  settings: BrokerSettings,
  parts: {
    /** Null until the metadata is replayed: no listener answers before. */
    readonly image: () => MetadataImage | null;
    readonly clock: Clock;
    readonly random: Random;
  },
): NodeSecurity {
  const listeners = ListenerSecurity.from({ ...parts, settings });
  if ("problem" in listeners)
    throw new StartRefused("unsupported", `${listeners.setting} ${listeners.problem}`, listeners.nextStep);
  return { listeners, authorizer: authorizerFrom(settings) };
}

function authorizerFrom(settings: BrokerSettings): ImageAuthorizer | null {
  if (settings.get("authorizer.class.name") === "") return null;
  const superUsers = parseSuperUsers(settings.textOfUnknown("super.users") ?? "");
  if ("wrong" in superUsers)
    throw new StartRefused(
      "unsupported",
      `super.users has ${JSON.stringify(superUsers.wrong)}, which is no principal`,
      "write principals as User:name, separated by semicolons",
    );
  const isOpenWithoutAcls = settings.textOfUnknown("allow.everyone.if.no.acl.found")?.trim().toLowerCase() === "true";
  return new ImageAuthorizer({ superUsers, isOpenWithoutAcls });
}
