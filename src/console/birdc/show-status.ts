import { longTime } from "./bird-time.ts";
import type { BirdcSpeaker } from "./birdc-speaker.ts";
import type { Word } from "./birdc-words.ts";
import type { CommandText } from "./command-text.ts";
import { unexpected } from "./syntax.ts";

/** `show status` */
export function* showStatus([extra]: readonly Word[], speaker: BirdcSpeaker): CommandText {
  if (extra !== undefined) {
    yield unexpected(extra, "the end");
    return 1;
  }
  const status = speaker.status();
  yield `podloom ${status.version}`;
  yield `Router ID is ${status.routerId}`;
  yield `Hostname is ${status.hostname}`;
  yield `Current server time is ${longTime(status.at, speaker)}`;
  yield `Last reboot on ${longTime(status.startedAt, speaker)}`;
  yield `Last reconfiguration on ${longTime(status.configuredAt, speaker)}`;
  if (status.phase === "restarting") yield "Graceful restart recovery in progress";
  yield status.phase === "stopping" ? "Shutdown in progress" : "Daemon is up and running";
  return 0;
}
