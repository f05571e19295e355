import { err, ok, type Result } from "../../base/result.ts";
import { decodeUtf8 } from "../../base/utf8.ts";
import type { AffinityState } from "./calico-updates.ts";
import { isPlainObject, parsePlainJson } from "./plain-json.ts";

const STATES: readonly AffinityState[] = ["pending", "confirmed", "pendingDeletion"];

/** Reads an affinity: `{"state":"confirmed","deleted":false}`. Undefined: it is marked as deleted. Specs on Calico §1.3. */
export function parseAffinityValue(bytes: Uint8Array): Result<AffinityState | undefined, string> {
  // Calico before 2.6 wrote nothing.
  if (bytes.length === 0) return ok("confirmed");
  const text = decodeUtf8(bytes);
  if (text === undefined) return err("not UTF-8");
  const parsed = parsePlainJson(text);
  if (!parsed.ok) return parsed;
  if (!isPlainObject(parsed.value)) return err("not a JSON object");
  if (parsed.value.deleted === true) return ok(undefined);
  const state = STATES.find((each) => isPlainObject(parsed.value) && each === parsed.value.state);
  return state === undefined ? err(`the state is none of ${STATES.join(", ")}`) : ok(state);
}
