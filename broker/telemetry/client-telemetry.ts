// Clients' own metrics (KIP-714): which client is asked for which metrics, and whether a push may be taken. Keeps a bounded table of client
// instances by their id. Opens nothing and passes what was pushed on to a receiver, where there is one; a push's bytes belong to its frame.
import type { Clock, Random, Uuid } from "@blumfeld/core/base";
import { randomUuid, uuidMetadataTopic, uuidZero } from "@blumfeld/core/base";
import { codecById, DecompressionProblem } from "@blumfeld/core/compression";
import { configResourceType, type MetadataImage } from "@blumfeld/core/controller";
import { crc32c } from "@blumfeld/core/model";
import { ErrorCode, type PushTelemetryRequest } from "@blumfeld/core/protocol";
import { type ClientAttributes, isMatch, parseSubscription, type Subscription } from "./subscription.ts";

/** `interval.ms` where no subscription matches. */
export const pushIntervalMsDefault = 300_000;
/** `telemetry.max.bytes`: as pushed. */
export const telemetryBytesMaxDefault = 1024 * 1024;
/** Unpacked, metrics may be this many times `telemetry.max.bytes`; more is refused as too large before it is in memory. */
export const telemetryExpansionMax = 10;
/** Client instances that are kept; the one that was idle longest makes room. */
export const clientInstanceCountMax = 16_384;

/** zstd, lz4, gzip, snappy: what the broker likes best comes first. */
const acceptedCompressionTypes: readonly number[] = [4, 3, 1, 2];

/** Takes the metrics that clients push. `metrics` is OTLP, unpacked, and may be kept. */
export interface TelemetryReceiver {
  receive(push: {
    readonly clientInstanceId: Uuid;
    readonly client: ClientAttributes;
    readonly isTerminating: boolean;
    readonly pushIntervalMs: number;
    readonly metrics: Buffer;
  }): void;
}

interface ClientInstance {
  readonly client: ClientAttributes;
  /** Which state of the subscriptions this was made from. */
  subscriptionVersion: number;
  subscriptionId: number;
  requestedMetrics: readonly string[];
  pushIntervalMs: number;
  lastGetMs: number;
  lastPushMs: number;
  isTerminating: boolean;
}

export interface SubscriptionAnswer {
  readonly errorCode: ErrorCode;
  readonly clientInstanceId: Uuid;
  readonly subscriptionId: number;
  readonly acceptedCompressionTypes: readonly number[];
  readonly pushIntervalMs: number;
  readonly telemetryMaxBytes: number;
  readonly deltaTemporality: boolean;
  readonly requestedMetrics: readonly string[];
}

const refusedAnswer = {
  clientInstanceId: uuidZero,
  subscriptionId: 0,
  acceptedCompressionTypes: [],
  pushIntervalMs: 0,
  telemetryMaxBytes: 0,
  deltaTemporality: false,
  requestedMetrics: [],
} as const;

export class ClientTelemetry {
  private readonly clock: Clock;
  private readonly random: Random;
  private readonly telemetryBytesMax: number;
  private readonly receiver: TelemetryReceiver | null;
  /** In order of last use, the longest idle first. */
  private readonly instances = new Map<Uuid, ClientInstance>();
  private subscriptions: Subscription[] = [];
  private subscriptionVersion = 0;

  constructor(options: {
    clock: Clock;
    random: Random;
    telemetryBytesMax?: number;
    receiver?: TelemetryReceiver | null;
  }) {
    this.clock = options.clock;
    this.random = options.random;
    this.telemetryBytesMax = options.telemetryBytesMax ?? telemetryBytesMaxDefault;
    this.receiver = options.receiver ?? null;
  }

  get instanceCount(): number {
    return this.instances.size;
  }

  /** Takes the subscriptions of the metadata; to be called when one of them has changed. */
  onSubscriptions(image: MetadataImage): void {
    this.subscriptions = [];
    for (const resource of image.configs.resources()) {
      if (resource.type !== configResourceType.clientMetrics) continue;
      this.subscriptions.push(parseSubscription(resource.settings, pushIntervalMsDefault));
    }
    this.subscriptionVersion++;
  }

