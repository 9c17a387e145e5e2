//! What was odd about a value that could be read all the same, and what was too odd.

/// Something odd. The value is read as far as it goes; the session never ends over it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Issue {
    /// Flag bits are set that the definition reserves.
    ReservedFlags,
    /// Flags contradict each other.
    InvalidFlags,
    /// The record goes on in another notification.
    MoreData,
    /// The value ends before its fields do: complete fields are kept.
    Truncated,
    /// Bytes follow the last field.
    TrailingBytes,
    /// A field says that it is not available.
    Unavailable,
    /// A number without a meaning.
    ReservedValue,
    /// An op code without a meaning.
    UnknownOpcode,
    /// Text that is not UTF-8.
    InvalidText,
}

impl Issue {
    /// All issues in the order in which they are told.
    pub const ALL: [Self; 9] = [
        Self::ReservedFlags,
        Self::InvalidFlags,
        Self::MoreData,
        Self::Truncated,
        Self::TrailingBytes,
        Self::Unavailable,
        Self::ReservedValue,
        Self::UnknownOpcode,
        Self::InvalidText,
    ];

    /// The word in the readable form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ReservedFlags => "reserved_flags",
            Self::InvalidFlags => "invalid_flags",
            Self::MoreData => "more_data",
            Self::Truncated => "truncated",
            Self::TrailingBytes => "trailing_bytes",
            Self::Unavailable => "unavailable",
            Self::ReservedValue => "reserved_value",
            Self::UnknownOpcode => "unknown_opcode",
            Self::InvalidText => "invalid_text",
        }
    }
}

/// A set of issues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Issues(u16);

impl Issues {
    /// Adds an issue.
    pub fn add(&mut self, issue: Issue) {
        self.0 |= 1 << issue as u8;
    }

    /// Adds an issue where `odd`.
    pub fn add_if(&mut self, odd: bool, issue: Issue) {
        if odd {
            self.add(issue);
        }
    }

    /// Takes an issue out.
    pub fn remove(&mut self, issue: Issue) {
        self.0 &= !(1 << issue as u8);
    }

    /// Whether an issue is among them.
    #[must_use]
    pub const fn has(self, issue: Issue) -> bool {
        self.0 >> issue as u8 & 1 == 1
    }

    /// Whether there are none.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// These and those.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The issues in order.
    pub fn iter(self) -> impl Iterator<Item = Issue> {
        Issue::ALL.into_iter().filter(move |issue| self.has(*issue))
    }
}

/// The bytes are no value of their characteristic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
pub enum FtmsError {
    /// A fixed-size value of another size.
    #[error("{found} bytes, not a length of this characteristic")]
    Length {
        /// Bytes found.
        found: usize,
    },
    /// A range whose least is above its most.
    #[error("the least value is above the most")]
    Range,
    /// No answer of a control point: cut, unasked parameters, or not an answer at all.
    #[error("not an answer of a control point")]
    MalformedResponse,
    /// No request to a control point: cut off.
    #[error("not a request to a control point")]
    MalformedRequest,
}

impl FtmsError {
    /// The word in the readable form.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Length { .. } => "length",
            Self::Range => "range",
            Self::MalformedResponse => "malformed_response",
            Self::MalformedRequest => "malformed_request",
        }
    }
}
