// Who somebody is and what they may do: access control entries, SASL mechanisms. Decides only; sockets and files are the host's.
export * from "./acl/acl-authorizer.ts";
export * from "./acl/codes.ts";
export * from "./sasl/jaas.ts";
export * from "./sasl/plain.ts";
export * from "./sasl/sasl-server.ts";
export * from "./sasl/scram.ts";
