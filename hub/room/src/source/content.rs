//! What was said, by content: whether it is the same again, and what is kept of it.
//!
//! In: numbered things. Out: whether the same content came under the number before, for the last 64 of them, and what goes to the Recorder.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use protocol::ErrorCode;

use crate::effect::KeepWhat;
use crate::input::{Numbered, Said};

/// Things remembered by content, so that the same again is known as the same; older ones the store compares.
const RECENT_MAX: usize = 64;

/// Whether something came before under its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Not as far as is known.
    None,
    /// The same content.
    Same,
    /// Other content: the store decides.
    Other,
}

/// The last things said, as fingerprints.
#[derive(Debug, Clone, Default)]
pub(super) struct Recent(VecDeque<(u32, u64)>);

impl Recent {
    /// What is known of the number; new ones are remembered.
    pub(super) fn repeat(&mut self, said: &Numbered) -> Repeat {
        let print = fingerprint(said);
        match self.0.iter().rev().find(|(seq, _)| *seq == said.seq) {
            Some((_, known)) if *known == print => return Repeat::Same,
            Some(_) => return Repeat::Other,
            None => (),
        }
        if self.0.len() == RECENT_MAX {
            self.0.pop_front();
        }
        self.0.push_back((said.seq, print));
        Repeat::None
    }

    /// What was made of the number was refused: the same again is new.
    pub(super) fn forget(&mut self, seq: u32) {
        self.0.retain(|(known, _)| *known != seq);
    }
}

/// What is kept of something that was said whole. A reading that no machine can mean goes to quarantine as it is.
pub(super) fn whole(said: Said) -> KeepWhat {
    match said {
        Said::Reading(reading) if reading.out_of_bounds().is_some() => KeepWhat::Poison {
            code: ErrorCode::ReadingPoison.code(),
            bytes: serde_json::to_vec(&reading).expect("a reading is a map of integers"),
        },
        Said::Reading(reading) => KeepWhat::Reading(reading),
        Said::Rep(rep) => KeepWhat::Rep(rep),
        Said::Set(set) => KeepWhat::Set(set),
        Said::Stroke(stroke) => KeepWhat::Stroke(stroke),
        Said::Raw { bytes, .. } => KeepWhat::Poison { code: ErrorCode::NotDecodable.code(), bytes },
    }
}

/// A number that differs where content differs.
fn fingerprint(said: &Numbered) -> u64 {
    let mut hasher = DefaultHasher::new();
    said.dev_ms.hash(&mut hasher);
    match &said.what {
        Said::Reading(reading) => (0_u8, reading).hash(&mut hasher),
        Said::Raw { uuid, bytes } => (1_u8, uuid, bytes).hash(&mut hasher),
        Said::Rep(rep) => (2_u8, rep).hash(&mut hasher),
        Said::Set(set) => (3_u8, set).hash(&mut hasher),
        Said::Stroke(stroke) => (4_u8, stroke).hash(&mut hasher),
    }
    hasher.finish()
}
