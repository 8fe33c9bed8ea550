// Findings of a text: where they are after an edit, and what a replacement does. Positions count code points.

const PARTICLES = [
  ["을", "를"],
  ["은", "는"],
  ["이", "가"],
  ["과", "와"],
  ["으로", "로"],
];
const FIRST_SYLLABLE = 0xac00;
const LAST_SYLLABLE = 0xd7a3;
const FINALS = 28;
const RIEUL = 8;

/** Return the findings that an edit left untouched, moved to where they are now. */
export function rebaseFindings(findings, before, after) {
  const [old, now] = [Array.from(before), Array.from(after)];
  const shortest = Math.min(old.length, now.length);
  let head = 0;
  while (head < shortest && old[head] === now[head]) head += 1;
  let tail = 0;
  while (tail < shortest - head && old[old.length - 1 - tail] === now[now.length - 1 - tail]) tail += 1;
  const shift = now.length - old.length;
  return findings.flatMap((finding) => {
    if (finding.end <= head) return [finding];
    if (finding.start >= old.length - tail) return [{ ...finding, start: finding.start + shift, end: finding.end + shift }];
    return [];
  });
}

/** Put a suggestion in the place of a finding; a particle behind it is made to agree. */
export function replaceFinding(text, finding, suggestion) {
  const points = Array.from(text);
  const rest = points.slice(finding.end).join("");
  return points.slice(0, finding.start).join("") + suggestion + agreeParticle(suggestion, rest);
}

/** Cut a text into pieces, each with the finding that covers it or null; of overlapping findings the first counts. */
export function segmentText(text, findings) {
  const points = Array.from(text);
  const pieces = [];
  let end = 0;
  for (const finding of [...findings].sort((left, right) => left.start - right.start)) {
    if (finding.start < end || finding.end > points.length || finding.end <= finding.start) continue;
    if (finding.start > end) pieces.push({ text: points.slice(end, finding.start).join(""), finding: null });
    pieces.push({ text: points.slice(finding.start, finding.end).join(""), finding });
    end = finding.end;
  }
  if (end < points.length) pieces.push({ text: points.slice(end).join(""), finding: null });
  return pieces;
}

/** Return a finding's place in UTF-16 units, which is what a text field selects by. */
export function selectionOf(text, finding) {
  const points = Array.from(text);
  const start = points.slice(0, finding.start).join("").length;
  return [start, start + points.slice(finding.start, finding.end).join("").length];
}

/** Return what follows a word, its leading particle made to agree with the word: 를 after a vowel, 을 after a consonant. */
export function agreeParticle(word, rest) {
  const final = finalOf(word);
  if (final === null) return rest;
  for (const [closed, open] of PARTICLES) {
    const isOpen = final === 0 || (open === "로" && final === RIEUL);
    const [right, wrong] = isOpen ? [open, closed] : [closed, open];
    if (rest.startsWith(wrong) && !/^[가-힣]/.test(rest.slice(wrong.length))) return right + rest.slice(wrong.length);
  }
  return rest;
}

function finalOf(word) {
  const code = word.charCodeAt(word.length - 1);
  return code >= FIRST_SYLLABLE && code <= LAST_SYLLABLE ? (code - FIRST_SYLLABLE) % FINALS : null;
}
