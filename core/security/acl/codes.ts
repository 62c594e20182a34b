// The numbers by which Kafka names operations, resource types, patterns and permissions in requests and metadata records.

export const AclOperation = {
  Any: 1,
  All: 2,
  Read: 3,
  Write: 4,
  Create: 5,
  Delete: 6,
  Alter: 7,
  Describe: 8,
  ClusterAction: 9,
  DescribeConfigs: 10,
  AlterConfigs: 11,
  IdempotentWrite: 12,
  CreateTokens: 13,
  DescribeTokens: 14,
  TwoPhaseCommit: 15,
} as const;
export type AclOperation = (typeof AclOperation)[keyof typeof AclOperation];

export const ResourceType = {
  Topic: 2,
  Group: 3,
  Cluster: 4,
  TransactionalId: 5,
  DelegationToken: 6,
  User: 7,
} as const;
export type ResourceType = (typeof ResourceType)[keyof typeof ResourceType];

export const AclPermission = { Deny: 2, Allow: 3 } as const;
export const AclPattern = { Literal: 3, Prefixed: 4 } as const;

/** The literal name that stands for every resource. */
export const everyResource = "*";
/** The principal and the host that stand for all. */
export const everyPrincipal = "User:*";
export const everyHost = "*";
