// What several settings of a node must hold together, as Kafka's KafkaConfig checks it for KRaft, and the shape of the node that follows
// from them: roles, listeners, quorum, directories.
import type { BrokerDefinitions } from "./definitions.ts";
import {
  type Endpoint,
  parseListener,
  parseProtocolMap,
  parseQuorumVoter,
  type QuorumVoter,
  type SecurityProtocol,
} from "./endpoints.ts";
import { limitRules } from "./node-limit-rules.ts";
import { problem, type SettingProblem, type Settings } from "./parse.ts";

/** What a node is, worked out of its settings. */
export interface NodeShape {
  readonly nodeId: number;
  readonly isBroker: boolean;
  readonly isController: boolean;
  /** What the node binds, controller listeners included. */
  readonly listeners: readonly Endpoint[];
  /** What it tells others; host and port as written, before a port 0 is known. */
  readonly advertisedListeners: readonly Endpoint[];
  readonly controllerListenerNames: readonly string[];
  /** Null on a node that is a controller only. */
  readonly interBrokerListenerName: string | null;
  readonly quorumVoters: readonly QuorumVoter[];
  readonly quorumBootstrapServers: readonly string[];
  readonly logDirectories: readonly string[];
  readonly metadataLogDirectory: string;
}

type NodeSettings = Settings<BrokerDefinitions>;
export type NodeOutcome = { ok: true; shape: NodeShape } | { ok: false; problems: readonly SettingProblem[] };

/** Settings that are each in their bound. */
export function shapeNode(settings: NodeSettings): NodeOutcome {
  const problems: SettingProblem[] = [];
  const wrong = (name: keyof BrokerDefinitions & string, complaint: string, nextStep: string): void => {
    problems.push(problem(name, settings.isGiven(name) ? settings.textOf(name) : null, complaint, nextStep));
  };
  const protocols = protocolsOf(settings, wrong);
  const listeners = endpointsOf("listeners", settings.get("listeners"), protocols, wrong);
  const advertisedTexts = settings.get("advertised.listeners");
  const advertised =
    advertisedTexts === null ? null : endpointsOf("advertised.listeners", advertisedTexts, protocols, wrong);
  const shape = {
    nodeId: settings.get("node.id"),
    isBroker: settings.get("process.roles").includes("broker"),
    isController: settings.get("process.roles").includes("controller"),
    listeners,
    advertisedListeners: advertised ?? listeners,
    controllerListenerNames: settings.get("controller.listener.names"),
    interBrokerListenerName: null as string | null,
    quorumVoters: settings.get("controller.quorum.voters").map(parseQuorumVoter),
    quorumBootstrapServers: settings.get("controller.quorum.bootstrap.servers"),
    logDirectories: settings.get("log.dirs") ?? settings.get("log.dir"),
    metadataLogDirectory: "",
  };
  shape.metadataLogDirectory = settings.get("metadata.log.dir") ?? shape.logDirectories[0]!;
  if (problems.length === 0) {
    quorumRules(shape, wrong);
    roleRules(shape, wrong);
    if (shape.isBroker) shape.interBrokerListenerName = brokerRules(settings, shape, protocols, wrong);
  }
  limitRules(settings, wrong);
  entryRules(settings, shape, wrong);
  return problems.length > 0 ? { ok: false, problems } : { ok: true, shape };
}

export type Wrong = (name: keyof BrokerDefinitions & string, complaint: string, nextStep: string) => void;

function protocolsOf(settings: NodeSettings, wrong: Wrong): ReadonlyMap<string, SecurityProtocol> {
  const name = "listener.security.protocol.map";
  const parsed = parseProtocolMap(settings.get(name));
  if (typeof parsed === "string") {
    wrong(name, parsed, "write NAME:PROTOCOL entries, parted by commas");
    return new Map();
  }
  if (settings.isGiven(name)) return parsed;
  // Kafka lets controller listeners be plain without a word, when the map is left alone and no listener but PLAINTEXT is used.
  const controllerNames = settings.get("controller.listener.names");
  const others = ["SSL", "SASL_PLAINTEXT", "SASL_SSL"];
  if (controllerNames.some((one) => others.includes(one))) return parsed;
  const used = settings.get("listeners").map((text) => parseListener(text)?.listenerName ?? "");
  if (used.some((one) => others.includes(one))) return parsed;
  return new Map([...parsed, ...controllerNames.map((one) => [one, "PLAINTEXT"] as const)]);
}

