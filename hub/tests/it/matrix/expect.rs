//! What is expected, in a letter for each role: who asks, and where they stand towards the thing.
//!
//! Written from what people and things are for (a wall reads the floor, an operator runs it and sees no health data, a
//! coach has the members of their teams, a gateway its own machines), not from the hub's table: where the two differ,
//! one of them is wrong. Everything that is asked is counted, and every difference is listed.

use protocol::frame::Role;

/// Where the one who asks stands towards what is asked for: a gym, a member of a team, a machine of a gateway.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stance {
    /// Of this gym; the person, the coach of the team, the gateway of the machine.
    Own,
    /// The same person or thing, with a token for another gym.
    OtherGym,
    /// Of this gym; another member, the coach of another team, another gateway.
    OtherPerson,
    /// Of another tenant.
    OtherTenant,
    /// Of another tenant, whose token names the gym, the team and the subject of this one.
    StolenIds,
}

impl Stance {
    /// All of them.
    pub(super) const ALL: [Self; 5] = [Self::Own, Self::OtherGym, Self::OtherPerson, Self::OtherTenant, Self::StolenIds];

    /// Whether the token is of another tenant.
    pub(super) const fn foreign(self) -> bool {
        matches!(self, Self::OtherTenant | Self::StolenIds)
    }
}

/// Whether a letter lets a stance.
///
/// `-` nobody; `g` people of the gym; `p` the person, their coach, its gateway, in whatever gym; `x` anybody of the tenant; `s` anybody,
/// about themselves in a gym of theirs; `a` anybody.
pub(super) fn lets(letter: char, stance: Stance) -> bool {
    use Stance::{OtherGym, OtherPerson, OtherTenant, Own};
    match letter {
        '-' => false,
        'g' => matches!(stance, Own | OtherPerson),
        'p' => matches!(stance, Own | OtherGym),
        'x' => matches!(stance, Own | OtherGym | OtherPerson),
        's' => matches!(stance, Own | OtherGym | OtherPerson | OtherTenant),
        'a' => true,
        other => panic!("no such letter: {other}"),
    }
}

/// Whether a row of eight letters, in the order of [`Role::ALL`], lets a role in a stance.
pub(super) fn expected(row: &str, role: Role, stance: Stance) -> bool {
    let letters: Vec<char> = row.chars().filter(|letter| !letter.is_whitespace()).collect();
    assert_eq!(letters.len(), Role::ALL.len(), "one letter a role: {row}");
    lets(letters[role as usize], stance)
}

/// Everybody.
pub(super) fn everybody() -> impl Iterator<Item = (Role, Stance)> {
    Role::ALL.into_iter().flat_map(|role| Stance::ALL.map(|stance| (role, stance)))
}

/// What came of all the asking.
#[derive(Default)]
pub(super) struct Tally {
    asked: usize,
    allowed: usize,
    wrong: Vec<String>,
}

impl Tally {
    /// Notes one answer.
    pub(super) fn note(&mut self, what: &str, (role, stance): (Role, Stance), wanted: bool, allowed: bool, told: &str) {
        self.asked += 1;
        self.allowed += usize::from(allowed);
        if wanted != allowed {
            let which = if allowed { "unexpected allow" } else { "unexpected denial" };
            self.wrong.push(format!("{which}: {what} by {}, {stance:?}: {told}", role.name()));
        }
    }

    /// Notes something that is wrong whoever asked.
    pub(super) fn fault(&mut self, what: String) {
        self.wrong.push(what);
    }

    /// Fails with everything that was not as expected.
    #[expect(clippy::print_stdout, reason = "the counts are what the test is asked for")]
    pub(super) fn end(self, what: &str, least: usize) {
        let Self { asked, allowed, wrong } = self;
        println!("{what}: {asked} asked, {allowed} allowed, {} not as expected", wrong.len());
        assert!(wrong.is_empty(), "{} of {asked} are not as expected:\n{}", wrong.len(), wrong.join("\n"));
        assert!(asked >= least && allowed > 0 && allowed < asked, "{asked} asked, {allowed} allowed");
    }
}
