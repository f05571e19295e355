import { expect, test } from "vitest";
import { formatMac } from "../../../../src/base/mac-addr.ts";
import { caliDeviceName, vtepMac } from "../../../../src/control/calico/device-names.ts";

test.each([
  ["default", "nginx", "calic440f455693"],
  ["default", "podA", "cali7f94ce7c295"],
])("%s.%s is behind %s", (namespace, pod, device) => {
  expect(caliDeviceName(namespace, pod)).toBe(device);
});

test.each([
  ["remotehostname", "66:3e:ca:a4:db:65"],
  ["node-1", "66:b3:68:28:39:8e"],
])("the VTEP of %s is %s", (node, mac) => {
  expect(formatMac(vtepMac(node))).toBe(mac);
});