function endpointsOf(
  name: "listeners" | "advertised.listeners",
  texts: readonly string[],
  protocols: ReadonlyMap<string, SecurityProtocol>,
  wrong: Wrong,
): Endpoint[] {
  const endpoints: Endpoint[] = [];
  for (const text of texts) {
    const parsed = parseListener(text);
    const protocol = parsed === null ? undefined : protocols.get(parsed.listenerName);
    if (parsed === null || parsed.port < 0 || parsed.port > 65535)
      wrong(name, `has the entry ${JSON.stringify(text)}`, "write each as NAME://host:port");
    else if (protocol === undefined)
      wrong(
        name,
        `names ${parsed.listenerName}, whose protocol is unknown`,
        `add ${parsed.listenerName}:PLAINTEXT (or another protocol) to listener.security.protocol.map`,
      );
    else if (endpoints.some(({ listenerName }) => listenerName === parsed.listenerName))
      wrong(name, `names ${parsed.listenerName} twice`, "give each listener a name of its own");
    else if (name === "listeners" && endpoints.some((other) => samePort(other, parsed)))
      wrong(name, `uses the port ${parsed.port} twice`, "give each listener a port of its own");
    else endpoints.push({ ...parsed, securityProtocol: protocol });
  }
  return endpoints;
}

/** One port may serve an IPv4 and an IPv6 address; port 0 is always a fresh one. */
function samePort(left: { host: string; port: number }, right: { host: string; port: number }): boolean {
  if (left.port !== right.port || left.port === 0) return false;
  const isSix = (host: string): boolean => host.includes(":");
  const isFour = (host: string): boolean => /^\d+\.\d+\.\d+\.\d+$/.test(host);
  return !((isSix(left.host) && isFour(right.host)) || (isFour(left.host) && isSix(right.host)));
}

function quorumRules(shape: NodeShape, wrong: Wrong): void {
  const { quorumVoters, quorumBootstrapServers, nodeId } = shape;
  if (quorumVoters.length === 0 && quorumBootstrapServers.length === 0) {
    wrong(
      "controller.quorum.bootstrap.servers",
      "is empty, and so is controller.quorum.voters",
      "name the controllers in one of them",
    );
    return;
  }
  if (quorumVoters.length === 0) return;
  const isVoter = quorumVoters.some((voter) => voter.nodeId === nodeId);
  if (shape.isController && !isVoter)
    wrong("controller.quorum.voters", `lacks this node, ${nodeId}, which is a controller`, `add ${nodeId}@host:port`);
  if (!shape.isController && isVoter)
    wrong("node.id", `is a voter of controller.quorum.voters`, "add controller to process.roles or take another id");
}

function roleRules(shape: NodeShape, wrong: Wrong): void {
  const controllerNames = shape.controllerListenerNames;
  const isControllerListener = ({ listenerName }: Endpoint): boolean => controllerNames.includes(listenerName);
  if (!shape.isController) {
    if (shape.listeners.some(isControllerListener))
      wrong(
        "controller.listener.names",
        "names a listener of this node, which is no controller",
        "take it out of listeners",
      );
    return;
  }
  const unbound = controllerNames.filter((name) => !shape.listeners.some((one) => one.listenerName === name));
  if (unbound.length > 0) wrong("listeners", `lacks the controller listener ${unbound.join(", ")}`, "add it there");
  if (shape.isBroker) return;
  if (!shape.listeners.every(isControllerListener))
    wrong(
      "listeners",
      "has a listener for clients, and this node is a controller only",
      "keep those of controller.listener.names",
    );
}

