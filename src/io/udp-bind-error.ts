import type { Carrier } from "./host-address.ts";
import { PodloomError } from "./podloom-error.ts";

/** What is said when UDP port `port` of the socket address `host` cannot be opened because of `cause`. */
export function bindError(cause: unknown, host: string, port: number, carrier: Carrier): PodloomError {
  const at = `${host}:${port}`;
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === "EADDRINUSE") {
    return new PodloomError("PL_PORT_IN_USE", `UDP port ${at} is in use by another process`, {
      // A vxlan device of the kernel (flannel's, k3s's) listens on every address, and no process is behind it.
      remedy:
        `Find it with \`ss -lunp 'sport = :${port}'\` and stop it, or choose another underlay address or port. A line ` +
        "without a process is the kernel's (`ip -d link show type vxlan`): then only another port will do.",
      cause,
    });
  }
  if (code === "EACCES" || code === "EPERM") {
    return new PodloomError("PL_PORT_FORBIDDEN", `this process may not open UDP port ${at}`, {
      remedy: "Choose a port above 1023, or give the process the capability CAP_NET_BIND_SERVICE.",
      cause,
    });
  }
  if (code === "EADDRNOTAVAIL") {
    return new PodloomError(
      "PL_ADDRESS_UNAVAILABLE",
      `no interface of this machine has the address ${host}`,
      {
        remedy:
          carrier === "host"
            ? "With `--carrier host` the underlay address must be one of this machine's; on one machine use `--carrier loopback`."
            : "The loopback interface must be up and own 127.0.0.0/8.",
        cause,
      },
    );
  }
  return new PodloomError("PL_PORT_FAILED", `UDP port ${at} could not be opened: ${String(code ?? cause)}`, {
    remedy:
      "See that this process may open more sockets (`ulimit -n`) and that the address can be used here.",
    cause,
  });
}
