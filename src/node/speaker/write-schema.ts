// `npm run schema`: writes schema/bgp-speaker.schema.json anew. A test fails while that file is not current.
import { writeFileSync } from "node:fs";
import { speakerJsonSchema } from "./file/speaker-schema.ts";

writeFileSync(
  new URL("../../../schema/bgp-speaker.schema.json", import.meta.url),
  `${JSON.stringify(speakerJsonSchema(), null, 2)}\n`,
);
