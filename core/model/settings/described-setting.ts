// A setting with where its value comes from, as DescribeConfigs answers it.
import type { SettingType } from "./definition.ts";

/** Kafka's ConfigSource codes. */
export const settingSource = {
  unknown: 0,
  topic: 1,
  dynamicBroker: 2,
  dynamicDefaultBroker: 3,
  staticBroker: 4,
  default: 5,
  dynamicBrokerLogger: 6,
  clientMetrics: 7,
  group: 8,
} as const;
export type SettingSource = (typeof settingSource)[keyof typeof settingSource];

/** Kafka's ConfigType codes in DescribeConfigs. */
export const settingTypeCode: Readonly<Record<SettingType, number>> = {
  BOOLEAN: 1,
  STRING: 2,
  INT: 3,
  SHORT: 4,
  LONG: 5,
  DOUBLE: 6,
  LIST: 7,
  CLASS: 8,
  PASSWORD: 9,
};

export interface DescribedSetting {
  readonly name: string;
  /** Null for null and for what is sensitive. */
  readonly value: string | null;
  readonly source: SettingSource;
  readonly isSensitive: boolean;
  readonly isReadOnly: boolean;
  /** Null for a name that no table knows. */
  readonly type: SettingType | null;
  /** All values that could count, the one that does first. */
  readonly synonyms: readonly SettingSynonym[];
}

export interface SettingSynonym {
  readonly name: string;
  readonly value: string | null;
  readonly source: SettingSource;
}
