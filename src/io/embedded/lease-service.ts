import type { ServerDuplexStream, UntypedServiceImplementation } from "@grpc/grpc-js";
import { NO_LEASE } from "../../control/datastore/messages.ts";
import { bytesOfKey } from "./byte-key.ts";
import { unlessZero } from "./convert.ts";
import type { HeaderOut, LeaseGrantRequestIn, LeaseIdIn, LeaseTimeToLiveRequestIn } from "./rpc-messages.ts";
import { type ServiceContext, STOPPED, unary } from "./service-context.ts";

interface KeepAliveOut {
  readonly header: HeaderOut;
  readonly ID: string;
  readonly TTL: number | undefined;
}

/** etcdserverpb.Lease. */
export function leaseService(context: ServiceContext): UntypedServiceImplementation {
  const { store, clock } = context;
  return {
    LeaseGrant: unary(context, (request: LeaseGrantRequestIn) => {
      const lease = store.leaseGrant(request.ID ?? NO_LEASE, Number(request.TTL ?? 0), clock.now());
      return { header: context.header(), ID: lease.id, TTL: lease.ttlSec };
    }),
    LeaseRevoke: unary(context, (request: LeaseIdIn) => {
      store.leaseRevoke(request.ID ?? NO_LEASE);
      return { header: context.header() };
    }),
    LeaseTimeToLive: unary(context, (request: LeaseTimeToLiveRequestIn) => {
      const id = request.ID ?? NO_LEASE;
      const info = store.leaseInfo(id, clock.now());
      return {
        header: context.header(),
        ID: id,
        TTL: unlessZero(info.ttlSec),
        grantedTTL: unlessZero(info.grantedTtlSec),
        keys: request.keys === true ? info.keys.map(bytesOfKey) : [],
      };
    }),
    LeaseLeases: unary(context, () => ({
      header: context.header(),
      leases: store.lessor.list().map((ID) => ({ ID })),
    })),
    LeaseKeepAlive: (call: ServerDuplexStream<LeaseIdIn, KeepAliveOut>) => keepAlive(context, call),
  };
}

/** Renews what the client names, for as long as it keeps the stream. An unknown lease is answered with TTL 0. */
function keepAlive(context: ServiceContext, call: ServerDuplexStream<LeaseIdIn, KeepAliveOut>): void {
  const stop = (): void => {
    context.openStreams.delete(stop);
    call.emit("error", STOPPED);
  };
  const forget = (): void => {
    context.openStreams.delete(stop);
  };
  context.openStreams.add(stop);
  call.on("data", (request: LeaseIdIn) => {
    const header = context.header();
    const id = request.ID ?? NO_LEASE;
    const ttl = context.store.leaseRenew(id, context.clock.now());
    const reply = { header, ID: id, TTL: unlessZero(ttl) };
    // A renewal itself is not written down: it waits for news of leases only. A slow disk must not cost clients theirs.
    context.journal.whenDurable(() => {
      if (!call.destroyed && !call.write(reply)) call.pause();
    }, context.store.leaseRecord);
  });
  call.on("drain", () => call.resume());
  call.on("end", () => {
    forget();
    call.end();
  });
  call.on("cancelled", forget);
  call.on("error", forget);
}
