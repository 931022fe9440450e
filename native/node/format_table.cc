#include "node/format_table.h"

#include "region/format.h"

namespace vmm {

Napi::Value FormatTable(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Object header = Napi::Object::New(env), crash = Napi::Object::New(env), line = Napi::Object::New(env);
  Napi::Object entry = Napi::Object::New(env), out = Napi::Object::New(env);
  header["magic"] = offsetof(RegionHeader, magic);
  header["version"] = offsetof(RegionHeader, version);
  header["byteOrder"] = offsetof(RegionHeader, byte_order);
  header["granuleBytes"] = offsetof(RegionHeader, granule_bytes);
  header["shards"] = offsetof(RegionHeader, shards);
  header["banks"] = offsetof(RegionHeader, banks);
  header["directoryRows"] = offsetof(RegionHeader, directory_rows);
  header["schemaFingerprint"] = offsetof(RegionHeader, schema_fingerprint);
  header["documentOffset"] = offsetof(RegionHeader, document_offset);
  header["documentBytes"] = offsetof(RegionHeader, document_bytes);
  header["chunksOffset"] = offsetof(RegionHeader, chunks_offset);
  header["processId"] = offsetof(RegionHeader, process_id);
  header["state"] = offsetof(RegionHeader, state);
  header["processStartTicks"] = offsetof(RegionHeader, process_start_ticks);
  header["processStartRealtimeNs"] = offsetof(RegionHeader, process_start_realtime_ns);
  header["bootId"] = offsetof(RegionHeader, boot_id);
  header["commit"] = offsetof(RegionHeader, commit);
  header["cellsUsed"] = offsetof(RegionHeader, cells_used);
  header["shardsUsed"] = offsetof(RegionHeader, shards_used);
  header["devicesUsed"] = offsetof(RegionHeader, devices_used);
  header["degraded"] = offsetof(RegionHeader, degraded);
  header["crash"] = offsetof(RegionHeader, crash);
  header["line"] = offsetof(RegionHeader, line);
  header["exitCode"] = offsetof(RegionHeader, exit_code);
  header["unsettled"] = offsetof(RegionHeader, unsettled);
  header["retiredEpoch"] = offsetof(RegionHeader, retired_epoch);
  header["reserved"] = offsetof(RegionHeader, reserved);
  header["sinkPath"] = offsetof(RegionHeader, sink_path);
  crash["signal"] = offsetof(CrashRecord, signal);
  crash["code"] = offsetof(CrashRecord, code);
  crash["address"] = offsetof(CrashRecord, address);
  crash["threadId"] = offsetof(CrashRecord, thread_id);
  crash["reserved"] = offsetof(CrashRecord, reserved);
  crash["realtimeNs"] = offsetof(CrashRecord, realtime_ns);
  line["commit"] = offsetof(LineInFlight, commit);
  line["device"] = offsetof(LineInFlight, device);
  line["inode"] = offsetof(LineInFlight, inode);
  line["offset"] = offsetof(LineInFlight, offset);
  line["bytes"] = offsetof(LineInFlight, bytes);
  line["sent"] = offsetof(LineInFlight, sent);
  line["isRegularFile"] = offsetof(LineInFlight, is_regular_file);
  line["reserved"] = offsetof(LineInFlight, reserved);
  entry["group"] = offsetof(DirectoryEntry, group);
  entry["firstCell"] = offsetof(DirectoryEntry, first_cell);
  entry["state"] = offsetof(DirectoryEntry, state);
  entry["idBytes"] = offsetof(DirectoryEntry, id_bytes);
  entry["id"] = offsetof(DirectoryEntry, id);
  out["HeaderOffset"] = header;
  out["CrashOffset"] = crash;
  out["LineOffset"] = line;
  out["DirectoryEntryOffset"] = entry;
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
