// security.protocol, sasl.mechanism and sasl.jaas.config of a Java client's properties as this client's `sasl` option.
import type { Definitions, Settings } from "@blumfeld/core/model/settings";
import { parseJaas, plainLoginModule, scramLoginModule } from "@blumfeld/core/security";
import { clientError } from "../errors.ts";
import { type SaslMechanismName, type SaslOptions, saslMechanismNames } from "./sasl.ts";

export const saslPlaintext = "SASL_PLAINTEXT";

/** Null where the properties ask for no login. Throws CLIENT_INVALID_OPTION, which never shows a password. */
export function saslFromProperties(settings: Settings<Definitions>): SaslOptions | null {
  if (settings.get("security.protocol") !== saslPlaintext) return null;
  const mechanism = String(settings.get("sasl.mechanism"));
  if (!saslMechanismNames.includes(mechanism as SaslMechanismName))
    throw invalid(`sasl.mechanism=${mechanism} is none of ${saslMechanismNames.join(", ")}`);
  const written = settings.textOf("sasl.jaas.config");
  if (written === null) throw invalid(`sasl.jaas.config is missing, and ${mechanism} needs a user name and a password`);
  const entry = parseJaas(written);
  if ("problem" in entry) throw invalid(`sasl.jaas.config cannot be read: ${entry.problem}`);
  const module = mechanism === "PLAIN" ? plainLoginModule : scramLoginModule;
  if (entry.loginModule !== module)
    throw invalid(`sasl.jaas.config names ${entry.loginModule}; ${mechanism} is of ${module}`);
  const username = entry.options.get("username");
  const password = entry.options.get("password");
  if (username === undefined || password === undefined)
    throw invalid("sasl.jaas.config has no username or no password");
  return { mechanism: mechanism as SaslMechanismName, username, password };
}

function invalid(message: string): Error {
  return clientError("CLIENT_INVALID_OPTION", message);
}
