// Where planted faults reach a simulated node's disk and log. All off, but for a run of testing/sim/planted.

export interface NodeFaults {
  /** quorum-state is written over, without a sync. */
  writesStateUnsynced: boolean;
  forgetsVote: boolean;
  /** Of a disk that was replaced. */
  keepsDirectoryId: boolean;
  neverSyncs: boolean;
  /** The log says of every epoch that it reaches to its end. */
  ignoresEpochs: boolean;
}

class NodeHooks {
  readonly faults: NodeFaults = {
    ...{ writesStateUnsynced: false, forgetsVote: false, keepsDirectoryId: false },
    ...{ neverSyncs: false, ignoresEpochs: false },
  };

  /** Returns the way back. */
  set(name: keyof NodeFaults, value: boolean): () => void {
    const before = this.faults[name];
    this.faults[name] = value;
    return () => {
      this.faults[name] = before;
    };
  }
}

export const nodeHooks = new NodeHooks();
