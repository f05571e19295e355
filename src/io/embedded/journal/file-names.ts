// The files of a data folder: `wal-N` holds the records from sequence number N on, `snapshot-N` all that the records up to N
// amount to. Numbers are 16 hexadecimal digits, so that names sort as they do.

/** What is being written and does not count yet. */
export const UNFINISHED = ".tmp";

export interface NumberedFile {
  readonly name: string;
  readonly sequence: number;
}

export function walName(sequence: number): string {
  return `wal-${digits(sequence)}`;
}

export function snapshotName(sequence: number): string {
  return `snapshot-${digits(sequence)}`;
}

/** The logs among `names`, the oldest in front. */
export function walsOf(names: readonly string[]): readonly NumberedFile[] {
  return numbered(names, /^wal-([0-9a-f]{16})$/);
}

/** The snapshots among `names`, the oldest in front. */
export function snapshotsOf(names: readonly string[]): readonly NumberedFile[] {
  return numbered(names, /^snapshot-([0-9a-f]{16})$/);
}

function digits(sequence: number): string {
  return sequence.toString(16).padStart(16, "0");
}

function numbered(names: readonly string[], pattern: RegExp): readonly NumberedFile[] {
  const files = names.flatMap((name) => {
    const match = pattern.exec(name);
    return match === null ? [] : [{ name, sequence: Number.parseInt(match[1] as string, 16) }];
  });
  return files.sort((a, b) => a.sequence - b.sequence);
}
