// `npm run schema`: writes schema/lab.schema.json anew. A test fails while that file is not current.
import { writeFileSync } from "node:fs";
import { labJsonSchema } from "./lab-schema.ts";

writeFileSync(
  new URL("../../schema/lab.schema.json", import.meta.url),
  `${JSON.stringify(labJsonSchema(), null, 2)}\n`,
);
