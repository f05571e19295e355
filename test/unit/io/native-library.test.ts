import { constants } from "node:os";
import { expect, test } from "vitest";
import { errnoName, findKoffi } from "../../../src/io/native-library.ts";

const NEED = { code: "PL_BGP_MD5", what: "BGP passwords", without: "run the sessions without passwords" };

test("the error says who needs the package, why it is not there, and what to do", () => {
  const load = (): never => {
    throw new Error("Cannot find module 'koffi'\nRequire stack: …");
  };
  expect(() => findKoffi(NEED, "linux", "x64", load)).toThrow(
    expect.objectContaining({
      code: "PL_BGP_MD5",
      message: expect.stringMatching(/BGP passwords.*optional package koffi.*Cannot find module 'koffi'$/),
      remedy: expect.stringMatching(/npm install koffi.*or run the sessions without passwords/),
    }),
  );
  const elsewhere: readonly (readonly [platform: string, arch: string, word: string])[] = [
    ["darwin", "arm64", "darwin"],
    ["linux", "mips", "mips"],
  ];
  for (const [platform, arch, word] of elsewhere) {
    expect(() => findKoffi(NEED, platform, arch, load)).toThrow(
      expect.objectContaining({ code: "PL_BGP_MD5", message: expect.stringContaining(word) }),
    );
  }
});

test("errors of the kernel have names", () => {
  expect(errnoName(constants.errno.EPERM)).toBe("EPERM");
  expect(errnoName(99_999)).toBe("error 99999");
});
