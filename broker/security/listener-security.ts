// What each listener asks of its connections, from the node's settings: the SASL mechanisms that are enabled, with the users that they know. Settings
// that cannot be kept are refused when the node starts, never at the first login.
import type { Clock, Random } from "@blumfeld/core/base";
import { type MetadataImage, scramMechanismCode } from "@blumfeld/core/controller";
import type { BrokerSettings } from "@blumfeld/core/model/settings";
import {
  PlainServer,
  parseJaas,
  plainLoginModule,
  plainUsersOf,
  type SaslServer,
  type ScramMechanism,
  ScramServer,
  scramMechanisms,
  scramNonce,
} from "@blumfeld/core/security";
import { ConnectionAuthentication, type SaslMechanisms } from "./connection-authentication.ts";

export interface ListenerSecurityParts {
  readonly settings: BrokerSettings;
  /** Null: no user is known yet. */
  readonly image: () => MetadataImage | null;
  readonly clock: Clock;
  readonly random: Random;
}

/** A setting of a listener that cannot be kept. */
export interface SecurityProblem {
  readonly setting: string;
  readonly problem: string;
  readonly nextStep: string;
}

export class ListenerSecurity {
  private readonly parts: ListenerSecurityParts;
  private readonly byListener = new Map<string, SaslMechanisms>();
  private readonly decoySecret: Buffer;

  private constructor(parts: ListenerSecurityParts) {
    this.parts = parts;
    this.decoySecret = parts.random.bytes(32);
  }

  /** For the settings of all listeners, or what is wrong with them. */
  static from(parts: ListenerSecurityParts): ListenerSecurity | SecurityProblem {
    const security = new ListenerSecurity(parts);
    for (const { listenerName, securityProtocol } of parts.settings.shape.listeners) {
      if (!securityProtocol.startsWith("SASL_")) continue;
      const mechanisms = security.mechanismsOf(listenerName);
      if ("problem" in mechanisms) return mechanisms;
      security.byListener.set(listenerName, mechanisms);
    }
    return security;
  }

  /** For a new connection; null where the listener asks for nothing. */
  authenticationFor(listenerName: string): ConnectionAuthentication | null {
    const mechanisms = this.byListener.get(listenerName);
    return mechanisms === undefined ? null : new ConnectionAuthentication(mechanisms);
  }

  private mechanismsOf(listenerName: string): SaslMechanisms | SecurityProblem {
    const { clock, settings } = this.parts;
    const byName = new Map<string, () => SaslServer>();
    const enabled = settings.textForListener(listenerName, "sasl.enabled.mechanisms") ?? "";
    for (const mechanism of enabled.split(",").map((name) => name.trim())) {
      if (mechanism === "") continue;
      const made = this.serverOf(listenerName, mechanism);
      if ("problem" in made) return made;
      byName.set(mechanism, made.create);
    }
    if (byName.size === 0)
      return {
        setting: "sasl.enabled.mechanisms",
        problem: `is empty, and nobody can log in on the listener ${listenerName}`,
        nextStep: "name at least one of PLAIN, SCRAM-SHA-256, SCRAM-SHA-512",
      };
    return {
      byName,
      sessionMsMax: settings.get("connections.max.reauth.ms"),
      failureDelayMs: settings.get("connection.failed.authentication.delay.ms"),
      clock,
    };
  }

  private serverOf(listenerName: string, mechanism: string): { create: () => SaslServer } | SecurityProblem {
    if (mechanism === "PLAIN") return this.plainOf(listenerName);
    if (mechanism in scramMechanisms) {
      const name = mechanism as ScramMechanism;
      const { image, random } = this.parts;
      const code = scramMechanismCode[name];
      return {
        create: () =>
          new ScramServer({
            mechanism: name,
            // Delegation tokens have keys of their own, which this broker does not have.
            keysOf: (user, isToken) => (isToken ? undefined : image()?.scram.get(code, user)),
            nonce: scramNonce(random),
            decoySecret: this.decoySecret,
          }),
      };
    }
    return {
      setting: "sasl.enabled.mechanisms",
      problem: `names ${mechanism}, which this broker does not have`,
      nextStep: "use PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512",
    };
  }

  private plainOf(listenerName: string): { create: () => SaslServer } | SecurityProblem {
    const setting = `listener.name.${listenerName.toLowerCase()}.plain.sasl.jaas.config`;
    const { settings } = this.parts;
    const written =
      settings.textForListener(listenerName, "plain.sasl.jaas.config") ??
      settings.textForListener(listenerName, "sasl.jaas.config");
    const nextStep = `set ${setting}=${plainLoginModule} required user_NAME="PASSWORD";`;
    if (written === null) return { setting, problem: "is not set, and PLAIN has no users", nextStep };
    const entry = parseJaas(written);
    if ("problem" in entry) return { setting, problem: `cannot be read: ${entry.problem}`, nextStep };
    if (entry.loginModule !== plainLoginModule)
      return { setting, problem: `names the login module ${entry.loginModule}`, nextStep };
    const users = plainUsersOf(entry);
    return { create: () => new PlainServer(users) };
  }
}
