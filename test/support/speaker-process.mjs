// One speaker of ours in a process of its own, that can be killed. Bundled before it runs, since it is TypeScript below.
//
//   { addr, as, given, neighbors, networks }     its argument: see `SpeakerOrder` in speaker-process.ts
//
// It answers each line of its input with a line of JSON, its state; and it ends with its input.
import { createInterface } from "node:readline";
import { LiveSpeaker } from "./live-speaker.ts";

const { addr, as, given, neighbors, networks } = JSON.parse(process.argv[2]);
// Whom it is to wait for after a restart must be known when it starts.
const live = await LiveSpeaker.start(addr, as, given, (one) => {
  for (const [prefix, rest] of Object.entries(networks)) one.originate(prefix, rest);
  for (const [remote, neighbor] of Object.entries(neighbors)) one.join(remote, neighbor);
});

for await (const _ of createInterface({ input: process.stdin })) {
  const { restartComplete } = live;
  process.stdout.write(
    `${JSON.stringify({ peers: live.peers(), routes: [...live.routes().values()], restartComplete })}\n`,
  );
}
await live.stop();
