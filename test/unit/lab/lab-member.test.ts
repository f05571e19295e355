// What the processes of a lab are started with.
import { describe, expect, test } from "vitest";
import { labDirs } from "../../../src/lab/lab-dirs.ts";
import { labMembers, type MemberContext } from "../../../src/lab/lab-member.ts";
import type { Lab } from "../../../src/lab/resolve-lab.ts";
import { announcerFile } from "../../../src/lab/router-file.ts";
import { HEAD, labOf } from "../../support/lab-text.ts";

function contextOf(lab: Lab): MemberContext {
  const dirs = labDirs("x", { XDG_RUNTIME_DIR: "/run/x", XDG_STATE_HOME: "/state", HOME: "/" });
  const endpoints = ["http://127.0.0.1:1", "http://127.0.0.1:2"];
  return { lab, dirs, program: ["podloom"], env: {}, endpoints, token: "t", bgpPort: 1790 };
}

describe("the store's client", () => {
  test("every node is told which, unless it is the default", () => {
    const words = (text: string): string[] => {
      const lab = labOf(`${HEAD}nodes: { count: 2, pods: 0 }\n${text}`);
      return labMembers(lab).map(
        (member) => /--store-client \S+/.exec(member.argv(contextOf(lab)).join(" "))?.[0] ?? "",
      );
    };
    expect(words("")).toEqual(["", ""]);
    expect(words("storeClient: etcd3\n")).toEqual(["--store-client etcd3", "--store-client etcd3"]);
  });

  test("so is an announcer, which reads the store too", () => {
    const lab = labOf(
      `${HEAD}cni: calico\nstoreClient: etcd3\n` +
        "underlay: { segments: [{ name: s1, subnet: 10.20.0.0/24, gateway: 10.20.0.1 }] }\n" +
        "routers: [{ name: r1, interfaces: [10.20.0.1/24], bgp: { as: 64512 } }]\n" +
        "announcers: [{ name: a1, as: 64512, address: 10.20.0.9, gateways: [10.20.0.1] }]\n",
    );
    const [announcer] = lab.announcers;
    if (announcer === undefined) throw new Error("no announcer");
    expect(announcerFile(announcer, contextOf(lab)).announcer).toMatchObject({ storeClient: "etcd3" });
  });
});
