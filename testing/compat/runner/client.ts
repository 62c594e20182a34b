// What a foreign client is to the runner. Each folder testing/compat/<client>/ has a client.ts that exports one.
import type { FixtureRecord, FixtureTopic, RecordTrait } from "./fixture.ts";

/**
 * - `check`: create and write the topics of the specification, read them back, and make the client's own checks.
 * - `read`: read the topics of the specification, which others wrote.
 * - `dump`: the broker has stopped; read its data directory.
 */
export type Phase = "check" | "read" | "dump";

/** The JSON file that a program gets as its second argument; its first is the phase. */
export type Specification = {
  bootstrap: string;
  /** Of the broker under test, where it is on this machine and may be read. */
  dataDir: string | null;
  /** Ends the names of topics and groups, so that runs against one broker do not meet. */
  tag: string;
  records: readonly FixtureRecord[];
  topics: readonly FixtureTopic[];
};

export type Program = { command: string; args: readonly string[]; env?: NodeJS.ProcessEnv; cwd?: string };

export type CompatClient = {
  /** What the command line calls it; the name of its folder where `folder` is absent. */
  readonly name: string;
  /** The folder of several clients; each then has a known-differences-NAME.json there. */
  readonly folder?: string;
  /** Codecs it writes the fixture with. */
  readonly codecs: readonly string[];
  /** Records that its interface cannot write. */
  readonly omits: readonly RecordTrait[];
  /** Partitions of the topics it writes, where it cannot choose: a client without an admin interface gets one. */
  readonly partitions?: number;
  /** Whether its interface can set a record's timestamp. */
  readonly timestamps: boolean;
  readonly phases: readonly Phase[];
  readonly deadlineMs: number;
  /** Installs and builds what it needs, into the cache. Throws with a sentence that says what is missing. */
  prepare(): Promise<Program>;
  /** The program that is one member of a group (`members/`), called with `consumer name=value …`; absent where there is none. */
  readonly member?: (program: Program) => Program;
};

export const allCodecs = ["none", "gzip", "snappy", "lz4", "zstd"] as const;
