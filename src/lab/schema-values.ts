// The values that a lab file is made of, each with its rule, its words and an example.
import { z } from "zod";
import { NAME_PATTERN, NAME_RULE } from "../base/name-rule.ts";

export const name = (what: string, example: string) =>
  z
    .string()
    .regex(NAME_PATTERN, { error: `must be ${NAME_RULE}` })
    .meta({ description: `${what}: ${NAME_RULE}.`, examples: [example] });

export const address = (text: string, example: string) =>
  z.ipv4({ error: "must be an IPv4 address" }).meta({ description: text, examples: [example] });

export const cidr = (text: string, example: string) =>
  z.cidrv4({ error: "must be an IPv4 prefix" }).meta({ description: text, examples: [example] });

export const whole = (min: number, max: number, text: string) => z.int().min(min).max(max).describe(text);

export const asNumber = (text: string) => whole(1, 0xffff_ffff, text);
