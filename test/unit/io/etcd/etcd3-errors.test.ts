import * as etcd3 from "etcd3";
import { describe, expect, test } from "vitest";
import { storeError } from "../../../../src/io/etcd/etcd3-errors.ts";

/** An error as grpc-js makes it. */
function grpc(code: number, details: string): Error {
  const names = ["OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND"];
  return Object.assign(new Error(`${code} ${names[code] ?? "SOMETHING"}: ${details}`), { code, details });
}

describe.each([
  ["as a stream has it", (error: Error) => error],
  ["as etcd3 has recast it", (error: Error) => etcd3.castGrpcError(error)],
])("an error %s", (_, recast) => {
  test.each([
    [14, "No connection established", "unavailable"],
    [14, "etcdserver: leader changed", "unavailable"],
    [1, "Cancelled on client", "unavailable"],
    [8, "etcdserver: too many requests", "unavailable"],
    [4, "Deadline exceeded", "timeout"],
    [11, "etcdserver: mvcc: required revision has been compacted", "compacted"],
    [11, "etcdserver: mvcc: required revision is a future revision", "invalid"],
    [5, "etcdserver: requested lease not found", "leaseNotFound"],
    [8, "etcdserver: mvcc: database space exceeded", "noSpace"],
    [7, "etcdserver: permission denied", "denied"],
    [16, "etcdserver: invalid auth token", "denied"],
    [3, "etcdserver: user name is empty", "denied"],
    [3, "etcdserver: authentication failed, invalid user ID or password", "denied"],
    [3, "etcdserver: key is not provided", "invalid"],
    [12, "unknown service etcdserverpb.Auth", "unimplemented"],
    [2, "something else", "unknown"],
  ])("%i %s is %s", (code, details, reason) => {
    const error = storeError(recast(grpc(code, details)));
    expect(error.reason).toBe(reason);
    expect(error.message).toBe(details);
    expect(error.cause).toBeInstanceOf(Error);
  });
});

test("the code names the reason, for logs and scripts", () => {
  expect(storeError(grpc(5, "etcdserver: requested lease not found")).code).toBe("PL_ETCD_LEASE_NOT_FOUND");
  expect(storeError(grpc(14, "x")).code).toBe("PL_ETCD_UNAVAILABLE");
});
