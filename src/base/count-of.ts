/** `1 node`, `3 nodes`. @param plural where an s is not enough */
export function countOf(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}
