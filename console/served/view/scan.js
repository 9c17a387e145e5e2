// Reads a QR code with the camera where the browser can; elsewhere the code is typed.
// In: a video element. Out: the first code that means something. The camera is let go in any case.

/** Not in every browser, and not in the standard types. @type {any} */
const Detector = /** @type {any} */ (globalThis).BarcodeDetector;
/** A person gives up before this. */
const SCAN_LIFE_MS = 30_000;

/** Whether this browser can read QR codes and has a camera to ask for. */
export async function canScan() {
  if (!Detector || !navigator.mediaDevices?.getUserMedia) return false;
  return (await Detector.getSupportedFormats().catch(() => [])).includes('qr_code');
}

/**
 * Scans until a code is understood.
 * @template T
 * @param {HTMLVideoElement} video
 * @param {(text: string) => T|null} understand
 * @returns {Promise<T|null>} null when nothing was found in time
 * @throws {Error} in words, when the camera may not be used
 */
export async function scan(video, understand) {
  const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } })
    .catch(() => { throw new Error('The camera may not be used: type the code.'); });
  video.srcObject = stream;
  video.hidden = false;
  try {
    await video.play();
    const detector = new Detector({ formats: ['qr_code'] });
    const end = performance.now() + SCAN_LIFE_MS;
    while (performance.now() < end) {
      for (const { rawValue } of await detector.detect(video).catch(() => [])) {
        const found = understand(rawValue);
        if (found) return found;
      }
      await new Promise(requestAnimationFrame);
    }
    return null;
  } finally {
    video.hidden = true;
    video.srcObject = null;
    for (const track of stream.getTracks()) track.stop();
  }
}