/** Lists whose entries must be known elsewhere. */
function entryRules(settings: NodeSettings, shape: NodeShape, wrong: Wrong): void {
  const cordoned = settings.get("cordoned.log.dirs") ?? [];
  if (cordoned.includes("*") && cordoned.length > 1)
    wrong("cordoned.log.dirs", "names more beside *", "keep * alone or name directories");
  const strange = cordoned.filter((directory) => directory !== "*" && !shape.logDirectories.includes(directory));
  if (strange.length > 0)
    wrong("cordoned.log.dirs", `names ${strange.join(", ")}, which log.dirs does not`, "remove it");
  const known = [...shape.controllerListenerNames, ...shape.listeners.map(({ listenerName }) => listenerName)];
  const early = (settings.get("early.start.listeners") ?? []).find((name) => !known.includes(name));
  if (early !== undefined)
    wrong("early.start.listeners", `names ${early}, which is no listener`, "remove it or add the listener");
  for (const [name, classes] of Object.entries(knownClasses)) {
    const value = settings.get(name as keyof typeof knownClasses);
    for (const one of typeof value === "string" ? [value] : (value ?? []))
      if (!(classes as readonly string[]).includes(one))
        wrong(
          name as keyof typeof knownClasses,
          `names ${one}, which is not built in`,
          `use one of ${classes.filter((other) => other !== "").join(", ")}`,
        );
  }
}

const assignors = "org.apache.kafka.coordinator.group.assignor";
/** Kafka loads a class by its name; here the names of Kafka's own classes stand for what is built in. */
const knownClasses = {
  "authorizer.class.name": ["", "org.apache.kafka.metadata.authorizer.StandardAuthorizer"],
  "group.consumer.assignors": ["uniform", "range", `${assignors}.UniformAssignor`, `${assignors}.RangeAssignor`],
  "group.share.assignors": ["simple", `${assignors}.SimpleAssignor`],
  "principal.builder.class": ["org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder"],
} as const satisfies Partial<Record<keyof BrokerDefinitions, readonly string[]>>;

/** The listener that brokers reach each other through. */
function brokerRules(
  settings: NodeSettings,
  shape: NodeShape,
  protocols: ReadonlyMap<string, SecurityProtocol>,
  wrong: Wrong,
): string | null {
  const controllerNames = shape.controllerListenerNames;
  const forClients = shape.advertisedListeners.filter(({ listenerName }) => !controllerNames.includes(listenerName));
  if (forClients.length === 0) {
    wrong("advertised.listeners", "leaves no listener for clients", "add one that is not in controller.listener.names");
    return null;
  }
  if (forClients.some(({ host }) => host === "0.0.0.0"))
    wrong(
      "advertised.listeners",
      "would advertise 0.0.0.0, which no client can reach",
      "name an address that clients can reach",
    );
  const unbound = shape.advertisedListeners.find(
    ({ listenerName }) => !shape.listeners.some((own) => own.listenerName === listenerName),
  );
  if (unbound !== undefined)
    wrong(
      "advertised.listeners",
      `names ${unbound.listenerName}, which listeners does not`,
      `add ${unbound.listenerName} to listeners`,
    );
  const given = settings.get("inter.broker.listener.name");
  if (given !== null && settings.isGiven("security.inter.broker.protocol"))
    wrong("inter.broker.listener.name", "stands beside security.inter.broker.protocol", "keep one of them");
  const name = (given ?? settings.get("security.inter.broker.protocol")).toUpperCase();
  const protocol = protocols.get(name);
  if (protocol === undefined)
    wrong(
      "inter.broker.listener.name",
      `means the listener ${name}, whose protocol is unknown`,
      `add ${name} to listener.security.protocol.map`,
    );
  else if (!forClients.some(({ listenerName }) => listenerName === name))
    wrong(
      "inter.broker.listener.name",
      `means the listener ${name}, which advertised.listeners does not have`,
      `set it to ${forClients[0]!.listenerName}, or add ${name} to the listeners`,
    );
  if (
    protocol?.startsWith("SASL") &&
    !settings.get("sasl.enabled.mechanisms").includes(settings.get("sasl.mechanism.inter.broker.protocol"))
  )
    wrong(
      "sasl.mechanism.inter.broker.protocol",
      `is ${settings.get("sasl.mechanism.inter.broker.protocol")}, which sasl.enabled.mechanisms lacks`,
      "add it there",
    );
  return name;
}
