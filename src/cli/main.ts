// `podloom …`, but for `node` and `store`, which are programs of their own.
import { runCommandLine } from "./command-line.ts";
import { ExitCode } from "./exit-code.ts";
import { Terminal } from "./terminal.ts";

let readerGone = false;

/** When the reader of a pipe or the terminal has gone (`podloom get pods | head -1`), the command ends as by a signal. */
function endWithReader(stream: NodeJS.WriteStream): void {
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE" && error.code !== "EIO") throw error;
    if (readerGone || stream !== process.stdout) return;
    readerGone = true;
    // A command that holds something (a lab, a ping) hears it and ends in its own way.
    if (process.listenerCount("SIGTERM") > 0) process.emit("SIGTERM", "SIGTERM");
    else process.exit(process.exitCode ?? ExitCode.DONE);
  });
}

endWithReader(process.stdout);
endWithReader(process.stderr);
process.exitCode = await runCommandLine(process.argv.slice(2), {
  terminal: new Terminal(process.stdout, process.stderr, process.env),
  env: process.env,
  cwd: process.cwd(),
});
