import { connectSpeaker } from "../lab/find-speaker.ts";
import type { CommandContext } from "./command-context.ts";
import { whichSpeaker } from "./get-bgp.ts";

/** `podloom birdc WORDS…`. Answers birdc's exit code. */
export async function birdc(
  argv: readonly string[],
  flags: { readonly speaker: string | undefined; readonly socket: string | undefined },
  cx: CommandContext,
): Promise<number> {
  const { client } = await connectSpeaker(cx.env, whichSpeaker(flags, cx));
  try {
    // `birdc -- show status` and `birdc show status` are the same.
    const words = argv[0] === "--" ? argv.slice(1) : argv;
    return await client.birdc(words, (text) => cx.terminal.write(text));
  } finally {
    await client.close();
  }
}
