//! One-time codes on machines' screens, and how often somebody may guess.
//!
//! In: machines that can show a code, codes that members typed, the time. Out: codes to show, the machine that a code names. A code
//! is six digits, lives 60 s, works once and is unlike every other of the gym. A subject that guessed wrong five times within a minute
//! waits for the minute to end: with 40 machines a guess hits one in 25,000.

use std::collections::BTreeMap;

use protocol::MachineId;
use protocol::limits::CODE_LIFE_MS;
use protocol::text::Text;
use uuid::Uuid;

use crate::draw::Draw;

/// Wrong guesses a subject has within [`GUESS_WINDOW_MS`].
pub const GUESSES_MAX: u8 = 5;
/// The window of guesses.
pub const GUESS_WINDOW_MS: i64 = 60_000;
/// Subjects whose wrong guesses are remembered; past it the oldest is forgotten.
const GUESSERS_MAX: usize = 4096;
/// Codes there are.
const CODES: u32 = 1_000_000;

/// A code was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodeError {
    /// No machine shows it.
    #[error("no machine of this gym shows this code")]
    Wrong,
    /// Too many wrong guesses.
    #[error("too many wrong codes; wait {retry_after_ms} ms")]
    TooMany {
        /// When the window ends.
        retry_after_ms: u32,
    },
}

#[derive(Debug, Clone, Copy)]
struct Guesses {
    wrong: u8,
    until_mono_ms: i64,
}

/// The codes of one gym.
#[derive(Debug, Default)]
pub struct Codes {
    shown: BTreeMap<u32, (MachineId, i64)>,
    by_machine: BTreeMap<MachineId, u32>,
    guesses: BTreeMap<Uuid, Guesses>,
}

impl Codes {
    /// Draws a new code for a machine; its old one is void.
    pub fn rotate(&mut self, machine: MachineId, mono_ms: i64, draw: &mut Draw) -> Text<16> {
        self.drop(machine);
        let mut code = draw.below(CODES);
        while self.shown.contains_key(&code) {
            code = draw.below(CODES);
        }
        self.shown.insert(code, (machine, mono_ms + CODE_LIFE_MS));
        self.by_machine.insert(machine, code);
        Text::cut(&format!("{code:06}"))
    }

    /// Whether a machine shows a code that is still good.
    #[must_use]
    pub fn shows(&self, machine: MachineId, mono_ms: i64) -> bool {
        let shown = self.by_machine.get(&machine).and_then(|code| self.shown.get(code));
        shown.is_some_and(|(_, until_mono_ms)| *until_mono_ms > mono_ms)
    }

    /// The code that a machine shows and that is still good.
    #[must_use]
    pub fn shown(&self, machine: MachineId, mono_ms: i64) -> Option<Text<16>> {
        let code = self.by_machine.get(&machine).filter(|_| self.shows(machine, mono_ms))?;
        Some(Text::cut(&format!("{code:06}")))
    }

    /// Voids the code of a machine.
    pub fn drop(&mut self, machine: MachineId) {
        if let Some(code) = self.by_machine.remove(&machine) {
            self.shown.remove(&code);
        }
    }

    /// The machine that shows this code; the code is used up.
    ///
    /// # Errors
    /// [`CodeError`]: wrong, or guessed too often.
    pub fn take(&mut self, typed: &str, subject: Uuid, mono_ms: i64) -> Result<MachineId, CodeError> {
        if let Some(guesses) = self.guesses.get(&subject).filter(|guesses| guesses.until_mono_ms > mono_ms && guesses.wrong >= GUESSES_MAX)
        {
            let retry_after_ms = u32::try_from(guesses.until_mono_ms - mono_ms).unwrap_or(u32::MAX);
            return Err(CodeError::TooMany { retry_after_ms });
        }
        let digits = typed.len() == 6 && typed.bytes().all(|byte| byte.is_ascii_digit());
        let code = typed.parse::<u32>().ok().filter(|_| digits);
        match code.and_then(|code| self.shown.get(&code).copied()) {
            Some((machine, until_mono_ms)) if until_mono_ms > mono_ms => {
                self.drop(machine);
                self.guesses.remove(&subject);
                Ok(machine)
            }
            _ => {
                self.missed(subject, mono_ms);
                Err(CodeError::Wrong)
            }
        }
    }

