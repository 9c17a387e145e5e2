// How a person points at a machine: the six digits on its screen, or its printed sticker.
// In: a typed or scanned text, also a link. Out: `by` of a claim, or null where it means nothing.

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/i;

/**
 * Six digits are a code, a UUID is a sticker.
 * @returns {{code: string}|{sticker: string}|null}
 */
export function pointsAt(text) {
  const sticker = text.match(UUID);
  if (sticker) return { sticker: sticker[0].toLowerCase() };
  const code = text.replace(/[\s-]/g, '').match(/(?<!\d)\d{6}(?!\d)/);
  return code ? { code: code[0] } : null;
}
