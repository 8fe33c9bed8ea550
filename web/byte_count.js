// The bytes that a text takes in the record: the UTF-8 length of the composed text, as student_records.byte_count does.

const encoder = new TextEncoder();
const LONG_RUN_OF_MARKS = /(\p{M}{31,})/u;

/** Count a text as the record does; `enterBytes` is 1, or 2 for the careful count. Lone surrogates count 3. */
export function countBytes(text, enterBytes = 1) {
  const composed = compose(text.replace(/\r\n?/g, "\n"));
  const size = encoder.encode(composed).length;
  return enterBytes === 1 ? size : size + (composed.split("\n").length - 1) * (enterBytes - 1);
}

/** Compose to NFC, except runs of marks so long that nobody typed them. */
function compose(text) {
  const pieces = text.split(LONG_RUN_OF_MARKS);
  return pieces.map((piece, index) => (index % 2 ? piece : piece.normalize("NFC"))).join("");
}

/** Say how a size stands to its limit: `ok`, `near` from 90 %, `over`. */
export function compareWithLimit(size, limit) {
  if (size > limit) return "over";
  return size >= limit * 0.9 ? "near" : "ok";
}
