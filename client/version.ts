// Told to brokers in ApiVersions (KIP-511).
export const version = "0.1.0";
