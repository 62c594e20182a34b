// The finalized level of each feature. Level 0 is "not there". kraft.version is the quorum's own and stands in control records.
import type { MetadataDelta } from "./metadata-delta.ts";

export const metadataVersionFeature = "metadata.version";
export const elrFeature = "eligible.leader.replicas.version";

export class FeaturesImage {
  readonly finalized = new Map<string, number>();

  level(feature: string): number {
    return this.finalized.get(feature) ?? 0;
  }

  /** 0 before the first records of a cluster. */
  get metadataVersion(): number {
    return this.level(metadataVersionFeature);
  }

  get isElrEnabled(): boolean {
    return this.level(elrFeature) >= 1;
  }

  copy(): FeaturesImage {
    const copy = new FeaturesImage();
    for (const [name, level] of this.finalized) copy.finalized.set(name, level);
    return copy;
  }

  onLevel(name: string, level: number, delta: MetadataDelta): void {
    if (level === 0) this.finalized.delete(name);
    else this.finalized.set(name, level);
    delta.changedFeatures.add(name);
  }
}
