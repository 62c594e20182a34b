// The Disk port twice: files of the operating system, and files in memory with the same behaviour.
export { descriptorCountMaxDefault, FileDisk, type FileDiskOptions } from "./file-disk.ts";
export { MemoryDisk, type MemoryDiskOptions } from "./memory-disk.ts";
