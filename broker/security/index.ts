// Who connects, and what they may do: listeners' mechanisms and the authorizer over the metadata.
export * from "./acl-security.ts";
export * from "./connection-authentication.ts";
export * from "./listener-security.ts";
