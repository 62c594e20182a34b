// The authorizer of a node: the access control entries of its committed metadata, kept up with what changes.
import type { MetadataDelta, MetadataImage } from "@blumfeld/core/controller";
import { AclAuthorizer, type AclRules } from "@blumfeld/core/security";
import type { AclOperation, Authorizer, RequestOrigin, ResourceType } from "../security-seam.ts";

export interface ImageSource {
  readonly image: MetadataImage;
  onImage(listener: (delta: MetadataDelta, image: MetadataImage) => void): () => void;
}

export class ImageAuthorizer implements Authorizer {
  readonly isConfigured = true;
  private readonly acls: AclAuthorizer;
  /** Nobody but super users gets anything before the metadata is known. */
  private isLoaded = false;
  private readonly rules: AclRules;

  constructor(rules: AclRules) {
    this.rules = rules;
    this.acls = new AclAuthorizer(rules);
  }

  /** Follows the metadata from now on; returns a function that stops it. */
  follow(source: ImageSource): () => void {
    this.load(source.image);
    return source.onImage((delta, image) => {
      if (delta.isWhole) this.load(image);
      else this.apply(delta, image);
    });
  }

  private load(image: MetadataImage): void {
    this.acls.replaceAll(image.acls.byId.values());
    this.isLoaded = true;
  }

  private apply(delta: MetadataDelta, image: MetadataImage): void {
    for (const id of delta.removedAcls) this.acls.remove(id);
    for (const id of delta.addedAcls) {
      const entry = image.acls.byId.get(id);
      if (entry !== undefined) this.acls.add(entry);
    }
  }

  authorize(origin: RequestOrigin, operation: AclOperation, resourceType: ResourceType, resourceName: string): boolean {
    if (isNodeItself(origin)) return true;
    const subject = subjectOf(origin);
    if (!this.isLoaded) return this.rules.superUsers.has(subject.principal);
    return this.acls.authorize(subject, operation, resourceType, resourceName);
  }

  authorizeByResourceType(origin: RequestOrigin, operation: AclOperation, resourceType: ResourceType): boolean {
    const subject = subjectOf(origin);
    if (!this.isLoaded) return this.rules.superUsers.has(subject.principal);
    return this.acls.authorizeByResourceType(subject, operation, resourceType);
  }
}

/** What a node asks of its own controller comes over no listener. */
function isNodeItself({ listenerName }: RequestOrigin): boolean {
  return listenerName === "";
}

function subjectOf({ clientAddress, principal }: RequestOrigin): { principal: string; host: string } {
  // An IPv4 peer of a socket that takes both is written as Kafka writes it.
  const host = clientAddress.startsWith("::ffff:") ? clientAddress.slice("::ffff:".length) : clientAddress;
  return { principal: `${principal.principalType}:${principal.name}`, host };
}
