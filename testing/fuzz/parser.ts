// The parsers in process: no frame may throw anything but MalformedMessage, take long, or allocate beyond what it holds. Whole frames must
// be read to their last byte and written back to the same bytes.
import { MalformedMessage, seededRandom } from "@blumfeld/core/base";
import { apis, decodeRequestHead, encodeRequestFrame, UnsupportedVersion } from "@blumfeld/core/protocol";
import { randomRecords, requestShapes } from "./corpus.ts";
import { mutate } from "./mutate.ts";
import { FrameMaker, type RandomFrame } from "./random-frame.ts";

export type ParserReport = {
  readonly frames: number;
  readonly accepted: number;
  readonly refused: number;
  readonly slowestMs: number;
  readonly findings: readonly string[];
};

/** Decoding one small frame takes microseconds; a pause of the machine must not count, a loop over a declared count must. */
const frameMsMax = 1000;
const findingCountMax = 20;

/** Null when the frame was refused as malformed. */
function decode(bytes: Buffer): { key: number; version: number; message: unknown; rest: number } | null {
  try {
    const head = decodeRequestHead(bytes.subarray(4), true);
    if ("unsupported" in head) return null;
    const message = head.api.decodeRequest(head.reader, head.version);
    return { key: head.api.key, version: head.version, message, rest: head.reader.rest };
  } catch (error) {
    if (error instanceof MalformedMessage) return null;
    throw error;
  }
}

function checkWhole(frame: RandomFrame): string | null {
  const decoded = decode(frame.bytes);
  if (decoded === null) return "refused a whole frame";
  if (decoded.rest !== 0) return `left ${decoded.rest} bytes of a whole frame`;
  const clientIdBytes = frame.bytes.readInt16BE(12);
  const clientId = clientIdBytes < 0 ? null : frame.bytes.toString("utf8", 14, 14 + clientIdBytes);
  const head = { correlationId: frame.bytes.readInt32BE(8), clientId };
  try {
    const again = Buffer.concat(
      encodeRequestFrame(decoded.key as never, decoded.version, head, decoded.message as never),
    );
    const twice = decode(again);
    if (twice === null || JSON.stringify(twice.message, exact) !== JSON.stringify(decoded.message, exact))
      return "wrote back another value";
  } catch (error) {
    // A tagged struct may be present in a version that its own fields refuse: the writer says so.
    if (!(error instanceof UnsupportedVersion)) throw error;
  }
  return null;
}

function exact(_: string, value: unknown): unknown {
  return typeof value === "bigint" ? value.toString() : value;
}

export function fuzzParser(options: {
  seed: number;
  frameCount: number;
  onProgress?: (frames: number) => void;
}): ParserReport {
  const random = seededRandom(options.seed);
  const maker = new FrameMaker(random, () => randomRecords(random));
  const shapes = requestShapes("any");
  const findings: string[] = [];
  let accepted = 0;
  let refused = 0;
  let slowestMs = 0;
  for (let frames = 0; frames < options.frameCount && findings.length < findingCountMax; frames++) {
    const { apiKey, version, message } = shapes[frames % shapes.length]!;
    const whole = maker.request(apiKey, version, message, frames);
    const bytes = frames % 4 === 0 ? whole.bytes : mutate(whole, random);
    const told = (what: string): string =>
      `${apis.get(apiKey)!.name} v${version}: ${what} (${bytes.toString("hex").slice(0, 400)})`;
    const startedMs = performance.now();
    try {
      if (bytes === whole.bytes) {
        const problem = checkWhole(whole);
        if (problem !== null) findings.push(told(problem));
      }
      if (decode(bytes) === null) refused++;
      else accepted++;
    } catch (error) {
      findings.push(told(`threw ${error instanceof Error ? `${error.name}: ${error.message}` : String(error)}`));
    }
    const tookMs = performance.now() - startedMs;
    if (tookMs > frameMsMax) findings.push(told(`took ${tookMs.toFixed(0)} ms`));
    slowestMs = Math.max(slowestMs, tookMs);
    if (frames % 10_000 === 0) options.onProgress?.(frames);
  }
  return { frames: options.frameCount, accepted, refused, slowestMs, findings };
}
