// The asking side of a fetch session (KIP-227): what the leader has been told of each partition, so that a request names only what is new, and
// costs only what is new. Pure. In which order the partitions are served is the leader's to keep.

export const sessionIdNone = 0;
export const sessionEpochInitial = 0;
const int32Max = 0x7fff_ffff;

/** What one partition's part of a request says. */
export interface FetchedSpan {
  readonly fetchOffset: number;
  readonly leaderEpoch: number;
  readonly lastFetchedEpoch: number;
  readonly logStartOffset: number;
  readonly bytesMax: number;
}

export interface SessionRequest<Key> {
  readonly sessionId: number;
  readonly sessionEpoch: number;
  /** Named in this request, with what is said of it. */
  readonly named: readonly { readonly key: Key; readonly span: FetchedSpan }[];
  readonly forgotten: readonly Key[];
}

/** `Key` is an object that stands for the partition; two objects of the same partition are two keys. */
export class FetchSessionClient<Key> {
  private sessionId = sessionIdNone;
  private epoch = sessionEpochInitial;
  /** What the leader knows of each; null where it has not been told, or was told to forget it. */
  private readonly told = new Map<Key, FetchedSpan | null>();
  private readonly touched = new Set<Key>();
  /** Removed here; the leader is still to hear of it. */
  private leaving: Key[] = [];
  private toldNow = 0;

  /** A session is under way: requests name only what changed. */
  get isIncremental(): boolean {
    return this.epoch !== sessionEpochInitial;
  }

  get keyCount(): number {
    return this.told.size;
  }

  /** Those that the last request asked about, newly or by the session. */
  get toldCount(): number {
    return this.toldNow;
  }

  keys(): IterableIterator<Key> {
    return this.told.keys();
  }

  has(key: Key): boolean {
    return this.told.has(key);
  }

  /** Whether the last request, or one before it, asked about the partition. */
  isTold(key: Key): boolean {
    return (this.told.get(key) ?? null) !== null;
  }

  add(key: Key): void {
    if (this.told.has(key)) return;
    this.told.set(key, null);
    this.touched.add(key);
  }

  /** What is to be said of the partition may have changed. */
  touch(key: Key): void {
    if (this.told.has(key)) this.touched.add(key);
  }

  remove(key: Key): void {
    if (this.isTold(key)) {
      this.leaving.push(key);
      this.toldNow--;
    }
    this.told.delete(key);
    this.touched.delete(key);
  }

  /** `spanOf` says null for a partition that is not to be fetched now; it is left out until it is touched. */
  request(spanOf: (key: Key) => FetchedSpan | null): SessionRequest<Key> {
    const named: { key: Key; span: FetchedSpan }[] = [];
    const { isIncremental } = this;
    const forgotten = isIncremental ? this.leaving : [];
    this.leaving = [];
    if (!isIncremental) this.toldNow = 0;
    for (const key of isIncremental ? this.touched : this.told.keys()) {
      const span = spanOf(key);
      const before = isIncremental ? (this.told.get(key) ?? null) : null;
      if (span === null) {
        if (before !== null) {
          forgotten.push(key);
          this.toldNow--;
        }
        this.told.set(key, null);
      } else if (before === null || !isSame(before, span)) {
        named.push({ key, span });
        if (before === null) this.toldNow++;
        this.told.set(key, span);
      }
    }
    this.touched.clear();
    return { sessionId: this.sessionId, sessionEpoch: this.epoch, named, forgotten };
  }

  /** An answer without an error of its own. Session 0: the leader keeps none, and the next request says everything again. */
  onAnswer(sessionId: number): void {
    this.sessionId = sessionId;
    if (sessionId === sessionIdNone) this.epoch = sessionEpochInitial;
    else this.epoch = this.epoch === int32Max ? 1 : this.epoch + 1;
  }

  /**
   * No answer, or one that refuses the session: the next request says everything, and begins another. It names the one before so that the leader
   * ends that, unless the leader has said that it does not know it.
   */
  reset(isKnownToLeader: boolean): void {
    if (!isKnownToLeader) this.sessionId = sessionIdNone;
    this.epoch = sessionEpochInitial;
  }
}

function isSame(one: FetchedSpan, other: FetchedSpan): boolean {
  return (
    one.fetchOffset === other.fetchOffset &&
    one.leaderEpoch === other.leaderEpoch &&
    one.lastFetchedEpoch === other.lastFetchedEpoch &&
    one.logStartOffset === other.logStartOffset &&
    one.bytesMax === other.bytesMax
  );
}
