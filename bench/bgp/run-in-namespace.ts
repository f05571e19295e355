// A run in namespaces of its own: ports and counters are its alone, and no process outlives it.
import { spawn } from "node:child_process";
import { join } from "node:path";

/** Its children end with it. */
const NAMESPACES = ["--net", "--pid", "--fork", "--kill-child", "--mount-proc"];

/** Why no such run can be made here; undefined: it can. */
export function namespacesUnavailable(): string | undefined {
  if (process.platform !== "linux") return "needs Linux";
  return process.getuid?.() === 0 ? undefined : "needs root, for network namespaces of its own";
}

/** Runs one of the scripts beside this file. Answers the one line of JSON that it prints. @param order handed to it as JSON */
export function runInNamespace<T>(script: "mesh-run" | "table-run", order: object): Promise<T> {
  // Bundled: this file is a part of dist/bench/main.js then.
  const path = join(import.meta.dirname, `bgp/${script}.js`);
  const child = spawn("unshare", [...NAMESPACES, process.execPath, path, JSON.stringify(order)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  let text = "";
  child.stdout.on("data", (chunk) => {
    text += String(chunk);
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) resolve(JSON.parse(text) as T);
      else reject(new Error(`${script} has failed with ${JSON.stringify(order)}`));
    });
  });
}
