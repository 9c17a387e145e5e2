//! Why a session ended, and what the client does now.
//!
//! Numbers are WebSocket close codes: 1000-1013 as RFC 6455 has them, 4000-4099 "come back", 4100-4199 "log in again",
//! 4200-4299 "stop". The class follows from the number, so an old client treats a new reason rightly.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a client does after a close.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AfterClose {
    /// Connect again with the resume ticket, after a jittered back-off that starts at `backoff_ms`.
    Resume,
    /// Get a new token first.
    LogIn,
    /// Do not come back by itself: the peer is wrong, or not wanted.
    Stop,
}

macro_rules! closes {
    ($($code:literal $variant:ident $name:literal $after:ident $backoff:literal $text:literal;)+) => {
        /// A named reason for the end of a session.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum CloseReason { $(#[doc = $text] $variant = $code,)+ }

        impl CloseReason {
            /// All reasons, by number.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];
            /// The close code.
            #[must_use]
            pub const fn code(self) -> u16 { self as u16 }
            /// The word in metrics, logs and the close frame.
            #[must_use]
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name,)+ } }
            /// What happened and what to do, for a person.
            #[must_use]
            pub const fn text(self) -> &'static str { match self { $(Self::$variant => $text,)+ } }
            /// What the client does now.
            #[must_use]
            pub const fn after(self) -> AfterClose { match self { $(Self::$variant => AfterClose::$after,)+ } }
            /// First back-off before coming back, milliseconds; 0 is at once.
            #[must_use]
            pub const fn backoff_ms(self) -> u32 { match self { $(Self::$variant => $backoff,)+ } }
            /// The reason of a code.
            #[must_use]
            pub const fn from_code(code: u16) -> Option<Self> { match code { $($code => Some(Self::$variant),)+ _ => None } }
        }
    };
}

closes! {
    1000 Normal "normal" Stop 0 "The peer said goodbye.";
    4000 Drain "drain" Resume 100 "This node is going down: connect again, another takes over.";
    4001 Slow "slow" Resume 1000 "The peer did not read fast enough and its outbox was full: connect again and resume.";
    4002 Silent "silent" Resume 500 "No sign of life within the heartbeat and its grace: connect again and resume.";
    4003 WriteTimeout "write_timeout" Resume 1000 "A write did not finish in time: connect again and resume.";
    4004 Busy "busy" Resume 2000 "The hub is at a limit of connections or of work: come back later.";
    4005 Internal "internal" Resume 2000 "The hub failed at this session: connect again; the log names the cause.";
    4006 Replaced "replaced" Resume 5000 "The same machine or device connected again elsewhere: the newest connection wins.";
    4007 Gone "gone" Resume 500 "The connection was lost.";
    4100 TokenExpired "token_expired" LogIn 0 "The token ran out and was not refreshed: get a new one.";
    4101 TokenRevoked "token_revoked" LogIn 0 "The token, its subject or all tokens of before a time were revoked: log in again.";
    4102 TokenInvalid "token_invalid" LogIn 0 "The token could not be verified: the hub's answer to hello says why.";
    4103 HelloTimeout "hello_timeout" LogIn 1000 "No hello within 10 s of connecting: send it as the first frame.";
    4104 DeviceRefused "device_refused" LogIn 5000 "No signature or certificate of a device that is enrolled here: the hub's answer to hello says why.";
    4200 Malformed "malformed" Stop 0 "A frame could not be decoded: mend the client; the text names the place.";
    4201 TooBig "too_big" Stop 0 "A message was larger than the limit: send smaller batches.";
    4202 TooFast "too_fast" Stop 5000 "Frames or bytes came faster than the limit for longer than its burst: send less.";
    4203 Forbidden "forbidden" Stop 0 "This peer may not connect here.";
    4204 HelloExpected "hello_expected" Stop 0 "The first frame was not hello.";
    4205 TooManyConnections "too_many_connections" Stop 10000 "This device, user or address holds as many connections as it may: close one.";
    4206 DeviceRevoked "device_revoked" Stop 0 "The device was revoked, or another took its place: enrol it anew.";
    4207 DeviceCloned "device_cloned" Stop 0 "The device's key is live on two sockets: both are closed and flagged; an operator looks and clears it, or enrols it anew.";
}
