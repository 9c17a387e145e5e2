// Taking a machine and giving it back. In: a code, a sticker, a press. Out: claim, release and visit frames, and refusals in words.

import { wire } from '../app.js';
import { change, state } from '../store.js';
import * as session from '../session.js';

/** The gym that the member stands in: that of the visit, else the token's first. */
export const gym = () => (state.member?.visit?.state === 'active' ? state.member.visit.gym : null) ?? session.gyms()[0] ?? state.floor?.gym ?? null;

/** Claims a machine. */
export async function claim(by) {
  const claimed = await attempt({ t: 'claim', gym: gym(), by, ...(state.member?.claim ? { hand_over: state.member.claim.claim.fence } : {}) });
  if (!claimed) return;
  change(() => {
    if (claimed.state === 'awaiting_sign') state.awaiting = { machine: claimed.machine, until_at_ms: claimed.until_at_ms };
    else if (state.member) {
      state.awaiting = null;
      state.member.claim ??= { gym: gym(), machine: claimed.machine, claim: { member: state.me.subject, fence: claimed.fence, workout: claimed.workout }, may_control: claimed.may_control };
    }
  });
}

/** Gives the machine back; the workout ends with it. */
export async function release() {
  const held = state.member?.claim;
  if (held) await attempt({ t: 'release', machine: held.machine, fence: held.claim.fence });
}

/** Staff takes a machine back from whoever holds it. */
export const takeBack = (machine, fence) => attempt({ t: 'release', machine, fence });

/** Ends the visit. */
export const checkOut = () => attempt({ t: 'check_out', gym: gym() });

/** Sets a heart-rate ceiling, or clears it with null. */
export const setCeiling = (heart_rate_bpm) => attempt({ t: 'ceiling', member: state.me.subject, heart_rate_bpm });

/** Vouches for a member who scanned a sticker. */
export const approve = (machine) => attempt({ t: 'approve', machine });

/** Logs a set; the id makes it once, however often it is sent. */
export const logSet = (id, set, logged_at_ms) => attempt({ t: 'log_set', id, workout: state.workout.workout, logged_at_ms, set });

async function attempt(frame) {
  change(() => { state.notice = null; });
  try {
    return await wire.request(frame);
  } catch (error) {
    change(() => { state.notice = error.message; });
    return null;
  }
}
