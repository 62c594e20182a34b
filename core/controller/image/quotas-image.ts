// Client quotas by entity. An entity is up to a user, a client id and an address; a null name stands for the default of its kind.
import type { ClientQuotaRecord } from "../../protocol/index.ts";
import type { MetadataDelta } from "./metadata-delta.ts";

/** Kind ("user", "client-id", "ip") → name. */
export type QuotaEntity = ReadonlyMap<string, string | null>;

export interface QuotaEntry {
  readonly entity: QuotaEntity;
  readonly values: Map<string, number>;
}

/** The same text for the same entity, in whatever order its parts stand. */
export function quotaEntityKey(entity: Iterable<readonly [string, string | null]>): string {
  const parts = [...entity].sort(([one], [other]) => (one < other ? -1 : one > other ? 1 : 0));
  return JSON.stringify(parts);
}

export class QuotasImage {
  readonly byEntity = new Map<string, QuotaEntry>();

  get(entity: QuotaEntity): ReadonlyMap<string, number> | undefined {
    return this.byEntity.get(quotaEntityKey(entity))?.values;
  }

  copy(): QuotasImage {
    const copy = new QuotasImage();
    for (const [key, entry] of this.byEntity) {
      copy.byEntity.set(key, { entity: entry.entity, values: new Map(entry.values) });
    }
    return copy;
  }

  onQuota(record: ClientQuotaRecord, delta: MetadataDelta): void {
    const parts = record.entity.map((part): [string, string | null] => [part.entityType, part.entityName]);
    const key = quotaEntityKey(parts);
    let entry = this.byEntity.get(key);
    delta.changedQuotas.add(key);
    if (record.remove) {
      entry?.values.delete(record.key);
      if (entry?.values.size === 0) this.byEntity.delete(key);
      return;
    }
    if (entry === undefined) {
      entry = { entity: new Map(parts), values: new Map() };
      this.byEntity.set(key, entry);
    }
    entry.values.set(record.key, record.value);
  }
}
