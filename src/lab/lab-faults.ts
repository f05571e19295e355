import type { LabFault } from "./lab-file.ts";
import type { DocPath } from "./yaml-source.ts";

/** Collects what is wrong with a lab while the checks run. */
export class LabFaults {
  readonly list: LabFault[] = [];

  /** @param path the key that the fault concerns @param remedy what to write instead, as a sentence */
  add(path: DocPath, message: string, remedy: string): void {
    this.list.push({ path, message, remedy });
  }
}
