// etcd's messages, as far as podloom uses them: names and numbers are those of etcd's `rpc.proto` and `kv.proto`. A field that
// nobody here asks for is not listed; the decoder steps over it.
import {
  bool,
  bytes,
  type Decoded,
  enumeration,
  id,
  int64,
  member,
  message,
  repeated,
  string,
  table,
  uid,
} from "./protobuf-table.ts";

export const CompareResult = { equal: 0, greater: 1, less: 2, notEqual: 3 } as const;
export const CompareTarget = { version: 0, create: 1, mod: 2, value: 3, lease: 4 } as const;
export const EventType = { put: 0, delete: 1 } as const;

export const ResponseHeader = table("etcdserverpb.ResponseHeader", {
  cluster_id: uid(1),
  revision: int64(3),
});
export const KeyValue = table("mvccpb.KeyValue", {
  key: bytes(1),
  create_revision: int64(2),
  mod_revision: int64(3),
  version: int64(4),
  value: bytes(5),
  lease: id(6),
});
export const Event = table("mvccpb.Event", { type: enumeration(1), kv: message(2, KeyValue) });

export const RangeRequest = table("etcdserverpb.RangeRequest", {
  key: bytes(1),
  range_end: bytes(2),
  revision: int64(4),
});
export const RangeResponse = table("etcdserverpb.RangeResponse", {
  header: message(1, ResponseHeader),
  kvs: repeated(message(2, KeyValue)),
});
export const PutRequest = table("etcdserverpb.PutRequest", { key: bytes(1), value: bytes(2), lease: id(3) });
export const PutResponse = table("etcdserverpb.PutResponse", { header: message(1, ResponseHeader) });
export const DeleteRangeRequest = table("etcdserverpb.DeleteRangeRequest", {
  key: bytes(1),
  range_end: bytes(2),
});
export const DeleteRangeResponse = table("etcdserverpb.DeleteRangeResponse", {
  header: message(1, ResponseHeader),
  deleted: int64(2),
});
export const Compare = table("etcdserverpb.Compare", {
  result: enumeration(1),
  target: enumeration(2),
  key: bytes(3),
  version: member(int64(4)),
  create_revision: member(int64(5)),
  mod_revision: member(int64(6)),
  value: member(bytes(7)),
  lease: member(id(8)),
});
export const RequestOp = table("etcdserverpb.RequestOp", {
  request_range: message(1, RangeRequest),
  request_put: message(2, PutRequest),
  request_delete_range: message(3, DeleteRangeRequest),
});
export const ResponseOp = table("etcdserverpb.ResponseOp", {
  response_range: message(1, RangeResponse),
  response_put: message(2, PutResponse),
  response_delete_range: message(3, DeleteRangeResponse),
});
export const TxnRequest = table("etcdserverpb.TxnRequest", {
  compare: repeated(message(1, Compare)),
  success: repeated(message(2, RequestOp)),
  failure: repeated(message(3, RequestOp)),
});
export const TxnResponse = table("etcdserverpb.TxnResponse", {
  header: message(1, ResponseHeader),
  succeeded: bool(2),
  responses: repeated(message(3, ResponseOp)),
});
export const CompactionRequest = table("etcdserverpb.CompactionRequest", {
  revision: int64(1),
  physical: bool(2),
});
export const CompactionResponse = table("etcdserverpb.CompactionResponse", {
  header: message(1, ResponseHeader),
});

export const LeaseGrantRequest = table("etcdserverpb.LeaseGrantRequest", { TTL: int64(1) });
export const LeaseGrantResponse = table("etcdserverpb.LeaseGrantResponse", { ID: id(2), TTL: int64(3) });
export const LeaseRevokeRequest = table("etcdserverpb.LeaseRevokeRequest", { ID: id(1) });
export const LeaseRevokeResponse = table("etcdserverpb.LeaseRevokeResponse", {});
export const LeaseTimeToLiveRequest = table("etcdserverpb.LeaseTimeToLiveRequest", { ID: id(1) });
export const LeaseTimeToLiveResponse = table("etcdserverpb.LeaseTimeToLiveResponse", {
  TTL: int64(3),
  grantedTTL: int64(4),
});
export const LeaseKeepAliveRequest = table("etcdserverpb.LeaseKeepAliveRequest", { ID: id(1) });
export const LeaseKeepAliveResponse = table("etcdserverpb.LeaseKeepAliveResponse", {
  ID: id(2),
  TTL: int64(3),
});

export const WatchCreateRequest = table("etcdserverpb.WatchCreateRequest", {
  key: bytes(1),
  range_end: bytes(2),
  start_revision: int64(3),
  progress_notify: bool(4),
  fragment: bool(8),
});
export const WatchCancelRequest = table("etcdserverpb.WatchCancelRequest", { watch_id: int64(1) });
export const WatchProgressRequest = table("etcdserverpb.WatchProgressRequest", {});
export const WatchRequest = table("etcdserverpb.WatchRequest", {
  create_request: message(1, WatchCreateRequest),
  cancel_request: message(2, WatchCancelRequest),
  progress_request: message(3, WatchProgressRequest),
});
export const WatchResponse = table("etcdserverpb.WatchResponse", {
  header: message(1, ResponseHeader),
  watch_id: int64(2),
  created: bool(3),
  canceled: bool(4),
  compact_revision: int64(5),
  cancel_reason: string(6),
  fragment: bool(7),
  events: repeated(message(11, Event)),
});
export type WatchRequest = Decoded<typeof WatchRequest>;
export type WatchResponse = Decoded<typeof WatchResponse>;

export const StatusRequest = table("etcdserverpb.StatusRequest", {});
export const StatusResponse = table("etcdserverpb.StatusResponse", {
  header: message(1, ResponseHeader),
  version: string(2),
  dbSize: int64(3),
});
export const Member = table("etcdserverpb.Member", {
  ID: uid(1),
  name: string(2),
  clientURLs: repeated(string(4)),
});
export const MemberListRequest = table("etcdserverpb.MemberListRequest", {});
export const MemberListResponse = table("etcdserverpb.MemberListResponse", {
  members: repeated(message(2, Member)),
});
export const AuthenticateRequest = table("etcdserverpb.AuthenticateRequest", {
  name: string(1),
  password: string(2),
});
export const AuthenticateResponse = table("etcdserverpb.AuthenticateResponse", { token: string(2) });
