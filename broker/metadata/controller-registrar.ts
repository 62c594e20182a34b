// A controller tells the active one that it is there, at which addresses, and what it supports (KIP-919), once for each of its lives. It looks
// at the metadata to learn whether that is known, and asks again until it is.
import type { Logger, TimerHandle, Timers, Uuid } from "@blumfeld/core/base";
import {
  type MetadataImage,
  metadataVersions,
  type RegisteredEndpoint,
  type SupportedRange,
} from "@blumfeld/core/controller";
import { ApiKey, ErrorCode, errorOf } from "@blumfeld/core/protocol";
import type { ControllerChannel } from "../parts.ts";
import { ownOrigin } from "./controller-requests.ts";

const retryMs = 1_000;
const requestMs = 5_000;

export interface ControllerRegistrarOptions {
  readonly nodeId: number;
  readonly incarnationId: Uuid;
  readonly endpoints: readonly RegisteredEndpoint[];
  readonly supportedFeatures: ReadonlyMap<string, SupportedRange>;
  readonly channel: ControllerChannel;
  readonly image: () => MetadataImage;
  readonly timers: Timers;
  readonly logger: Logger;
}

export class ControllerRegistrar {
  private readonly options: ControllerRegistrarOptions;
  private asking: Promise<void> | null = null;
  private retry: TimerHandle | null = null;
  private isClosed = false;

  constructor(options: ControllerRegistrarOptions) {
    this.options = options;
  }

  private get isNeeded(): boolean {
    const { image, incarnationId, nodeId } = this.options;
    const { cluster, features } = image();
    if (features.metadataVersion < metadataVersions.controllerRegistration) return false;
    return cluster.controllers.get(nodeId)?.incarnationId !== incarnationId;
  }

  /** The metadata has moved. Resolves when one try is over, where one is needed. */
  onMetadata(): Promise<void> {
    if (this.isClosed || !this.isNeeded || this.retry !== null) return Promise.resolve();
    this.asking ??= this.ask().finally(() => {
      this.asking = null;
    });
    return this.asking;
  }

  private async ask(): Promise<void> {
    const { channel, endpoints, incarnationId, logger, nodeId, supportedFeatures, timers } = this.options;
    try {
      const answer = await channel.request(
        ApiKey.ControllerRegistration,
        {
          ...{ controllerId: nodeId, incarnationId, zkMigrationReady: false },
          listeners: endpoints.map(({ host, name, port, securityProtocol }) => ({
            host,
            name,
            port,
            securityProtocol,
          })),
          features: [...supportedFeatures].map(([name, { maxVersion, minVersion }]) => ({
            ...{ name, minSupportedVersion: minVersion, maxSupportedVersion: maxVersion },
          })),
        },
        ownOrigin(requestMs),
      );
      const { errorCode = ErrorCode.NONE } = answer;
      if (errorCode === ErrorCode.NONE) return;
      throw new Error(answer.errorMessage || errorOf(errorCode).message);
    } catch (error) {
      if (this.isClosed) return;
      logger.warn({ nodeId, error: String(error) }, "the controller is not registered yet: it tries again");
      this.retry = timers.after(retryMs, () => {
        this.retry = null;
        void this.onMetadata();
      });
    }
  }

  close(): void {
    this.isClosed = true;
    this.retry?.cancel();
  }
}
