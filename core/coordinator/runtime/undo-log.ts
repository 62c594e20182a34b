// Lets a shard's state go back: every change since a mark can be undone, in reverse. A shard replays its decision at once, before the
// records are in the log; when the append fails, the state goes back to the mark taken before the decision.
// While nothing is uncommitted (and all through loading) nothing is recorded.

type Undo = () => void;

/** A place in the history of changes. Only the log that gave it understands it. */
export type UndoMark = number;

export class UndoLog {
  private readonly undos: Undo[] = [];
  private forgotten = 0;
  private recording = false;

  /** From now on changes are remembered. */
  mark(): UndoMark {
    this.recording = true;
    return this.forgotten + this.undos.length;
  }

  /** Called by the collections below before they change. */
  remember(undo: Undo): void {
    if (this.recording) this.undos.push(undo);
  }

  get isRecording(): boolean {
    return this.recording;
  }

  /** Undoes all that came after `mark`. */
  revertTo(mark: UndoMark): void {
    this.recording = false;
    while (this.forgotten + this.undos.length > mark) this.undos.pop()!();
    this.recording = true;
  }

  /** What came before `mark` is settled. With no later change left, recording stops. */
  forgetBefore(mark: UndoMark): void {
    const count = Math.min(mark - this.forgotten, this.undos.length);
    if (count <= 0) return;
    this.undos.splice(0, count);
    this.forgotten += count;
  }

  /** Nothing is uncommitted any more. */
  stop(): void {
    this.forgotten += this.undos.length;
    this.undos.length = 0;
    this.recording = false;
  }
}

/** A map whose changes can be undone. Values are replaced, never changed in place: a value that changes in place holds `UndoValue`s of its own. */
export class UndoMap<Key, Value> {
  private readonly log: UndoLog;
  private readonly map = new Map<Key, Value>();

  constructor(log: UndoLog) {
    this.log = log;
  }

  get size(): number {
    return this.map.size;
  }

  get(key: Key): Value | undefined {
    return this.map.get(key);
  }

  has(key: Key): boolean {
    return this.map.has(key);
  }

  set(key: Key, value: Value): void {
    if (this.log.isRecording) {
      const had = this.map.has(key);
      const before = this.map.get(key);
      this.log.remember(() => {
        if (had) this.map.set(key, before as Value);
        else this.map.delete(key);
      });
    }
    this.map.set(key, value);
  }

  delete(key: Key): boolean {
    if (this.log.isRecording && this.map.has(key)) {
      const before = this.map.get(key) as Value;
      this.log.remember(() => this.map.set(key, before));
    }
    return this.map.delete(key);
  }

  clear(): void {
    for (const key of [...this.map.keys()]) this.delete(key);
  }

  keys(): MapIterator<Key> {
    return this.map.keys();
  }

  values(): MapIterator<Value> {
    return this.map.values();
  }

  entries(): MapIterator<[Key, Value]> {
    return this.map.entries();
  }

  [Symbol.iterator](): MapIterator<[Key, Value]> {
    return this.map.entries();
  }
}

/** A set whose changes can be undone. */
export class UndoSet<Key> {
  private readonly map: UndoMap<Key, true>;

  constructor(log: UndoLog) {
    this.map = new UndoMap(log);
  }

  get size(): number {
    return this.map.size;
  }

  has(key: Key): boolean {
    return this.map.has(key);
  }

  add(key: Key): void {
    if (!this.map.has(key)) this.map.set(key, true);
  }

  delete(key: Key): boolean {
    return this.map.delete(key);
  }

  [Symbol.iterator](): MapIterator<Key> {
    return this.map.keys();
  }
}

/** One field whose changes can be undone. */
export class UndoValue<Value> {
  private readonly log: UndoLog;
  private current: Value;

  constructor(log: UndoLog, initial: Value) {
    this.log = log;
    this.current = initial;
  }

  get(): Value {
    return this.current;
  }

  set(value: Value): void {
    if (this.log.isRecording) {
      const before = this.current;
      this.log.remember(() => {
        this.current = before;
      });
    }
    this.current = value;
  }
}
