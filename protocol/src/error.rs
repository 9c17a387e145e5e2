//! Errors that a peer can be told, as replies to a frame or to an HTTP request.
//!
//! Numbers are for ever. Hundreds group them: 1 the frame, 2 rights, 3 rooms, 4 machines and claims, 5 control and stop,
//! 6 readings, 7 resources over HTTP, 9 the hub itself.

/// What a client does about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Mend the request; the same again fails the same.
    Mend,
    /// The same again later may do; wait for `retry_after_ms` where given.
    Retry,
    /// Ask somebody who may, or log in as one.
    Ask,
    /// Read the state again, then decide.
    Refresh,
}

macro_rules! errors {
    ($($code:literal $variant:ident $name:literal $status:literal $remedy:ident $text:literal;)+) => {
        /// A catalogued error.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum ErrorCode { $(#[doc = $text] $variant = $code,)+ }

        impl ErrorCode {
            /// All errors, by number.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];
            /// The number on the wire.
            #[must_use]
            pub const fn code(self) -> u16 { self as u16 }
            /// The word in JSON, metrics and logs.
            #[must_use]
            pub const fn name(self) -> &'static str { match self { $(Self::$variant => $name,)+ } }
            /// What is wrong and what to do, for a person.
            #[must_use]
            pub const fn text(self) -> &'static str { match self { $(Self::$variant => $text,)+ } }
            /// The HTTP status of the same error.
            #[must_use]
            pub const fn http_status(self) -> u16 { match self { $(Self::$variant => $status,)+ } }
            /// What the client does.
            #[must_use]
            pub const fn remedy(self) -> Remedy { match self { $(Self::$variant => Remedy::$remedy,)+ } }
            /// The error of a number.
            #[must_use]
            pub const fn from_code(code: u16) -> Option<Self> { match code { $($code => Some(Self::$variant),)+ _ => None } }
        }
    };
}

