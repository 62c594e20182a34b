// The access control entries, found by what they say about a resource: literal names by hash, prefixes by their lengths. What a look-up costs depends on
// how many different lengths prefixes have and how many entries name the resource, not on how many entries there are.
import type { Uuid } from "../../base/index.ts";
import type { AclEntry } from "../../controller/index.ts";
import { AclPattern, everyResource } from "./codes.ts";

interface OfType {
  readonly literal: Map<string, AclEntry[]>;
  readonly prefixed: Map<string, AclEntry[]>;
  /** How many prefixes there are of each length; the keys ascending. */
  readonly prefixLengths: Map<number, number>;
  lengths: readonly number[];
}

const none: readonly AclEntry[] = [];

export class AclIndex {
  private readonly byType = new Map<number, OfType>();
  private readonly byId = new Map<Uuid, AclEntry>();

  get size(): number {
    return this.byId.size;
  }

  clear(): void {
    this.byType.clear();
    this.byId.clear();
  }

  add(entry: AclEntry): void {
    this.remove(entry.id);
    this.byId.set(entry.id, entry);
    const ofType = this.ofType(entry.resourceType);
    const isPrefixed = entry.patternType === AclPattern.Prefixed;
    const map = isPrefixed ? ofType.prefixed : ofType.literal;
    const entries = map.get(entry.resourceName);
    if (entries !== undefined) {
      entries.push(entry);
      return;
    }
    map.set(entry.resourceName, [entry]);
    if (isPrefixed) this.countLength(ofType, entry.resourceName.length, 1);
  }

  remove(id: Uuid): void {
    const entry = this.byId.get(id);
    if (entry === undefined) return;
    this.byId.delete(id);
    const ofType = this.ofType(entry.resourceType);
    const isPrefixed = entry.patternType === AclPattern.Prefixed;
    const map = isPrefixed ? ofType.prefixed : ofType.literal;
    const left = map.get(entry.resourceName)!.filter((one) => one.id !== id);
    if (left.length > 0) {
      map.set(entry.resourceName, left);
      return;
    }
    map.delete(entry.resourceName);
    if (isPrefixed) this.countLength(ofType, entry.resourceName.length, -1);
  }

  private ofType(type: number): OfType {
    let ofType = this.byType.get(type);
    if (ofType === undefined) {
      ofType = { literal: new Map(), prefixed: new Map(), prefixLengths: new Map(), lengths: [] };
      this.byType.set(type, ofType);
    }
    return ofType;
  }

  private countLength(ofType: OfType, length: number, by: number): void {
    const count = (ofType.prefixLengths.get(length) ?? 0) + by;
    if (count === 0) ofType.prefixLengths.delete(length);
    else ofType.prefixLengths.set(length, count);
    ofType.lengths = [...ofType.prefixLengths.keys()].sort((one, other) => one - other);
  }

  /** Every entry whose pattern takes the resource. Stops where `visit` returns false. */
  visit(resourceType: number, resourceName: string, visit: (entry: AclEntry) => boolean): void {
    const ofType = this.byType.get(resourceType);
    if (ofType === undefined) return;
    const { lengths, literal, prefixed } = ofType;
    for (const entry of literal.get(resourceName) ?? none) if (!visit(entry)) return;
    if (resourceName !== everyResource)
      for (const entry of literal.get(everyResource) ?? none) if (!visit(entry)) return;
    for (const length of lengths) {
      if (length > resourceName.length) return;
      for (const entry of prefixed.get(resourceName.slice(0, length)) ?? none) if (!visit(entry)) return;
    }
  }

  *ofResourceType(resourceType: number): Generator<AclEntry> {
    const ofType = this.byType.get(resourceType);
    if (ofType === undefined) return;
    for (const entries of ofType.literal.values()) yield* entries;
    for (const entries of ofType.prefixed.values()) yield* entries;
  }
}
