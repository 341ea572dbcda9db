/** The room that spreads keys over instances. */
export type { Key, KeyCommandName, KeyCommands, KeyOptions, SetOptions } from "./key-commands.ts";
export { openShards, type ShardsOptions } from "./open.ts";
export type { Pipeline, PipelineResult } from "./pipeline.ts";
export type { ScanOptions, Shards, ShardsCore, ShardsPurpose, ShardsStatus } from "./shards.ts";
