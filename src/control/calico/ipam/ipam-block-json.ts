// A block's value in the store, byte for byte as Go's encoding/json writes Calico's AllocationBlock. Specs on Calico §1.3.
// What stands there may have been written by anybody: a block that contradicts itself is refused, since using it could give one
// address to two pods.
import { formatPrefix, type Prefix } from "../../../base/ipv4-addr.ts";
import { err, ok, type Result } from "../../../base/result.ts";
import { emitGoString } from "../../flannel/go-json.ts";
import { compareGoKeys, GoFields, parseObject, shown, UINT64_MAX, wholeNumber } from "./go-fields.ts";
import type { AllocationAttribute, IpamBlock } from "./ipam-block.ts";
import { isName } from "./ipam-keys.ts";
import { parseBlockCidr } from "./ipam-values.ts";

const HOST = "host:";

/**
 * Go's nil slice, which JSON writes as null: the attributes of a block that never had any. A list that became empty is `[]`.
 * Compared by identity, and only here.
 */
export const NIL_ATTRIBUTES: readonly AllocationAttribute[] = Object.freeze([]);

/**
 * Parses a block's value.
 * @param key the block that the key names: the value must be of the same
 */
export function parseIpamBlock(input: Uint8Array | string, key?: Prefix): Result<IpamBlock, string> {
  const parsed = parseObject(input);
  if (!parsed.ok) return parsed;
  const fields = parsed.value;
  const cidr = parseBlockCidr(fields.text("cidr") ?? "");
  if (fields.error === undefined && !cidr.ok) fields.fail(`cidr: ${cidr.error}`);
  if (fields.error !== undefined || !cidr.ok) return err(fields.error ?? "");
  if (key !== undefined && (key.addr !== cidr.value.addr || key.len !== cidr.value.len)) {
    return err(`cidr is ${formatPrefix(cidr.value)}, but the key is that of ${formatPrefix(key)}`);
  }
  const size = 2 ** (32 - cidr.value.len);
  const attributes = readAttributes(fields);
  const allocations = readAllocations(fields, size, attributes.length);
  const claimTime = fields.text("affinity_claim_time");
  const block: IpamBlock = {
    cidr: cidr.value,
    host: readHost(fields),
    affinityClaimTime: claimTime === "" ? undefined : claimTime,
    allocations,
    unallocated: readUnallocated(fields, allocations, size),
    attributes,
    sequenceNumber: fields.uint("sequenceNumber"),
    sequenceNumberForAllocation: readSequenceNumbers(fields, size),
    deleted: fields.bool("deleted"),
  };
  return fields.error === undefined ? ok(block) : err(fields.error);
}

function readHost(fields: GoFields): string | undefined {
  const affinity = fields.text("affinity");
  // Blocks of Calico's first releases have `hostAffinity` with the bare name.
  if (affinity === undefined) {
    const bare = fields.text("hostAffinity");
    return bare === undefined || !isName(bare) ? undefined : bare;
  }
  if (affinity.startsWith(HOST) && isName(affinity.slice(HOST.length))) {
    return affinity.slice(HOST.length);
  }
  fields.fail(
    `affinity must be host:NAME, not "${affinity.slice(0, 40)}": blocks of load balancers are not used here`,
  );
  return undefined;
}

function readAttributes(fields: GoFields): readonly AllocationAttribute[] {
  const items = fields.array("attributes");
  if (items === undefined) return NIL_ATTRIBUTES;
  return items.map((item, i) => {
    if (item.t !== "object") {
      fields.fail(`attributes[${i}] must be an object, not ${shown(item)}`);
      return { handleId: undefined, secondary: undefined };
    }
    const inner = new GoFields(item, `attributes[${i}].`);
    const handleId = inner.text("handle_id");
    const secondary = readSecondary(inner, i);
    if (inner.error !== undefined) fields.fail(inner.error);
    return { handleId, secondary };
  });
}

function readSecondary(inner: GoFields, i: number): Readonly<Record<string, string>> | undefined {
  const members = inner.map("secondary");
  if (members === undefined) return undefined;
  const texts: [string, string][] = [];
  for (const [name, value] of members) {
    if (value.t === "string") texts.push([name, value.value]);
    else if (value.t === "null") texts.push([name, ""]);
    else inner.fail(`attributes[${i}].secondary.${name.slice(0, 40)} must be a string, not ${shown(value)}`);
  }
  // fromEntries defines properties, so that a key called __proto__ is a key like any other.
  return Object.fromEntries(texts);
}

