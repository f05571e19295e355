// `podloom store dump|restore|check DIR`: a data folder without a server.
import { readdirSync, readFileSync } from "node:fs";
import { SystemRng } from "../clock.ts";
import { makeFolder } from "../make-folder.ts";
import { messageOf, PodloomError } from "../podloom-error.ts";
import { lockData } from "./data-lock.ts";
import { type Dump, dumpLines, parseDump } from "./dump.ts";
import { type DataFiles, NodeFiles } from "./journal/data-files.ts";
import { FORMAT, type JournalRecord } from "./journal/record.ts";
import { damageError, type Recovered, recover } from "./journal/recovery.ts";
import { type Contents, Replay } from "./journal/replay.ts";
import { writeSnapshot } from "./journal/wal.ts";
import { noContents } from "./store.ts";
import { randomId } from "./store-data.ts";

const COMMANDS = ["dump", "restore", "check"] as const;
type StoreCommand = (typeof COMMANDS)[number];

/** Written to stdout in one go. */
const OUTPUT_CHUNK = 1 << 20;

const Exit = { DONE: 0, FAILED: 1, USAGE: 2 } as const;

export function isStoreCommand(word: string | undefined): word is StoreCommand {
  return COMMANDS.includes(word as StoreCommand);
}

/** Runs it and answers the exit code. @throws PodloomError PL_STORE_… */
export async function runStoreCommand(command: StoreCommand, args: readonly string[]): Promise<number> {
  const [folder, ...rest] = args;
  if (folder === undefined || rest.length > 0 || folder.startsWith("-")) {
    process.stderr.write(`podloom store ${command}: give it one data folder\nTry: podloom store --help\n`);
    return Exit.USAGE;
  }
  const files = new NodeFiles(folder);
  if (command === "restore") {
    makeFolder(folder, 0o700);
    return await locked(folder, () => restore(files));
  }
  // The lock would make a folder of a mistyped name otherwise.
  if (!isDataFolder(folder)) {
    throw new PodloomError("PL_STORE_DATA", `${folder} is not a data folder of the store`, {
      remedy:
        "Give it the folder that `podloom store --data` was given; a lab's is `store` in its state folder.",
    });
  }
  return await locked(folder, () => (command === "dump" ? dump(files) : check(files)));
}

async function locked(folder: string, run: () => Promise<number>): Promise<number> {
  const unlock = lockData(folder);
  try {
    return await run();
  } finally {
    unlock();
  }
}

function isDataFolder(folder: string): boolean {
  try {
    return readdirSync(folder).some((name) => /^(wal|snapshot)-[0-9a-f]{16}$/.test(name));
  } catch {
    return false;
  }
}

interface Read {
  readonly contents: Contents;
  readonly replay: Replay;
  readonly found: Recovered;
}

function read(files: DataFiles): Read {
  const contents = noContents(new SystemRng());
  const replay = new Replay(contents);
  return { contents, replay, found: recover(files, replay) };
}

async function dump(files: DataFiles): Promise<number> {
  const { contents, replay, found } = read(files);
  if (found.damage !== undefined) throw damageError(files.path, found.damage);
  let text = "";
  for (const line of dumpLines(contents, replay.identity)) {
    text += `${line}\n`;
    if (text.length < OUTPUT_CHUNK) continue;
    await print(text);
    text = "";
  }
  await print(text);
  return Exit.DONE;
}

function print(text: string): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => (error instanceof Error ? reject(error) : resolve()));
  });
}

async function check(files: DataFiles): Promise<number> {
  const { contents, replay, found } = read(files);
  const { damage, torn } = found;
  if (damage !== undefined) {
    await print(`damaged: ${files.path}/${damage.file} at byte ${damage.at}: ${damage.what}\n`);
    return Exit.FAILED;
  }
  const wrong = contents.mvcc.verify();
  if (wrong !== undefined) {
    await print(`damaged: ${files.path}: the index: ${wrong}\n`);
    return Exit.FAILED;
  }
  if (torn !== undefined) {
    await print(
      `${files.path}/${torn.file}: the last ${torn.bytes} bytes, from byte ${torn.at} on, are a record that was half written when ` +
        "the store stopped; nobody was told about it, and the next start cuts it off\n",
    );
  }
  for (const name of found.superfluous)
    await print(`${files.path}/${name}: superfluous; the next start removes it\n`);
  const { mvcc, lessor } = contents;
  await print(
    `sound: ${found.sequence} records, revision ${mvcc.revision}, compacted to ${Math.max(0, mvcc.compactRevision)}, ` +
      `${mvcc.keyCount} keys, ${lessor.size} leases, cluster ${replay.identity?.clusterId ?? "unknown"}\n`,
  );
  return Exit.DONE;
}

async function restore(files: DataFiles): Promise<number> {
  if (files.list().some((name) => name !== "lock")) {
    throw new PodloomError("PL_STORE_DATA", `${files.path} is not empty`, {
      remedy: "Give restore a new folder: it overwrites nothing.",
    });
  }
  const parsed = parseDump(readFileSync(0, "utf8"));
  const records = recordsOf(parsed);
  // Whether the lines make sense is known before anything is written.
  const replay = new Replay(noContents(new SystemRng()));
  for (const record of records) {
    const wrong = replay.apply(record);
    if (wrong !== undefined) {
      throw new PodloomError("PL_STORE_DUMP", `the dump contradicts itself: ${wrong}`, {
        remedy: "Give it what `podloom store dump` has printed, unchanged.",
      });
    }
  }
  try {
    await writeSnapshot(files, 1, records);
  } catch (cause) {
    throw new PodloomError("PL_STORE_DATA", `cannot write to ${files.path}: ${messageOf(cause)}`, {
      remedy: "Name a folder that you may write to, on a disk that has room.",
      cause,
    });
  }
  await print(`restored ${parsed.versions.length} versions, revision ${parsed.revision}, as a new cluster\n`);
  return Exit.DONE;
}

/** A snapshot of what the dump says. A new cluster id: clients must see that this is not the store that they knew. */
function recordsOf(dump: Dump): readonly JournalRecord[] {
  const { revision, compactRevision, versions } = dump;
  const rng = new SystemRng();
  const clusterId = randomId(rng);
  const memberId = randomId(rng);
  const records: JournalRecord[] = [
    { t: "image", sequence: 1, revision, compactRevision },
    { t: "start", format: FORMAT, clusterId, memberId, term: 1 },
    ...dump.leases.map((lease): JournalRecord => ({ t: "grant", ...lease })),
    // Alarms are the new member's now.
    ...dump.alarms.map(({ alarm }): JournalRecord => ({ t: "alarm", memberId, alarm, active: true })),
  ];
  const base = versions.filter(({ modRevision }) => modRevision < compactRevision);
  if (base.length > 0) records.push({ t: "base", versions: base });
  const history = versions.slice(base.length);
  for (let i = 0; i < history.length; ) {
    const from = i;
    const at = history[from]?.modRevision as number;
    while (history[i]?.modRevision === at) i++;
    records.push({ t: "commit", revision: at, changes: history.slice(from, i) });
  }
  records.push({ t: "end" });
  return records;
}
