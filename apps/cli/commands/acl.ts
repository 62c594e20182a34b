// `blum acl`: access control entries: which there are, more, fewer, and who may do something by them.
import {
  type Acl,
  type AclFilter,
  type AclOperationName,
  type AclResourceType,
  aclOperations,
  aclResourceTypes,
} from "@blumfeld/client";
import { AclAuthorizer } from "@blumfeld/core/security";
import { Command } from "commander";
import { type ConnectionFlags, withAdmin, withConnection } from "../connection.ts";
import { CliFailure } from "../failure.ts";
import { collect } from "../flags.ts";
import { type CliIo, exitCode, report } from "../io.ts";
import { textTable } from "../text-table.ts";

const examples = `
Examples:
  blum acl list
  blum acl list topic:orders                              every entry that is asked about this topic
  blum acl add allow User:alice read,describe topic:orders
  blum acl add allow User:app write 'topic:orders-*'      every topic whose name begins with orders-
  blum acl add deny User:bob all 'group:*' --host 10.0.0.7
  blum acl remove topic:orders --principal User:alice
  blum acl who-can read topic:orders`;

interface FilterFlags extends ConnectionFlags {
  readonly principal?: string;
  readonly host?: string;
  readonly operation?: string;
}

export function createAclCommand(io: CliIo): Command {
  const acl = new Command("acl").description("Access control entries: who may do what.").addHelpText("after", examples);
  const filtered = (command: Command): Command =>
    withConnection(command)
      .option("--principal <principal>", "only entries of this one, such as User:alice")
      .option("--host <address>", "only entries of this address")
      .option("--operation <operation>", "only entries of this operation, such as read");
  filtered(acl.command("list [resource]").description("all entries, or those that are asked about a resource")).action(
    (resource: string | undefined, flags: FilterFlags) => list(io, resource, flags),
  );
  withConnection(
    acl
      .command("add <permission> <principal> <operations> <resource>")
      .description("allow or deny operations (with commas between) on a resource; a name that ends with * is a prefix"),
  )
    .option("--host <address>", "from this address only; repeat for more", collect, [])
    .action((permission: string, principal: string, operations: string, resource: string, flags: AddFlags) =>
      add(io, { permission, principal, operations, resource }, flags),
    );
  filtered(
    acl
      .command("remove [resource]")
      .description("take entries away: those with exactly this resource, or all that the options name"),
  ).action((resource: string | undefined, flags: FilterFlags) => remove(io, resource, flags));
  withConnection(
    acl
      .command("who-can <operation> <resource>")
      .description("the principals that the entries allow it, and from where"),
  ).action((operation: string, resource: string, flags: ConnectionFlags) => whoCan(io, operation, resource, flags));
  return acl;
}

type AddFlags = ConnectionFlags & { readonly host: readonly string[] };

async function list(io: CliIo, resource: string | undefined, flags: FilterFlags): Promise<void> {
  const filter = filterOf(flags);
  const named = resource === undefined ? {} : asked(resource);
  const acls = await withAdmin(io, flags, (admin) => admin.describeAcls({ ...filter, ...named }));
  showAcls(io, flags, acls);
}

async function add(
  io: CliIo,
  written: {
    readonly permission: string;
    readonly principal: string;
    readonly operations: string;
    readonly resource: string;
  },
  flags: AddFlags,
): Promise<void> {
  const { operations, permission, principal, resource } = written;
  if (permission !== "allow" && permission !== "deny")
    throw new CliFailure(
      `${permission} is neither allow nor deny`,
      "blum acl add allow User:alice read topic:orders",
      exitCode.usage,
    );
  const hosts = flags.host.length === 0 ? ["*"] : flags.host;
  const pattern = patternOf(resource);
  const acls = operations
    .split(",")
    .flatMap((operation) =>
      hosts.map((host): Acl => ({ ...pattern, principal, host, operation: operationOf(operation), permission })),
    );
  const created = await withAdmin(io, flags, (admin) => admin.createAcls(acls));
  for (const { error } of created) if (error !== null) throw error;
  showAcls(io, flags, acls);
}

async function remove(io: CliIo, resource: string | undefined, flags: FilterFlags): Promise<void> {
  const filter: AclFilter = { ...filterOf(flags), ...(resource === undefined ? {} : patternOf(resource)) };
  if (Object.keys(filter).length === 0)
    throw new CliFailure(
      "this would take away every entry",
      "name a resource, --principal, --host or --operation",
      exitCode.usage,
    );
  const [deleted] = await withAdmin(io, flags, (admin) => admin.deleteAcls([filter]));
  if (deleted!.error !== null) throw deleted!.error;
  showAcls(io, flags, deleted!.acls);
}

