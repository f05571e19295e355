import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import { type Alarm, AlarmType } from "./alarms.ts";
import { unlessZero } from "./convert.ts";
import type { AlarmOut, AlarmRequestIn } from "./rpc-messages.ts";
import { type ServiceContext, unary } from "./service-context.ts";
import type { Store } from "./store.ts";

/** The etcd whose observable behaviour this server has: 3.4 with its fixes to watches and leases up to here. */
const ETCD_VERSION = "3.4.38";

const MEMBER_NAME = "podloom";

/** AlarmRequest.AlarmAction; 0 asks. */
const AlarmAction = { ACTIVATE: 1, DEACTIVATE: 2 } as const;

/** etcdserverpb.Cluster: one member, and no way to change that. @param url where clients reach it */
export function clusterService(context: ServiceContext, url: () => string): UntypedServiceImplementation {
  return {
    MemberList: unary(context, () => ({
      header: context.header(),
      members: [{ ID: context.memberId, name: MEMBER_NAME, peerURLs: [], clientURLs: [url()] }],
    })),
  };
}

/** etcdserverpb.Maintenance: what a health check and a person ask for. */
export function maintenanceService(context: ServiceContext): UntypedServiceImplementation {
  const { store } = context;
  const { mvcc } = store;
  return {
    Status: unary(context, () => ({
      header: context.header(),
      version: ETCD_VERSION,
      dbSize: unlessZero(mvcc.sizeBytes),
      dbSizeInUse: unlessZero(mvcc.sizeBytes),
      leader: context.memberId,
      // There is no raft log; each revision stands for one entry of it.
      raftIndex: mvcc.revision,
      raftAppliedIndex: mvcc.revision,
      raftTerm: context.raftTerm,
      errors: store.alarms.list().map(alarmText),
    })),
    // Without a header, as etcd has it.
    Alarm: unary(context, (request: AlarmRequestIn) => ({
      alarms: applyAlarm(store, request).map(alarmOut),
    })),
    // What is freed is free: the contents are in memory, and the log is written anew from time to time anyway.
    Defragment: unary(context, () => ({ header: context.header() })),
  };
}

function applyAlarm(store: Store, request: AlarmRequestIn): readonly Alarm[] {
  const alarm = request.alarm ?? AlarmType.NONE;
  switch (request.action ?? 0) {
    case 0:
      return store.alarms.list(alarm);
    case AlarmAction.ACTIVATE:
      return store.setAlarm(request.memberID ?? "0", alarm, true);
    case AlarmAction.DEACTIVATE:
      return store.setAlarm(request.memberID ?? "0", alarm, false);
    default:
      return [];
  }
}

function alarmOut({ memberId, alarm }: Alarm): AlarmOut {
  return { memberID: memberId === "0" ? undefined : memberId, alarm: unlessZero(alarm) };
}

/** As protobuf's text format has it, which is what etcd puts among its errors. */
function alarmText({ memberId, alarm }: Alarm): string {
  const name = Object.entries(AlarmType).find(([, type]) => type === alarm)?.[0] ?? String(alarm);
  return `${memberId === "0" ? "" : `memberID:${memberId} `}${alarm === 0 ? "" : `alarm:${name} `}`;
}