function readAllocations(
  fields: GoFields,
  size: number,
  attributes: number,
): readonly (number | undefined)[] {
  const items = fields.array("allocations") ?? [];
  if (items.length !== size) {
    fields.fail(`allocations has ${items.length} entries, but the block has ${size} addresses`);
    return [];
  }
  return items.map((item, ordinal) => {
    if (item.t === "null") return undefined;
    const index = wholeNumber(item, BigInt(size));
    if (index !== undefined && index < attributes) return Number(index);
    fields.fail(`allocations[${ordinal}] is ${shown(item)}, but there are ${attributes} attributes`);
    return undefined;
  });
}

function readUnallocated(
  fields: GoFields,
  allocations: readonly (number | undefined)[],
  size: number,
): readonly number[] {
  const seen = new Set<number>();
  for (const item of fields.array("unallocated") ?? []) {
    const whole = wholeNumber(item, BigInt(size));
    const ordinal = Number(whole);
    if (whole === undefined || ordinal >= size) {
      fields.fail(`unallocated has ${shown(item)}, but the ordinals of the block are 0 to ${size - 1}`);
    } else if (seen.has(ordinal)) fields.fail(`unallocated has ${ordinal} twice`);
    else if (allocations[ordinal] !== undefined) {
      fields.fail(`ordinal ${ordinal} is in unallocated, but it is allocated as well`);
    } else seen.add(ordinal);
    if (fields.error !== undefined) return [];
  }
  return [...seen];
}

function readSequenceNumbers(fields: GoFields, size: number): ReadonlyMap<number, bigint> {
  const out = new Map<number, bigint>();
  for (const [name, value] of fields.map("sequenceNumberForAllocation") ?? []) {
    const ordinal = /^(0|[1-9]\d{0,3})$/.test(name) ? Number(name) : size;
    const number = wholeNumber(value, UINT64_MAX);
    if (ordinal >= size) {
      fields.fail(`sequenceNumberForAllocation has "${name.slice(0, 40)}", which is no ordinal of the block`);
    } else if (number === undefined) {
      fields.fail(`sequenceNumberForAllocation["${name}"] must be a whole number, not ${shown(value)}`);
    } else out.set(ordinal, number);
  }
  return out;
}

/** The bytes that Calico writes for `block`. */
export function emitIpamBlock(block: IpamBlock): string {
  const { host, affinityClaimTime, allocations, unallocated, attributes } = block;
  let json = `{"cidr":"${formatPrefix(block.cidr)}"`;
  json += `,"affinity":${host === undefined ? "null" : emitGoString(HOST + host)}`;
  if (affinityClaimTime !== undefined) json += `,"affinity_claim_time":${emitGoString(affinityClaimTime)}`;
  json += `,"allocations":[${allocations.map((index) => index ?? "null").join(",")}]`;
  json += `,"unallocated":[${unallocated.join(",")}]`;
  json += `,"attributes":${attributes === NIL_ATTRIBUTES ? "null" : `[${attributes.map(emitAttribute).join(",")}]`}`;
  json += `,"sequenceNumber":${block.sequenceNumber}`;
  json += `,"sequenceNumberForAllocation":{${emitSequenceNumbers(block.sequenceNumberForAllocation)}}`;
  return `${json},"deleted":${block.deleted}}`;
}

function emitAttribute({ handleId, secondary }: AllocationAttribute): string {
  const handle = handleId === undefined ? "null" : emitGoString(handleId);
  return `{"handle_id":${handle},"secondary":${secondary === undefined ? "null" : emitSecondary(secondary)}}`;
}

function emitSecondary(secondary: Readonly<Record<string, string>>): string {
  const names = Object.keys(secondary).sort(compareGoKeys);
  return `{${names.map((name) => `${emitGoString(name)}:${emitGoString(secondary[name] as string)}`).join(",")}}`;
}

/** The keys are texts to Go, so 10 comes before 2. */
function emitSequenceNumbers(numbers: ReadonlyMap<number, bigint>): string {
  const names = [...numbers.keys()].map(String).sort(compareGoKeys);
  return names.map((name) => `"${name}":${numbers.get(Number(name)) as bigint}`).join(",");
}
