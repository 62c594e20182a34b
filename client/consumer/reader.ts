// The loop over a consumer: an async iterator that answers at once what is at hand, without a chain of promises, and waits otherwise.

export interface ReaderSource<Item> {
  isClosed(): boolean;
  /** Before the first item; null where there is nothing to find out. */
  begin(): Promise<void> | null;
  /** The program asks for the next: it is done with the one before. */
  asks(): void;
  /** Something at hand, where nothing else has to be done first. Throws what the program must hear. */
  takeAtOnce(): Item | null;
  /** What has to be done before messages are handed out. */
  prepare(signal: AbortSignal | undefined): Promise<void>;
  take(): Item | null;
  isAtEnd(): boolean;
  woken(signal: AbortSignal | undefined): Promise<void>;
  wake(): void;
  /** The program waits in here until `rests`. */
  waits(): void;
  rests(): void;
}

export function createReader<Item>(
  source: ReaderSource<Item>,
  signal: AbortSignal | undefined,
): AsyncIterableIterator<Item> {
  const done = { done: true, value: undefined } as const;
  let isDone = false;
  let beginning = source.begin();
  const next = async (): Promise<IteratorResult<Item, undefined>> => {
    if (beginning !== null) {
      await beginning;
      beginning = null;
    }
    for (;;) {
      if (isDone || source.isClosed()) return done;
      signal?.throwIfAborted();
      await source.prepare(signal);
      if (isDone || source.isClosed()) return done;
      const item = source.take();
      if (item !== null) return { done: false, value: item };
      if (source.isAtEnd()) return done;
      await source.woken(signal);
    }
  };
  const wait = async (): Promise<IteratorResult<Item, undefined>> => {
    source.waits();
    try {
      return await next();
    } finally {
      source.rests();
    }
  };
  const iterator: AsyncIterableIterator<Item> = {
    next() {
      source.asks();
      if (beginning === null && !isDone && !source.isClosed() && signal?.aborted !== true) {
        try {
          const item = source.takeAtOnce();
          if (item !== null) return Promise.resolve({ done: false, value: item });
        } catch (error) {
          return Promise.reject(error);
        }
      }
      return wait();
    },
    return() {
      isDone = true;
      source.wake();
      return Promise.resolve(done);
    },
    [Symbol.asyncIterator]: () => iterator,
  };
  return iterator;
}
