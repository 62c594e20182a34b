// AlterClientQuotas: who an entity can be, which quotas it can have, which values they take.
import {
  type AlterClientQuotasRequest,
  type AlterClientQuotasResponseInit,
  ErrorCode,
  type MetadataRecordInit,
} from "../../protocol/index.ts";
import { type QuotaEntity, quotaEntityKey } from "../image/index.ts";
import { type DecideContext, type Decision, decisionOf, type Refusal, refusal } from "./decision.ts";

type QuotaType = "INT" | "LONG" | "DOUBLE";

const clientQuotaTypes: Readonly<Record<string, QuotaType>> = {
  producer_byte_rate: "LONG",
  consumer_byte_rate: "LONG",
  request_percentage: "DOUBLE",
  controller_mutation_rate: "DOUBLE",
};
const ipQuotaTypes: Readonly<Record<string, QuotaType>> = { connection_creation_rate: "INT" };

const integerMax: Readonly<Record<QuotaType, number>> = {
  INT: 0x7fff_ffff,
  LONG: 2 ** 63,
  DOUBLE: Number.POSITIVE_INFINITY,
};
/** What a fraction may differ from a whole number and still count as one. */
const fractionMax = 1e-6;

export function alterClientQuotas(
  context: DecideContext,
  request: AlterClientQuotasRequest,
): Decision<AlterClientQuotasResponseInit> {
  const records: MetadataRecordInit[] = [];
  const seen = new Set<string>();
  const entries = request.entries.map(({ entity, ops }) => {
    const parts = entity.map((part) => [part.entityType, part.entityName] as const);
    const key = quotaEntityKey(parts);
    const problem = seen.has(key)
      ? refusal(ErrorCode.INVALID_REQUEST, "The request has this entity more than once.")
      : entityProblem(parts);
    seen.add(key);
    const outcome = problem ?? changesOf(context, new Map(parts), entity, ops);
    if ("errorCode" in outcome) return { ...outcome, entity };
    records.push(...outcome.records);
    return { ...refusal(ErrorCode.NONE, null), entity };
  });
  return decisionOf({ throttleTimeMs: 0, entries }, request.validateOnly ? [] : records);
}

function entityProblem(parts: readonly (readonly [type: string, name: string | null])[]): Refusal | null {
  const wrong = (message: string): Refusal => refusal(ErrorCode.INVALID_REQUEST, message);
  if (parts.length === 0) return wrong("A client quota entity cannot be empty.");
  const types = new Set<string>();
  for (const [type, name] of parts) {
    if (type !== "user" && type !== "client-id" && type !== "ip")
      return wrong(`Unknown client quota entity type: ${type}`);
    if (types.has(type)) return wrong(`A client quota entity has ${type} twice.`);
    if (name === "") return wrong(`A client quota entity has an empty ${type}.`);
    types.add(type);
  }
  if (types.has("ip") && types.size > 1) return wrong("A client quota entity has an ip beside a user or a client id.");
  const ip = parts.find(([type]) => type === "ip")?.[1];
  if (ip != null && !isAddressOrHost(ip)) return wrong(`${ip} is neither an IP address nor a host name.`);
  return null;
}

function isAddressOrHost(text: string): boolean {
  if (/^\d+(\.\d+){3}$/.test(text)) return text.split(".").every((part) => Number(part) <= 255);
  if (text.includes(":")) return /^[0-9a-fA-F:.]+(%\w+)?$/.test(text);
  return /^(?=.{1,253}$)[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*$/.test(
    text,
  );
}

type Operation = AlterClientQuotasRequest["entries"][number]["ops"][number];
type EntityParts = AlterClientQuotasRequest["entries"][number]["entity"];

function changesOf(
  context: DecideContext,
  entity: QuotaEntity,
  parts: EntityParts,
  operations: readonly Operation[],
): { readonly records: readonly MetadataRecordInit[] } | Refusal {
  const types = entity.has("ip") ? ipQuotaTypes : clientQuotaTypes;
  const current = context.image.quotas.get(entity);
  const records: MetadataRecordInit[] = [];
  const seen = new Set<string>();
  for (const { key, value, remove } of operations) {
    if (seen.has(key)) return refusal(ErrorCode.INVALID_REQUEST, `The request has ${key} more than once.`);
    seen.add(key);
    const record = (quota: number): MetadataRecordInit => ({
      type: "ClientQuotaRecord",
      version: 0,
      value: { entity: parts, key, value: quota, remove },
    });
    if (remove) {
      if (!Object.hasOwn(types, key)) return refusal(ErrorCode.INVALID_REQUEST, `Invalid configuration key ${key}`);
      if (current?.has(key)) records.push(record(0));
      continue;
    }
    const problem = valueProblem(types, key, value);
    if (problem !== null) return problem;
    if (current?.get(key) !== value) records.push(record(value));
  }
  return { records };
}

function valueProblem(types: Readonly<Record<string, QuotaType>>, key: string, value: number): Refusal | null {
  const wrong = (message: string): Refusal => refusal(ErrorCode.INVALID_REQUEST, message);
  const type = Object.hasOwn(types, key) ? types[key]! : null;
  if (type === null) return wrong(`Invalid configuration key ${key}`);
  if (!(value > 0)) return wrong(`Quota ${key} must be greater than 0`);
  if (type === "DOUBLE") return null;
  if (value > integerMax[type]) return wrong(`Quota ${key} is too large for ${type}.`);
  return Math.abs(value - Math.round(value)) > fractionMax ? wrong(`${key} cannot be a fractional value.`) : null;
}
