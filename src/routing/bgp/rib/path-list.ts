import type { RibPath } from "./rib-path.ts";
import type { RibPeer } from "./rib-peer.ts";

/** From so many paths on, they are looked up by a key: ADD-PATH lets a neighbour tell as many as it likes. */
const INDEXED_FROM = 32;

/** Up to so many, the array is as long as it must be: an array that is pushed to makes room for sixteen more. */
const EXACT_UP_TO = 8;

const PATH_IDS = 2 ** 32;

function keyOf(source: RibPeer, pathId: number): number {
  return source.id * PATH_IDS + pathId;
}

/** The paths to a destination that has had two or more at a time, and the identifiers under which they are told. */
export class PathList {
  /** In no particular order. */
  paths: RibPath[];
  /** Where each path stands in `paths`, once there are many. */
  #positions: Map<number, number> | undefined = undefined;
  #lastId = 1;
  /** Identifiers up to the last that are not in use. */
  #freeIds: number[] | undefined = undefined;

  /** @param first has identifier 1 */
  constructor(first: RibPath) {
    this.paths = [first];
  }

  find(source: RibPeer, pathId: number): RibPath | undefined {
    const { paths } = this;
    if (this.#positions !== undefined) {
      const at = this.#positions.get(keyOf(source, pathId));
      return at === undefined ? undefined : paths[at];
    }
    for (let i = 0; i < paths.length; i++) {
      const path = paths[i] as RibPath;
      if (path.source === source && path.pathId === pathId) return path;
    }
    return undefined;
  }

  /** An identifier that no path here has, for the one that is added next. */
  takeId(): number {
    return this.#freeIds?.pop() ?? ++this.#lastId;
  }

  add(path: RibPath): void {
    const at = this.paths.length;
    if (at < EXACT_UP_TO) this.paths = this.paths.concat(path);
    else this.paths.push(path);
    if (this.#positions !== undefined) this.#positions.set(keyOf(path.source, path.pathId), at);
    else if (at >= INDEXED_FROM) this.#index();
  }

  del(path: RibPath): void {
    const { paths } = this;
    const key = keyOf(path.source, path.pathId);
    const at = this.#positions?.get(key) ?? paths.indexOf(path);
    const last = paths.pop() as RibPath;
    if (last !== path) {
      paths[at] = last;
      this.#positions?.set(keyOf(last.source, last.pathId), at);
    }
    this.#positions?.delete(key);
    if (this.#freeIds === undefined) this.#freeIds = [path.localId];
    else this.#freeIds.push(path.localId);
  }

  #index(): void {
    this.#positions = new Map(this.paths.map((path, i) => [keyOf(path.source, path.pathId), i]));
  }
}
