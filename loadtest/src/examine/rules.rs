//! The rules of `docs/GATEWAY.md` that can be seen from the hub's side, by their numbers there.

macro_rules! rules {
    ($($number:literal $variant:ident $text:literal;)+) => {
        /// One rule of the contract.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Rule { $(#[doc = $text] $variant,)+ }

        impl Rule {
            /// All rules in order.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];
            /// Its number in the document.
            #[must_use]
            pub const fn number(self) -> &'static str { match self { $(Self::$variant => $number,)+ } }
            /// What it asks.
            #[must_use]
            pub const fn text(self) -> &'static str { match self { $(Self::$variant => $text,)+ } }
        }
    };
}

rules! {
    "G1" HelloFirst "The first frame is hello, within 10 s of connecting.";
    "G2" AnnounceThenBind "A machine is announced with machine_hello before it is bound; a slot is bound before it is used, and bound once.";
    "G3" SeqByOne "Within a boot seq starts at 1 and rises by one for each reading or notification.";
    "G4" SameAgain "What is sent again under a seq is what was sent before.";
    "G5" Monotonic "Device time does not run backwards within a boot.";
    "G6" BootAndNonce "A boot keeps its nonce; another start is a higher boot with another nonce.";
    "G7" KeepUntilStored "What was not told to be stored is in the next bind's held, or declared lost.";
    "G8" LiveFirst "After a connect new readings come at once; what is held is sent only when asked for.";
    "G9" ResendAtRate "What resend asks for is sent again or declared lost, no faster than its rate.";
    "G10" HoldGoesOn "Under hold live readings go on.";
    "G11" ClockAnswered "clock_ask is answered within a second, asked_at_ms unchanged.";
    "G12" ClaimHeld "claim_set is answered with claim_held.";
    "G13" ClaimKept "The claim is kept through a break and told in machine_hello.";
    "G14" StaleFence "A command under an older fence is not carried out.";
    "G15" CommandExpires "A command that has run out by the machine's clock is answered expired and not carried out.";
    "G16" StopHeard "stop_machine is answered received within 250 ms, and again for each repeat.";
    "G17" StopEnds "A stop ends confirmed, stopped or refused, or stays received where the machine is mute.";
    "G18" ComesBack "After a break the gateway connects again within 30 s.";
    "G19" Decodable "Every frame decodes, within its limits.";
    "G20" Proves "A device that is enrolled answers each challenge with a signature that fits it.";
    "G21" ClaimFrom "Under a claim that is kept through a break, bind tells from which number on it counts.";
}
