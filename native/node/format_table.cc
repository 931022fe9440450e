#include "node/format_table.h"

#include "region/format.h"

namespace vmm {

namespace {

struct Named {
  char name[24];
  uint32_t number;
};

constexpr Named kHeaderOffsets[] = {
    {"magic", offsetof(RegionHeader, magic)},
    {"version", offsetof(RegionHeader, version)},
    {"byteOrder", offsetof(RegionHeader, byte_order)},
    {"granuleBytes", offsetof(RegionHeader, granule_bytes)},
    {"shards", offsetof(RegionHeader, shards)},
    {"banks", offsetof(RegionHeader, banks)},
    {"directoryRows", offsetof(RegionHeader, directory_rows)},
    {"schemaFingerprint", offsetof(RegionHeader, schema_fingerprint)},
    {"documentOffset", offsetof(RegionHeader, document_offset)},
    {"documentBytes", offsetof(RegionHeader, document_bytes)},
    {"chunksOffset", offsetof(RegionHeader, chunks_offset)},
    {"processId", offsetof(RegionHeader, process_id)},
    {"state", offsetof(RegionHeader, state)},
    {"processStartTicks", offsetof(RegionHeader, process_start_ticks)},
    {"processStartRealtimeNs", offsetof(RegionHeader, process_start_realtime_ns)},
    {"bootId", offsetof(RegionHeader, boot_id)},
    {"commit", offsetof(RegionHeader, commit)},
    {"cellsUsed", offsetof(RegionHeader, cells_used)},
    {"shardsUsed", offsetof(RegionHeader, shards_used)},
    {"devicesUsed", offsetof(RegionHeader, devices_used)},
    {"degraded", offsetof(RegionHeader, degraded)},
    {"crash", offsetof(RegionHeader, crash)},
    {"line", offsetof(RegionHeader, line)},
    {"exitCode", offsetof(RegionHeader, exit_code)},
    {"unsettled", offsetof(RegionHeader, unsettled)},
    {"retiredEpoch", offsetof(RegionHeader, retired_epoch)},
    {"directoryChanges", offsetof(RegionHeader, directory_changes)},
    {"reserved", offsetof(RegionHeader, reserved)},
    {"sinkPath", offsetof(RegionHeader, sink_path)},
};

constexpr Named kCrashOffsets[] = {
    {"signal", offsetof(CrashRecord, signal)},     {"code", offsetof(CrashRecord, code)},
    {"address", offsetof(CrashRecord, address)},   {"threadId", offsetof(CrashRecord, thread_id)},
    {"reserved", offsetof(CrashRecord, reserved)}, {"realtimeNs", offsetof(CrashRecord, realtime_ns)},
};

constexpr Named kLineOffsets[] = {
    {"commit", offsetof(LineInFlight, commit)},
    {"device", offsetof(LineInFlight, device)},
    {"inode", offsetof(LineInFlight, inode)},
    {"offset", offsetof(LineInFlight, offset)},
    {"bytes", offsetof(LineInFlight, bytes)},
    {"sent", offsetof(LineInFlight, sent)},
    {"isRegularFile", offsetof(LineInFlight, is_regular_file)},
    {"reserved", offsetof(LineInFlight, reserved)},
};

constexpr Named kDirectoryEntryOffsets[] = {
    {"group", offsetof(DirectoryEntry, group)}, {"firstCell", offsetof(DirectoryEntry, first_cell)},
    {"state", offsetof(DirectoryEntry, state)}, {"idBytes", offsetof(DirectoryEntry, id_bytes)},
    {"id", offsetof(DirectoryEntry, id)},
};

constexpr Named kNumbers[] = {
    {"FORMAT_VERSION", kFormatVersion},
    {"BYTE_ORDER", kByteOrder},
    {"CELLS_MAX", kCellsMax},
    {"DEVICES_MAX", kDevicesMax},
    {"LINE_BYTES_MAX", kLineBytesMax},
    {"ENTRY_STATE_BITS", kEntryStateBits},
    {"SHARDS", kShards},
    {"BANKS", kBanks},
    {"MAX_CHUNKS", kMaxChunks},
    {"DOCUMENT_BYTES_MAX", kDocumentBytesMax},
    {"ID_BYTES_MAX", kIdBytesMax},
    {"SINK_PATH_BYTES_MAX", kSinkPathBytesMax},
    {"DIRECTORY_ENTRY_BYTES", sizeof(DirectoryEntry)},
    {"DIRECTORY_ROWS", kDirectoryRows},
    {"FIRST_DIRECTORY_ROW", kFirstDirectoryRow},
    {"FIRST_SHARD_ROW", kFirstShardRow},
    {"ROWS", kRows},
    {"HEADER_BYTES", sizeof(RegionHeader)},
    {"BOOT_ID_BYTES", sizeof(RegionHeader::boot_id)},
    {"LINE_BYTES", sizeof(LineInFlight)},
};

template <size_t n>
void SetAll(Napi::Object out, const Named (&numbers)[n]) {
  for (const Named& one : numbers) out.Set(one.name, one.number);
}

template <size_t n>
Napi::Object ObjectOf(Napi::Env env, const Named (&numbers)[n]) {
  Napi::Object out = Napi::Object::New(env);
  SetAll(out, numbers);
  return out;
}

}  // namespace

Napi::Value FormatTable(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Napi::Object out = Napi::Object::New(env);
  out.Set("HeaderOffset", ObjectOf(env, kHeaderOffsets));
  out.Set("CrashOffset", ObjectOf(env, kCrashOffsets));
  out.Set("LineOffset", ObjectOf(env, kLineOffsets));
  out.Set("DirectoryEntryOffset", ObjectOf(env, kDirectoryEntryOffsets));
  out.Set("MAGIC", Napi::BigInt::New(env, kMagic));
  SetAll(out, kNumbers);
  return out;
}

}  // namespace vmm
