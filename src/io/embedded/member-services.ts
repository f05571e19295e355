import type { UntypedServiceImplementation } from "@grpc/grpc-js";
import { unlessZero } from "./convert.ts";
import type { AlarmRequestIn } from "./rpc-messages.ts";
import { RAFT_TERM, type ServiceContext, unary } from "./service-context.ts";

/** The etcd whose observable behaviour this server has: 3.4 with its fixes to watches and leases up to here. */
const ETCD_VERSION = "3.4.38";

const MEMBER_NAME = "podloom";

/** etcdserverpb.Cluster: one member, and no way to change that. @param url where clients reach it */
export function clusterService(context: ServiceContext, url: () => string): UntypedServiceImplementation {
  return {
    MemberList: unary(() => ({
      header: context.header(),
      members: [{ ID: context.memberId, name: MEMBER_NAME, peerURLs: [], clientURLs: [url()] }],
    })),
  };
}

/** etcdserverpb.Maintenance: what a health check and a person ask for. */
export function maintenanceService(context: ServiceContext): UntypedServiceImplementation {
  const { mvcc } = context.store;
  return {
    Status: unary(() => ({
      header: context.header(),
      version: ETCD_VERSION,
      dbSize: unlessZero(mvcc.sizeBytes),
      dbSizeInUse: unlessZero(mvcc.sizeBytes),
      leader: context.memberId,
      // There is no raft log; each revision stands for one entry of it.
      raftIndex: mvcc.revision,
      raftAppliedIndex: mvcc.revision,
      raftTerm: RAFT_TERM,
    })),
    // Nothing here can raise an alarm, so the list is empty and there is none to disarm.
    Alarm: unary((_request: AlarmRequestIn) => ({ header: context.header(), alarms: [] })),
    // The contents are in memory and nothing of them is fragmented on a disk.
    Defragment: unary(() => ({ header: context.header() })),
  };
}
