#include "node/format_table.h"

#include "region/format.h"

namespace vmm {

namespace {

Napi::Object HeaderOffsets(Napi::Env env) {
  Napi::Object offset = Napi::Object::New(env);
  offset["magic"] = offsetof(RegionHeader, magic);
  offset["version"] = offsetof(RegionHeader, version);
  offset["byteOrder"] = offsetof(RegionHeader, byte_order);
  offset["granuleBytes"] = offsetof(RegionHeader, granule_bytes);
  offset["shards"] = offsetof(RegionHeader, shards);
  offset["banks"] = offsetof(RegionHeader, banks);
  offset["directoryRows"] = offsetof(RegionHeader, directory_rows);
  offset["schemaFingerprint"] = offsetof(RegionHeader, schema_fingerprint);
  offset["documentOffset"] = offsetof(RegionHeader, document_offset);
  offset["documentBytes"] = offsetof(RegionHeader, document_bytes);
  offset["chunksOffset"] = offsetof(RegionHeader, chunks_offset);
  offset["processId"] = offsetof(RegionHeader, process_id);
  offset["state"] = offsetof(RegionHeader, state);
  offset["processStartTicks"] = offsetof(RegionHeader, process_start_ticks);
  offset["processStartRealtimeNs"] = offsetof(RegionHeader, process_start_realtime_ns);
  offset["bootId"] = offsetof(RegionHeader, boot_id);
  offset["commit"] = offsetof(RegionHeader, commit);
  offset["cellsUsed"] = offsetof(RegionHeader, cells_used);
  offset["shardsUsed"] = offsetof(RegionHeader, shards_used);
  offset["devicesUsed"] = offsetof(RegionHeader, devices_used);
  offset["degraded"] = offsetof(RegionHeader, degraded);
  offset["crash"] = offsetof(RegionHeader, crash);
  offset["line"] = offsetof(RegionHeader, line);
  offset["exitCode"] = offsetof(RegionHeader, exit_code);
  offset["unsettled"] = offsetof(RegionHeader, unsettled);
  offset["retiredEpoch"] = offsetof(RegionHeader, retired_epoch);
  offset["directoryChanges"] = offsetof(RegionHeader, directory_changes);
  offset["reserved"] = offsetof(RegionHeader, reserved);
  offset["sinkPath"] = offsetof(RegionHeader, sink_path);
  return offset;
}

Napi::Object CrashOffsets(Napi::Env env) {
  Napi::Object offset = Napi::Object::New(env);
  offset["signal"] = offsetof(CrashRecord, signal);
  offset["code"] = offsetof(CrashRecord, code);
  offset["address"] = offsetof(CrashRecord, address);
  offset["threadId"] = offsetof(CrashRecord, thread_id);
  offset["reserved"] = offsetof(CrashRecord, reserved);
  offset["realtimeNs"] = offsetof(CrashRecord, realtime_ns);
  return offset;
}

Napi::Object LineOffsets(Napi::Env env) {
  Napi::Object offset = Napi::Object::New(env);
  offset["commit"] = offsetof(LineInFlight, commit);
  offset["device"] = offsetof(LineInFlight, device);
  offset["inode"] = offsetof(LineInFlight, inode);
  offset["offset"] = offsetof(LineInFlight, offset);
  offset["bytes"] = offsetof(LineInFlight, bytes);
  offset["sent"] = offsetof(LineInFlight, sent);
  offset["isRegularFile"] = offsetof(LineInFlight, is_regular_file);
  offset["reserved"] = offsetof(LineInFlight, reserved);
  return offset;
}

Napi::Object DirectoryEntryOffsets(Napi::Env env) {
  Napi::Object offset = Napi::Object::New(env);
  offset["group"] = offsetof(DirectoryEntry, group);
  offset["firstCell"] = offsetof(DirectoryEntry, first_cell);
  offset["state"] = offsetof(DirectoryEntry, state);
  offset["idBytes"] = offsetof(DirectoryEntry, id_bytes);
  offset["id"] = offsetof(DirectoryEntry, id);
  return offset;
}

}  // namespace

Napi::Value FormatTable(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Object out = Napi::Object::New(env);
  out["HeaderOffset"] = HeaderOffsets(env);
  out["CrashOffset"] = CrashOffsets(env);
  out["LineOffset"] = LineOffsets(env);
  out["DirectoryEntryOffset"] = DirectoryEntryOffsets(env);
  out["MAGIC"] = Napi::BigInt::New(env, kMagic);
  out["FORMAT_VERSION"] = kFormatVersion;
  out["BYTE_ORDER"] = kByteOrder;
  out["CELLS_MAX"] = kCellsMax;
  out["DEVICES_MAX"] = kDevicesMax;
  out["LINE_BYTES_MAX"] = static_cast<double>(kLineBytesMax);
  out["ENTRY_STATE_BITS"] = kEntryStateBits;
  out["SHARDS"] = kShards;
  out["BANKS"] = kBanks;
  out["MAX_CHUNKS"] = kMaxChunks;
  out["DOCUMENT_BYTES_MAX"] = kDocumentBytesMax;
  out["ID_BYTES_MAX"] = kIdBytesMax;
  out["SINK_PATH_BYTES_MAX"] = kSinkPathBytesMax;
  out["DIRECTORY_ENTRY_BYTES"] = sizeof(DirectoryEntry);
  out["DIRECTORY_ROWS"] = kDirectoryRows;
  out["FIRST_DIRECTORY_ROW"] = kFirstDirectoryRow;
  out["FIRST_SHARD_ROW"] = kFirstShardRow;
  out["ROWS"] = kRows;
  out["HEADER_BYTES"] = sizeof(RegionHeader);
  out["BOOT_ID_BYTES"] = sizeof(RegionHeader::boot_id);
  out["LINE_BYTES"] = sizeof(LineInFlight);
  return out;
}

}  // namespace vmm
