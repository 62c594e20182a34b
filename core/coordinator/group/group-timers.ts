// What a due timer of a group shard says. Keys name what is timed, so that setting one again moves it.

export type GroupTimer =
  | { readonly kind: "classic-session"; readonly groupId: string; readonly memberId: string }
  | { readonly kind: "classic-join"; readonly groupId: string }
  | {
      readonly kind: "classic-initial-join";
      readonly groupId: string;
      readonly delayMs: number;
      readonly leftMs: number;
    }
  | { readonly kind: "classic-sync"; readonly groupId: string; readonly generationId: number }
  | { readonly kind: "offset-expiry" }
  | { readonly kind: "consumer-session"; readonly groupId: string; readonly memberId: string }
  | {
      readonly kind: "consumer-revocation";
      readonly groupId: string;
      readonly memberId: string;
      readonly memberEpoch: number;
    }
  | {
      readonly kind: "consumer-classic-join";
      readonly groupId: string;
      readonly memberId: string;
      readonly memberEpoch: number;
    }
  | {
      readonly kind: "consumer-classic-sync";
      readonly groupId: string;
      readonly memberId: string;
      readonly memberEpoch: number;
    }
  | { readonly kind: "share-session"; readonly groupId: string; readonly memberId: string }
  | { readonly kind: "streams-session"; readonly groupId: string; readonly memberId: string }
  | {
      readonly kind: "streams-revocation";
      readonly groupId: string;
      readonly memberId: string;
      readonly memberEpoch: number;
    }
  | { readonly kind: "streams-initial-rebalance"; readonly groupId: string }
  | { readonly kind: "consumer-regex"; readonly groupId: string };

/** Group ids and member ids may hold anything; a NUL between them keeps two pairs from meeting in one key. */
export const timerKeys = {
  classicSession: (groupId: string, memberId: string): string => `classic-session\0${groupId}\0${memberId}`,
  /** The initial delay and the rebalance timeout are one timer. */
  classicJoin: (groupId: string): string => `classic-join\0${groupId}`,
  classicSync: (groupId: string): string => `classic-sync\0${groupId}`,
  offsetExpiry: "offset-expiry",
  consumerSession: (groupId: string, memberId: string): string => `consumer-session\0${groupId}\0${memberId}`,
  consumerRevocation: (groupId: string, memberId: string): string => `consumer-revocation\0${groupId}\0${memberId}`,
  consumerClassicJoin: (groupId: string, memberId: string): string => `consumer-join\0${groupId}\0${memberId}`,
  consumerClassicSync: (groupId: string, memberId: string): string => `consumer-sync\0${groupId}\0${memberId}`,
  shareSession: (groupId: string, memberId: string): string => `share-session\0${groupId}\0${memberId}`,
  streamsSession: (groupId: string, memberId: string): string => `streams-session\0${groupId}\0${memberId}`,
  streamsRevocation: (groupId: string, memberId: string): string => `streams-revocation\0${groupId}\0${memberId}`,
  streamsInitialRebalance: (groupId: string): string => `streams-initial-rebalance\0${groupId}`,
  consumerRegex: (groupId: string): string => `consumer-regex\0${groupId}`,
} as const;
