/**
 * Somebody else's text for our terminal: nothing in it moves the cursor, begins a line or turns the writing round. What would is
 * shown as "?".
 */
export function printable(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?");
}