  /** GetTelemetrySubscriptions. A client without an id is given one. */
  subscribe(clientInstanceId: Uuid, client: ClientAttributes): SubscriptionAnswer {
    const id = clientInstanceId === uuidZero ? randomUuid(this.random) : clientInstanceId;
    const instance = this.instance(id, client);
    const nowMs = this.clock.monotonicMs();
    if (nowMs - Math.max(instance.lastGetMs, instance.lastPushMs) < instance.pushIntervalMs) {
      return { ...refusedAnswer, errorCode: ErrorCode.THROTTLING_QUOTA_EXCEEDED };
    }
    instance.lastGetMs = nowMs;
    return {
      errorCode: ErrorCode.NONE,
      clientInstanceId: id,
      subscriptionId: instance.subscriptionId,
      acceptedCompressionTypes,
      pushIntervalMs: instance.pushIntervalMs,
      telemetryMaxBytes: this.telemetryBytesMax,
      deltaTemporality: true,
      requestedMetrics: instance.requestedMetrics,
    };
  }

  /** PushTelemetry. */
  push(request: PushTelemetryRequest, client: ClientAttributes): ErrorCode {
    const id = request.clientInstanceId;
    if (id === uuidZero || id === uuidMetadataTopic) return ErrorCode.INVALID_REQUEST;
    const instance = this.instance(id, client);
    const refusal = this.refusalOf(request, instance);
    instance.isTerminating = request.terminating;
    if (refusal !== ErrorCode.NONE) return refusal;
    if (request.metrics.length === 0) return ErrorCode.NONE;
    return this.take(request, instance);
  }

  private refusalOf(request: PushTelemetryRequest, instance: ClientInstance): ErrorCode {
    if (instance.isTerminating) return ErrorCode.INVALID_REQUEST;
    // The first push after a get may come early: clients spread it over half to one and a half intervals.
    const nowMs = this.clock.monotonicMs();
    const isDue = instance.lastGetMs > instance.lastPushMs || nowMs - instance.lastPushMs >= instance.pushIntervalMs;
    if (isDue) instance.lastPushMs = nowMs;
    else if (!request.terminating) return ErrorCode.THROTTLING_QUOTA_EXCEEDED;
    if (request.subscriptionId !== instance.subscriptionId) return ErrorCode.UNKNOWN_SUBSCRIPTION_ID;
    if (codecById(request.compressionType) === null) return ErrorCode.UNSUPPORTED_COMPRESSION_TYPE;
    if (request.metrics.length > this.telemetryBytesMax) return ErrorCode.TELEMETRY_TOO_LARGE;
    return ErrorCode.NONE;
  }

  private take(request: PushTelemetryRequest, instance: ClientInstance): ErrorCode {
    const codec = codecById(request.compressionType)!;
    const outputBytesMax = this.telemetryBytesMax * telemetryExpansionMax;
    const unpacked = codec.decompress(request.metrics, { outputBytesMax });
    if (unpacked instanceof DecompressionProblem) {
      return unpacked.code === "too-large" ? ErrorCode.TELEMETRY_TOO_LARGE : ErrorCode.INVALID_RECORD;
    }
    this.receiver?.receive({
      clientInstanceId: request.clientInstanceId,
      client: instance.client,
      isTerminating: request.terminating,
      pushIntervalMs: instance.pushIntervalMs,
      metrics: codec.id === 0 ? Buffer.from(unpacked) : unpacked,
    });
    return ErrorCode.NONE;
  }

  /** The instance as the newest subscriptions make it. */
  private instance(id: Uuid, client: ClientAttributes): ClientInstance {
    let instance = this.instances.get(id);
    if (instance === undefined) {
      instance = this.evaluated(id, client);
      if (this.instances.size >= clientInstanceCountMax) {
        const [longestIdle] = this.instances.keys();
        this.instances.delete(longestIdle!);
      }
    } else {
      this.instances.delete(id);
      // A changed subscription is told at once: the intervals begin anew.
      if (instance.subscriptionVersion < this.subscriptionVersion) instance = this.evaluated(id, instance.client);
    }
    this.instances.set(id, instance);
    return instance;
  }

  private evaluated(id: Uuid, client: ClientAttributes): ClientInstance {
    const metrics = new Set<string>();
    let pushIntervalMs = pushIntervalMsDefault;
    for (const subscription of this.subscriptions) {
      if (!isMatch(subscription, id, client)) continue;
      for (const metric of subscription.metrics) metrics.add(metric);
      pushIntervalMs = Math.min(pushIntervalMs, subscription.intervalMs);
    }
    const requestedMetrics = metrics.has("*") ? ["*"] : [...metrics].sort();
    const identity = Buffer.from(`${id} ${pushIntervalMs} ${requestedMetrics.join("\n")}`, "utf8");
    return {
      client,
      subscriptionVersion: this.subscriptionVersion,
      subscriptionId: crc32c(identity) | 0,
      requestedMetrics,
      pushIntervalMs,
      lastGetMs: Number.NEGATIVE_INFINITY,
      lastPushMs: Number.NEGATIVE_INFINITY,
      isTerminating: false,
    };
  }
}