/** By the entries alone: brokers' super.users may do everything, and are in no entry. */
async function whoCan(io: CliIo, operationName: string, resource: string, flags: ConnectionFlags): Promise<void> {
  const operation = operationOf(operationName);
  const { resourceName, resourceType } = asked(resource);
  const acls = await withAdmin(io, flags, (admin) =>
    admin.describeAcls({ resourceType, resourceName, patternType: "match" }),
  );
  const authorizer = new AclAuthorizer({ superUsers: new Set(), isOpenWithoutAcls: false });
  authorizer.replaceAll(
    acls.map((acl, index) => ({
      id: `${index}` as never,
      resourceType: aclResourceTypes[acl.resourceType],
      resourceName: acl.resourceName,
      patternType: acl.patternType === "literal" ? 3 : 4,
      principal: acl.principal,
      host: acl.host,
      operation: aclOperations[acl.operation],
      permissionType: acl.permission === "deny" ? 2 : 3,
    })),
  );
  const pairs = new Map(
    acls
      .filter(({ permission }) => permission === "allow")
      .map(({ host, principal }): [string, { principal: string; host: string }] => [
        `${principal} ${host}`,
        { principal, host },
      ]),
  );
  const allowed = [...pairs.values()].filter((pair) =>
    authorizer.authorize(pair, aclOperations[operation], aclResourceTypes[resourceType], resourceName),
  );
  report(io, flags, { operation, resource, allowed }, () => {
    const table = textTable(
      [
        { title: "PRINCIPAL", cell: ({ principal }) => principal },
        { title: "FROM", cell: ({ host }) => (host === "*" ? "everywhere" : host) },
      ],
      allowed,
    );
    return `${table}\nand super.users, who are in the brokers' settings\n`;
  });
}

function showAcls(io: CliIo, flags: ConnectionFlags, acls: readonly Acl[]): void {
  report(io, flags, { acls }, () =>
    textTable(
      [
        { title: "RESOURCE", cell: resourceText },
        { title: "PRINCIPAL", cell: ({ principal }) => principal },
        { title: "PERMISSION", cell: ({ permission }) => permission },
        { title: "OPERATION", cell: ({ operation }) => operation },
        { title: "FROM", cell: ({ host }) => (host === "*" ? "everywhere" : host) },
      ],
      acls,
    ),
  );
}

function resourceText({ patternType, resourceName, resourceType }: Acl): string {
  return `${resourceType}:${resourceName}${patternType === "prefixed" ? "*" : ""}`;
}

function filterOf({ host, operation, principal }: FilterFlags): AclFilter {
  return {
    ...(principal === undefined ? {} : { principal }),
    ...(host === undefined ? {} : { host }),
    ...(operation === undefined ? {} : { operation: operationOf(operation) }),
  };
}

/** "topic:orders": that topic, whatever patterns take it. */
function asked(resource: string): { resourceType: AclResourceType; resourceName: string; patternType: "match" } {
  return { ...named(resource), patternType: "match" };
}

/** "topic:orders" literally, "topic:orders-*" as a prefix, "topic:*" every topic. */
function patternOf(resource: string): Pick<Acl, "resourceType" | "resourceName" | "patternType"> {
  const { resourceName, resourceType } = named(resource);
  if (resourceName === "*" || !resourceName.endsWith("*"))
    return { resourceType, resourceName, patternType: "literal" };
  return { resourceType, resourceName: resourceName.slice(0, -1), patternType: "prefixed" };
}

function named(resource: string): { resourceType: AclResourceType; resourceName: string } {
  const colon = resource.indexOf(":");
  const type = colon < 0 ? resource : resource.slice(0, colon);
  if (type === "cluster") return { resourceType: "cluster", resourceName: "kafka-cluster" };
  if (colon > 0 && Object.hasOwn(aclResourceTypes, type))
    return { resourceType: type as AclResourceType, resourceName: resource.slice(colon + 1) };
  throw new CliFailure(
    `${resource} is no resource`,
    `write it as topic:orders; there are ${Object.keys(aclResourceTypes).join(", ")}`,
    exitCode.usage,
  );
}

function operationOf(text: string): AclOperationName {
  const name = text.trim().toLowerCase().replaceAll("_", "-");
  if (Object.hasOwn(aclOperations, name)) return name as AclOperationName;
  throw new CliFailure(`${text} is no operation`, `there are ${Object.keys(aclOperations).join(", ")}`, exitCode.usage);
}
