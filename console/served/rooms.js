// The rooms that this page watches, and how far each is known.
// In: `joined`, `reset`, `event` frames, and what the page wants. Out: the rooms for `hello`, and whether an event is the next one.
// Owns epoch and offset per room; knows nothing of what rooms mean.

/**
 * @typedef {object} Watched
 * @property {string} room
 * @property {number} every_ms   live values at most this often; 0 is every value
 * @property {boolean} history   the snapshot carries readings that live frames may have missed
 * @property {number|null} handle
 * @property {string|null} epoch
 * @property {number} offset
 */

export class Rooms {
  /** @type {Map<string, Watched>} */
  #rooms = new Map();
  /** @type {Map<number, Watched>} */
  #handles = new Map();

  /**
   * Notes that the page wants a room.
   * @returns {boolean} whether it did not before
   */
  want(room, { every_ms = 0, history = false } = {}) {
    if (this.#rooms.has(room)) return false;
    this.#rooms.set(room, { room, every_ms, history, handle: null, epoch: null, offset: 0 });
    return true;
  }

  /** Forgets a room. @returns {boolean} whether it was wanted */
  drop(room) {
    const watched = this.#rooms.get(room);
    if (watched?.handle != null) this.#handles.delete(watched.handle);
    return this.#rooms.delete(room);
  }

  has(room) { return this.#rooms.has(room); }

  /** The rooms that are wanted. */
  names() { return [...this.#rooms.keys()]; }

  /** All rooms as `hello` wants them, each from where it is known. */
  hello() {
    this.#handles.clear();
    return [...this.#rooms.values()].map((watched) => this.join(watched.room));
  }

  /** One room as `join` wants it. `fresh` asks for a snapshot whatever is known. */
  join(room, fresh = false) {
    const { every_ms, epoch, offset } = this.#rooms.get(room);
    return fresh || epoch === null ? { room, every_ms } : { room, every_ms, epoch, offset };
  }

  /** Takes `joined`: the room's handle on this connection and what is known now. */
  joined(frame) {
    const watched = this.#rooms.get(frame.room);
    if (!watched) return null;
    if (watched.handle != null) this.#handles.delete(watched.handle);
    Object.assign(watched, { handle: frame.handle, epoch: frame.epoch, offset: frame.offset });
    this.#handles.set(frame.handle, watched);
    return watched;
  }

  /** Takes `reset`. */
  reset(frame) {
    const watched = this.#handles.get(frame.handle);
    if (watched) Object.assign(watched, { epoch: frame.epoch, offset: frame.offset });
    return watched ?? null;
  }

  /** @returns {Watched|null} */
  byHandle(handle) { return this.#handles.get(handle) ?? null; }

  /**
   * Where an event stands: `next` is to be applied, `old` was applied already, `gap` means that something was missed.
   * @returns {'next'|'old'|'gap'|'foreign'}
   */
  place(frame) {
    const watched = this.#handles.get(frame.handle);
    if (!watched) return 'foreign';
    if (frame.offset <= watched.offset) return 'old';
    if (frame.offset > watched.offset + 1) return 'gap';
    watched.offset = frame.offset;
    return 'next';
  }
}