    fn missed(&mut self, subject: Uuid, mono_ms: i64) {
        if self.guesses.len() >= GUESSERS_MAX && !self.guesses.contains_key(&subject) {
            let oldest = self.guesses.iter().min_by_key(|(_, guesses)| guesses.until_mono_ms).map(|(subject, _)| *subject);
            oldest.map(|oldest| self.guesses.remove(&oldest));
        }
        let fresh = Guesses { wrong: 0, until_mono_ms: mono_ms + GUESS_WINDOW_MS };
        let guesses = self.guesses.entry(subject).or_insert(fresh);
        if guesses.until_mono_ms <= mono_ms {
            *guesses = fresh;
        }
        guesses.wrong = guesses.wrong.saturating_add(1);
    }

    /// Machines whose code ran out, and forgets guesses whose window ended.
    pub fn expired(&mut self, mono_ms: i64) -> Vec<MachineId> {
        self.guesses.retain(|_, guesses| guesses.until_mono_ms > mono_ms);
        let mut over: Vec<MachineId> =
            self.shown.values().filter(|(_, until_mono_ms)| *until_mono_ms <= mono_ms).map(|(machine, _)| *machine).collect();
        over.sort_unstable();
        over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw() -> Draw {
        Draw::new([5; 32], 1, 0, 1)
    }
    fn machine(n: u128) -> MachineId {
        MachineId(Uuid::from_u128(n))
    }
    const ANNA: Uuid = Uuid::from_u128(77);

    #[test]
    fn a_code_names_its_machine_once() {
        let (mut codes, mut draw) = (Codes::default(), draw());
        let code = codes.rotate(machine(1), 0, &mut draw);
        codes.rotate(machine(2), 0, &mut draw);
        assert_eq!(code.len(), 6);
        assert_eq!(codes.shown(machine(1), 5), Some(code.clone()));
        assert_eq!(codes.take(&code, ANNA, 10), Ok(machine(1)));
        assert_eq!(codes.take(&code, ANNA, 11), Err(CodeError::Wrong));
        assert_eq!(codes.shown(machine(1), 11), None);
    }

    #[test]
    fn a_code_lives_sixty_seconds_and_rotating_voids_the_old_one() {
        let (mut codes, mut draw) = (Codes::default(), draw());
        let old = codes.rotate(machine(1), 0, &mut draw);
        assert_eq!(codes.expired(CODE_LIFE_MS - 1), []);
        assert_eq!(codes.expired(CODE_LIFE_MS), [machine(1)]);
        assert_eq!(codes.take(&old, ANNA, CODE_LIFE_MS), Err(CodeError::Wrong));
        let new = codes.rotate(machine(1), CODE_LIFE_MS, &mut draw);
        assert_eq!(codes.take(&old, ANNA, CODE_LIFE_MS + 1), Err(CodeError::Wrong));
        assert_eq!(codes.take(&new, ANNA, CODE_LIFE_MS + 2), Ok(machine(1)));
    }

    #[test]
    fn who_guesses_wrong_five_times_waits_for_the_minute_to_end_even_with_the_right_code() {
        let (mut codes, mut draw) = (Codes::default(), draw());
        let code = codes.rotate(machine(1), 30_000, &mut draw);
        for at in 0..i64::from(GUESSES_MAX) {
            assert_eq!(codes.take("00000x", ANNA, at), Err(CodeError::Wrong));
        }
        assert_eq!(codes.take(&code, ANNA, 30_000), Err(CodeError::TooMany { retry_after_ms: 30_000 }));
        assert_eq!(codes.take(&code, Uuid::from_u128(78), 30_000), Ok(machine(1)), "another member is not held up");
        let code = codes.rotate(machine(1), 30_000, &mut draw);
        assert_eq!(codes.take(&code, ANNA, GUESS_WINDOW_MS), Ok(machine(1)));
    }
}
