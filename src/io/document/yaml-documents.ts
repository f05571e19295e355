// A text of several YAML documents as one text each. Lines and columns stay: what is not of a document is blank.

/** A line that begins or ends a document. At the start of a line nothing else can be meant, not even within a block of text. */
const MARKER = /^(---|\.\.\.)(?=\s|$)/;

/** The documents, without those that hold nothing but comments. */
export function splitDocuments(text: string): string[] {
  const parts: string[][] = [[]];
  text.split("\n").forEach((line, i) => {
    if (!MARKER.test(line)) {
      parts.at(-1)?.push(line);
      return;
    }
    // Blank lines in place of all before: so a position in the part is one in the text. What follows `---` is of the document.
    parts.push([...Array.from({ length: i }, () => ""), line.replace(MARKER, "   ")]);
  });
  return parts
    .filter((lines) => lines.some((line) => !/^\s*(#.*)?$/.test(line)))
    .map((lines) => lines.join("\n"));
}
