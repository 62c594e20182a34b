// Which protocol a member speaks is known once its coordinator was asked: the consumer protocol (KIP-848) where the cluster offers it and nothing that
// was asked for needs the classic one, else the classic. Also where the group itself is held to the classic one by members that cannot go over.
import { ApiKey } from "@blumfeld/core/protocol";
import type { ClusterClient } from "../../connection/cluster-client.ts";
import { KafkaError } from "../../errors.ts";
import { ClassicMembership } from "./classic-membership.ts";
import { ConsumerMembership } from "./consumer-membership.ts";
import type { GroupMetadata } from "./group-offsets.ts";
import { type GroupMembership, type MembershipOwner, PollWatch } from "./membership.ts";
import type { ResolvedGroupOptions } from "./options.ts";

const featureName = "group.version";
/** What a coordinator answers to a member of the new protocol where the group is one of the old and stays so. */
const notForThisGroup: ReadonlySet<string> = new Set([
  "GROUP_ID_NOT_FOUND",
  "INCONSISTENT_GROUP_PROTOCOL",
  "UNSUPPORTED_VERSION",
]);

export class NegotiatedMembership implements GroupMembership {
  readonly #cluster: ClusterClient;
  readonly #options: ResolvedGroupOptions;
  readonly #owner: MembershipOwner;
  #membership: GroupMembership | null = null;
  #hasJoined = false;
  #isClosed = false;
  readonly #watchBefore: PollWatch;
  #asking = 0;

  constructor(cluster: ClusterClient, options: ResolvedGroupOptions, owner: MembershipOwner) {
    this.#cluster = cluster;
    this.#options = options;
    this.#owner = owner;
    this.#watchBefore = new PollWatch(cluster.context.clock);
    if (options.groupProtocol === "classic") this.#membership = new ClassicMembership(cluster, options, owner);
    if (options.groupProtocol === "consumer") this.#membership = new ConsumerMembership(cluster, options, owner);
  }

  get watch(): PollWatch {
    return this.#membership?.watch ?? this.#watchBefore;
  }

  get needsWork(): boolean {
    return this.#membership?.needsWork ?? true;
  }

  get committer(): GroupMetadata {
    const { groupId, groupInstanceId } = this.#options;
    return this.#membership?.committer ?? { groupId, generation: -1, memberId: "", groupInstanceId };
  }

  /** The program asks for messages, and waits until `asked` is called. */
  asking(): void {
    this.#asking++;
    this.#membership?.watch.asking();
  }

  asked(): void {
    this.#asking--;
    this.#membership?.watch.asked();
  }

  rejoin(reason: string): void {
    if (this.#membership === null) this.#owner.wake();
    else this.#membership.rejoin(reason);
  }

  async ensureStable(): Promise<void> {
    const membership = this.#membership ?? (await this.#negotiate());
    if (this.#hasJoined || this.#options.groupProtocol !== "auto") return membership.ensureStable();
    try {
      await membership.ensureStable();
      this.#hasJoined = true;
    } catch (error) {
      const isOther = error instanceof KafkaError && notForThisGroup.has(error.code);
      if (!isOther || !(membership instanceof ConsumerMembership)) throw error;
      await membership.leave();
      this.#hasJoined = true;
      await this.#use(new ClassicMembership(this.#cluster, this.#options, this.#owner)).ensureStable();
    }
  }

  onRefusedCommit(error: KafkaError): void {
    this.#membership?.onRefusedCommit(error);
  }

  async leave(): Promise<void> {
    this.#isClosed = true;
    await this.#membership?.leave();
  }

  async #negotiate(): Promise<GroupMembership> {
    const { groupId } = this.#options;
    const isOffered = await this.#cluster.retrying(
      async () => {
        const nodeId = await this.#cluster.coordinator("group", groupId);
        const connection = await this.#cluster.connection(nodeId, "coordinator");
        const features = connection.apiVersions?.finalizedFeatures ?? [];
        const level = features.find(({ name }) => name === featureName)?.maxVersionLevel ?? 0;
        return level > 0 && connection.versions.has(ApiKey.ConsumerGroupHeartbeat);
      },
      { beforeRetry: () => this.#cluster.forgetCoordinator("group", groupId) },
    );
    if (this.#membership !== null) return this.#membership;
    const Chosen = isOffered ? ConsumerMembership : ClassicMembership;
    const membership = this.#use(new Chosen(this.#cluster, this.#options, this.#owner));
    if (this.#isClosed) await membership.leave();
    return membership;
  }

  #use(membership: GroupMembership): GroupMembership {
    this.#membership = membership;
    for (let count = 0; count < this.#asking; count++) membership.watch.asking();
    return membership;
  }
}
