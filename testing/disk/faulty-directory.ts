// A directory as a process sees it and as the device has it: names that came, went or were changed since the last sync of the directory may be
// forgotten by a crash, all of them or some.
import type { Random } from "@blumfeld/core/base";
import { FaultyContent, type LostWrites } from "./faulty-content.ts";

export type Node = FaultyDirectory | FaultyContent;

/** What one change did: each name with what it stands for afterwards. A rename within a directory is one change, never half of one. */
type NameChange = readonly (readonly [name: string, node: Node | null])[];

export type LostNames =
  /** As file systems with a journal do: what came later is forgotten first. */
  | "tail"
  /** Each change by itself. */
  | "any"
  | "all"
  | "none";

export class FaultyDirectory {
  modifiedMs = 0;
  entries = new Map<string, Node>();
  private device = new Map<string, Node>();
  private changes: NameChange[] = [];

  change(...names: NameChange): void {
    for (const [name, node] of names) put(this.entries, name, node);
    this.changes.push(names);
  }

  get isSynced(): boolean {
    return this.changes.length === 0;
  }

  sync(): void {
    for (const change of this.changes) for (const [name, node] of change) put(this.device, name, node);
    this.changes = [];
  }

  crash(names: LostNames, writes: LostWrites, random: Random): void {
    if (names === "none") this.sync();
    else if (names === "tail") {
      this.changes.length = random.uint32() % (this.changes.length + 1);
      this.sync();
    } else if (names === "any") {
      this.changes = this.changes.filter(() => random.uint32() % 2 === 0);
      this.sync();
    }
    this.changes = [];
    this.entries = new Map(this.device);
    for (const node of new Set(this.entries.values())) {
      if (node instanceof FaultyContent) node.crash(writes, random);
      else node.crash(names, writes, random);
    }
  }
}

function put(map: Map<string, Node>, name: string, node: Node | null): void {
  if (node === null) map.delete(name);
  else map.set(name, node);
}
