import { describe } from "vitest";
import { hasEtcd, type StoreKind } from "./etcd-process.ts";

/** The same tests for the embedded store and a real etcd; where there is none on PATH, those are seen to be skipped. */
export function describeStores(title: string, skip: boolean, body: (kind: StoreKind) => void): void {
  for (const kind of ["embedded", "etcd"] as const) {
    describe.skipIf(skip || (kind === "etcd" && !hasEtcd()))(`${title} ${kind}`, () => body(kind));
  }
}