errors! {
    100 Malformed "malformed" 400 Mend "The frame or body could not be read: the detail names the place.";
    101 UnknownFrame "unknown_frame" 400 Mend "No frame of this kind goes to the hub: see docs/PROTOCOL.md.";
    102 TooLarge "too_large" 413 Mend "Larger than the limit: send less at once.";
    103 TooFast "too_fast" 429 Retry "More frames or requests than the limit: wait as told.";
    104 HelloTwice "hello_twice" 409 Mend "A session says hello once; use refresh for a new token.";
    105 IdempotencyMismatch "idempotency_mismatch" 422 Mend "This Idempotency-Key was used with another body: use a new key.";
    200 Unauthenticated "unauthenticated" 401 Ask "No valid token: log in. The detail says what is wrong with it.";
    201 Forbidden "forbidden" 403 Ask "This role may not do this here.";
    202 TokenExpired "token_expired" 401 Ask "The token has expired: get a new one.";
    203 TokenRevoked "token_revoked" 401 Ask "The token was revoked: log in again.";
    204 OtherSubject "other_subject" 403 Mend "A refresh must name the same subject, role and tenant as the session: connect anew.";
    205 DeviceUnknown "device_unknown" 401 Ask "No such device is enrolled here: enrol it with a code of the operator's.";
    206 DeviceRevoked "device_revoked" 401 Ask "The device was revoked, or another took its place: enrol it anew.";
    207 DeviceCloned "device_cloned" 401 Ask "The device's key was live on two sockets: an operator looks and clears it, or enrols it anew.";
    208 ProofWrong "proof_wrong" 401 Mend "The signature does not fit the key and what was to be signed: see docs/GATEWAY.md.";
    209 EnrolmentCodeWrong "enrolment_code_wrong" 404 Mend "No such enrolment code, or it was used or ran out: ask for another.";
    210 KeyTaken "key_taken" 409 Mend "This key was enrolled before: a device makes a new key each time.";
    300 NotARoom "not_a_room" 400 Mend "Not the name of a room: kind, colon, UUID.";
    301 NoSuchRoom "no_such_room" 404 Refresh "There is no such room in this tenant, or it is over.";
    302 TooManyRooms "too_many_rooms" 429 Mend "The session watches as many rooms as it may: leave one.";
    303 TooManyClasses "too_many_classes" 409 Mend "The room serves its most distinct rates and field sets: ask for a common one.";
    304 NotJoined "not_joined" 409 Mend "The session does not watch this room.";
    400 NoSuchMachine "no_such_machine" 404 Refresh "There is no such machine in this tenant.";
    401 MachineBusy "machine_busy" 409 Refresh "Another member holds the machine.";
    402 MachineNotAvailable "machine_not_available" 409 Refresh "The machine is in maintenance, or nobody knows its state: take another.";
    403 CodeWrong "code_wrong" 404 Mend "No machine of this gym shows this code, or it ran out: read it again from the screen.";
    404 MemberBusy "member_busy" 409 Refresh "The member holds another machine: release it, or hand over.";
    405 SignMissing "sign_missing" 409 Retry "Scanning a sticker needs a second sign within 60 s: move, use the console or NFC, or ask staff.";
    406 StaleFence "stale_fence" 409 Refresh "The fence is not that of the claim now held: read the machine again.";
    407 NotClaimed "not_claimed" 409 Refresh "The member does not hold the machine.";
    408 MachineNotHeard "machine_not_heard" 409 Mend "Announce the machine with machine_hello before binding it.";
    409 ForeignMachine "foreign_machine" 403 Ask "The machine is bound to another gateway: an operator can move it.";
    410 SourceConflict "source_conflict" 409 Ask "The same boot came with another nonce: two devices share one identity; both are flagged and their rows quarantined.";
    411 TooManyMachines "too_many_machines" 429 Mend "The connection announces as many machines as it may: open another.";
    412 ClaimPending "claim_pending" 409 Retry "A claim of this member is being decided: wait for its answer.";
    500 ControlRefused "control_refused" 409 Refresh "The machine refused: the detail has its result code.";
    501 ControlLost "control_lost" 409 Refresh "Somebody at the console took control.";
    502 RaisesEffort "raises_effort" 409 Retry "No fresh clock pair with the machine: nothing that raises effort is sent.";
    503 StartForbidden "start_forbidden" 403 Mend "The hub never starts a powered belt: the member starts it at the machine.";
    504 OutOfRange "out_of_range" 422 Mend "Outside the ranges of the machine or its ramp limit: the detail has them.";
    505 CommandExpired "command_expired" 409 Retry "The command ran out before it reached the machine.";
    506 CommandPending "command_pending" 409 Retry "The machine is at another command: one at a time.";
    507 NotControllable "not_controllable" 409 Mend "This machine takes no remote target of this kind.";
    508 MachineUnreachable "machine_unreachable" 503 Retry "The machine's link is lost: use the machine itself.";
    600 SlotTaken "slot_taken" 409 Mend "The slot is bound on this connection: choose another, or unbind it.";
    601 SlotUnknown "slot_unknown" 409 Mend "Bind the slot before using it.";
    602 TooManySlots "too_many_slots" 429 Mend "The connection binds as many slots as it may.";
    603 ReadingPoison "reading_poison" 422 Mend "A value lies outside what its field can mean: the row is quarantined.";
    604 SeqConflict "seq_conflict" 409 Ask "This seq is stored with other content: the row is quarantined.";
    605 NotDecodable "not_decodable" 422 Mend "The bytes are not a record of this characteristic.";
    606 CharacteristicUnknown "characteristic_unknown" 422 Mend "This characteristic carries no readings: see docs/GATEWAY.md.";
    700 NotFound "not_found" 404 Refresh "There is no such thing in this tenant.";
    701 Conflict "conflict" 409 Refresh "It exists already with other content.";
    702 Unprocessable "unprocessable" 422 Mend "The body is well-formed and means nothing possible: the detail names the field.";
    703 MethodNotAllowed "method_not_allowed" 405 Mend "This path does not take this method.";
    704 NotAnActivity "not_an_activity" 422 Mend "Not a recorded activity in FIT or TCX: the detail says what it is instead.";
    705 ActivityDamaged "activity_damaged" 422 Mend "The file was cut or changed on its way, or does not keep to its format: export it again.";
    900 Unavailable "unavailable" 503 Retry "The store cannot answer now: live goes on; try again.";
    901 Overloaded "overloaded" 503 Retry "The hub has more work than it may hold: try again.";
    902 Internal "internal" 500 Retry "The hub failed at this: the log names the cause.";
    903 Draining "draining" 503 Retry "This node is going down: use another.";
}
