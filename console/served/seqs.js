// Sets of sequence numbers as the wire has them: a flat, sorted list `[from, to, from, to, ..]`, inclusive.
// Pure arithmetic; the same shape as `SeqRanges` of the protocol.

/** Whether `seq` is in the ranges. */
export function has(ranges, seq) {
  for (let at = 0; at < ranges.length; at += 2) {
    if (seq < ranges[at]) return false;
    if (seq <= ranges[at + 1]) return true;
  }
  return false;
}

/** How many numbers the ranges hold. */
export function count(ranges) {
  let sum = 0;
  for (let at = 0; at < ranges.length; at += 2) sum += ranges[at + 1] - ranges[at] + 1;
  return sum;
}
