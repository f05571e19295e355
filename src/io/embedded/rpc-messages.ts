// etcd's messages as the gRPC library hands them over and takes them: the names are the .proto's, 64-bit integers come in as
// decimal text and may go out as numbers, a field that was not sent is undefined, repeated fields are always there. What goes
// out has undefined for a zero, so that it is not on the wire, as proto3 has it: some clients look whether a field is there.

type Int64In = string;

export interface HeaderOut {
  readonly cluster_id?: string;
  readonly member_id?: string;
  readonly revision: number | undefined;
  readonly raft_term?: number;
}

/** What every decoded request carries besides its fields: its length on the wire, see `server.ts`. */
export interface Sized {
  readonly wireBytes?: number;
}

export interface RangeRequestIn {
  readonly key?: Buffer;
  readonly range_end?: Buffer;
  readonly limit?: Int64In;
  readonly revision?: Int64In;
  readonly sort_order?: number;
  readonly sort_target?: number;
  readonly serializable?: boolean;
  readonly keys_only?: boolean;
  readonly count_only?: boolean;
  readonly min_mod_revision?: Int64In;
  readonly max_mod_revision?: Int64In;
  readonly min_create_revision?: Int64In;
  readonly max_create_revision?: Int64In;
}

export interface PutRequestIn extends Sized {
  readonly key?: Buffer;
  readonly value?: Buffer;
  readonly lease?: Int64In;
  readonly prev_kv?: boolean;
  readonly ignore_value?: boolean;
  readonly ignore_lease?: boolean;
}

export interface DeleteRangeRequestIn extends Sized {
  readonly key?: Buffer;
  readonly range_end?: Buffer;
  readonly prev_kv?: boolean;
}

export interface CompareIn {
  readonly result?: number;
  readonly target?: number;
  readonly key?: Buffer;
  readonly range_end?: Buffer;
  readonly version?: Int64In;
  readonly create_revision?: Int64In;
  readonly mod_revision?: Int64In;
  readonly value?: Buffer;
  readonly lease?: Int64In;
}

export interface RequestOpIn {
  readonly request_range?: RangeRequestIn;
  readonly request_put?: PutRequestIn;
  readonly request_delete_range?: DeleteRangeRequestIn;
  readonly request_txn?: TxnRequestIn;
}

export interface TxnRequestIn extends Sized {
  readonly compare: readonly CompareIn[];
  readonly success: readonly RequestOpIn[];
  readonly failure: readonly RequestOpIn[];
}

export interface CompactionRequestIn {
  readonly revision?: Int64In;
  readonly physical?: boolean;
}

export interface KeyValueOut {
  readonly key: Uint8Array;
  readonly create_revision?: number;
  readonly mod_revision?: number;
  readonly version?: number;
  readonly value?: Uint8Array | undefined;
  readonly lease?: string | undefined;
}

export interface RangeResponseOut {
  readonly header: HeaderOut;
  readonly kvs: readonly KeyValueOut[];
  readonly more: true | undefined;
  readonly count: number | undefined;
}

export interface PutResponseOut {
  readonly header: HeaderOut;
  readonly prev_kv?: KeyValueOut;
}

export interface DeleteRangeResponseOut {
  readonly header: HeaderOut;
  readonly deleted: number | undefined;
  readonly prev_kvs: readonly KeyValueOut[];
}

export type ResponseOpOut =
  | { readonly response_range: RangeResponseOut }
  | { readonly response_put: PutResponseOut }
  | { readonly response_delete_range: DeleteRangeResponseOut }
  | { readonly response_txn: TxnResponseOut };

export interface TxnResponseOut {
  readonly header: HeaderOut;
  readonly succeeded: true | undefined;
  readonly responses: readonly ResponseOpOut[];
}

export interface WatchCreateRequestIn {
  readonly key?: Buffer;
  readonly range_end?: Buffer;
  readonly start_revision?: Int64In;
  readonly progress_notify?: boolean;
  readonly filters: readonly number[];
  readonly prev_kv?: boolean;
  readonly watch_id?: Int64In;
  readonly fragment?: boolean;
}

export interface WatchRequestIn {
  readonly create_request?: WatchCreateRequestIn;
  readonly cancel_request?: { readonly watch_id?: Int64In };
  readonly progress_request?: object;
}

export interface EventOut {
  readonly type: number | undefined;
  readonly kv: KeyValueOut;
  readonly prev_kv?: KeyValueOut;
}

export interface WatchResponseOut {
  readonly header: HeaderOut;
  readonly watch_id: number | undefined;
  readonly created: boolean | undefined;
  readonly canceled: boolean | undefined;
  readonly compact_revision: number | undefined;
  readonly cancel_reason: string | undefined;
  readonly fragment: boolean | undefined;
  readonly events: readonly EventOut[];
}

export interface LeaseIdIn {
  readonly ID?: Int64In;
}

export interface LeaseGrantRequestIn extends LeaseIdIn {
  readonly TTL?: Int64In;
}

export interface LeaseTimeToLiveRequestIn extends LeaseIdIn {
  readonly keys?: boolean;
}

export interface AlarmRequestIn {
  /** 0 asks, 1 activates, 2 deactivates. */
  readonly action?: number;
  readonly memberID?: string;
  readonly alarm?: number;
}

export interface AlarmOut {
  readonly memberID: string | undefined;
  readonly alarm: number | undefined;
}
