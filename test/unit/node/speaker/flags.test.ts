import { describe, expect, test } from "vitest";
import { PodloomError } from "../../../../src/io/podloom-error.ts";
import { parseSpeakerFlags } from "../../../../src/node/speaker/flags.ts";

describe("the flags of podloom bgp", () => {
  test("none: bgp.yaml, and the log on standard error", () => {
    expect(parseSpeakerFlags([])).toEqual({
      file: "bgp.yaml",
      check: false,
      name: undefined,
      socket: undefined,
      logLevel: "info",
      logFile: undefined,
      capture: undefined,
      metrics: undefined,
      restarting: false,
    });
  });

  test("all", () => {
    const words =
      "-f a.yaml --check --name x --socket /s --log-level debug --log-file l --capture c --metrics [::1]:5 --restarting";
    expect(parseSpeakerFlags(words.split(" "))).toEqual({
      file: "a.yaml",
      check: true,
      name: "x",
      socket: "/s",
      logLevel: "debug",
      logFile: "l",
      capture: "c",
      metrics: { host: "::1", port: 5 },
      restarting: true,
    });
  });

  test("help comes before everything else", () => {
    expect(parseSpeakerFlags(["--help", "--name", "NO"])).toBeUndefined();
  });

  test.each([
    [["--nmae", "x"], "Unknown option '--nmae'"],
    [["a.yaml"], "Unexpected argument 'a.yaml'"],
    [["--file"], "--file"],
    [["--file="], "--file must not be empty"],
    [["--name", "../x"], '--name "../x" will not do'],
    [["--log-level", "loud"], "give one of trace, debug, info, warn, error, fatal, silent"],
    [["--metrics", "9179"], "give an address and a port like 127.0.0.1:9179"],
    [["--metrics", "1.2.3.4:70000"], "give an address and a port"],
  ])("%j", (argv, message) => {
    const parse = () => parseSpeakerFlags(argv);
    expect(parse).toThrow(message);
    expect(parse).toThrow(PodloomError);
    try {
      parse();
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: "PL_USAGE", remedy: "`podloom bgp --help` lists the flags." });
    }
  });
});
