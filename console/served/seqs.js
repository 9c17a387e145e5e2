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

/** All numbers of both. */
export function union(left, right) {
  const pairs = [];
  for (const list of [left, right]) for (let at = 0; at < list.length; at += 2) pairs.push([list[at], list[at + 1]]);
  pairs.sort((a, b) => a[0] - b[0]);
  const out = [];
  for (const [from, to] of pairs) {
    const last = out.length - 1;
    if (last > 0 && from <= out[last] + 1) out[last] = Math.max(out[last], to);
    else out.push(from, to);
  }
  return out;
}
