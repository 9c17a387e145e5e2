//! The rule in examples, then against many lives of one honest device and of two copies.

use proptest::prelude::*;
use uuid::Uuid;

use super::*;

fn socket(n: u128) -> SessionId {
    SessionId(Uuid::from_u128(n))
}

fn opened(twins: &mut Twins, n: u128, resumes: Option<u128>, mono_ms: i64) -> Vec<Verdict> {
    let mut out = Vec::new();
    twins.opened(socket(n), resumes.map(socket), mono_ms, &mut out);
    out
}

fn answered(twins: &mut Twins, n: u128) -> Vec<Verdict> {
    let mut out = Vec::new();
    twins.answered(socket(n), &mut out);
    out
}

fn look(twins: &mut Twins, mono_ms: i64) -> Vec<Verdict> {
    let mut out = Vec::new();
    twins.look(mono_ms, &mut out);
    out
}

#[test]
fn the_ticket_of_the_old_socket_closes_it_without_a_question() {
    let mut twins = Twins::default();
    assert_eq!(opened(&mut twins, 1, None, 0), []);
    assert_eq!(opened(&mut twins, 2, Some(1), 0), [Verdict::Over(socket(1))]);
    assert!(!twins.is_asking());
}

#[test]
fn a_half_open_socket_is_asked_and_is_over_when_it_says_nothing() {
    let mut twins = Twins::default();
    opened(&mut twins, 1, None, 0);
    assert_eq!(opened(&mut twins, 2, None, 10), [Verdict::Ask(socket(1))]);
    assert_eq!(look(&mut twins, 10 + ANSWER_MS - 1), []);
    assert_eq!(look(&mut twins, 10 + ANSWER_MS), [Verdict::Over(socket(1))]);
    assert_eq!(twins.sockets().collect::<Vec<_>>(), [socket(2)]);
}

#[test]
fn an_answer_of_the_older_socket_flags_both() {
    let mut twins = Twins::default();
    opened(&mut twins, 1, None, 0);
    opened(&mut twins, 2, None, 10);
    assert_eq!(answered(&mut twins, 2), [], "nobody asked the newer one");
    assert_eq!(answered(&mut twins, 1), [Verdict::Cloned(vec![socket(1), socket(2)])]);
    assert!(twins.is_empty());
}

#[test]
fn a_copy_that_took_the_ticket_too_is_found_when_the_first_comes_back() {
    let mut twins = Twins::default();
    opened(&mut twins, 1, None, 0);
    assert_eq!(opened(&mut twins, 2, Some(1), 10), [Verdict::Over(socket(1))]);
    // The first comes back with the ticket of the socket that it lost.
    assert_eq!(opened(&mut twins, 3, Some(1), 20), [Verdict::Ask(socket(2))]);
    assert_eq!(answered(&mut twins, 2), [Verdict::Cloned(vec![socket(2), socket(3)])]);
}

#[test]
fn a_socket_that_says_goodbye_first_was_no_copy() {
    let mut twins = Twins::default();
    opened(&mut twins, 1, None, 0);
    opened(&mut twins, 2, None, 10);
    twins.ended(socket(1));
    assert_eq!(answered(&mut twins, 1), []);
    assert_eq!(look(&mut twins, i64::MAX), []);
}

/// What an end does next: how long it waits, whether the hub notices its last connection's end at once, whether it kept the ticket.
#[derive(Debug, Clone, Copy)]
struct Come {
    after_ms: i64,
    noticed: bool,
    ticket: bool,
}

fn come() -> impl Strategy<Value = Come> {
    (0..10_000_i64, any::<bool>(), any::<bool>()).prop_map(|(after_ms, noticed, ticket)| Come { after_ms, noticed, ticket })
}

/// Sockets of some ends on one time line: an end answers on its newest socket only, and only while the hub has not closed it.
struct World {
    twins: Twins,
    /// The socket that each end reads now.
    reads: Vec<Option<SessionId>>,
    flagged: Option<i64>,
    /// Questions of sockets whose far end lives are answered after this time.
    trip_ms: i64,
    waiting: Vec<(i64, SessionId)>,
    now_ms: i64,
    next: u128,
}

impl World {
    fn new(ends: usize, trip_ms: i64) -> Self {
        Self { twins: Twins::default(), reads: vec![None; ends], flagged: None, trip_ms, waiting: Vec::new(), now_ms: 0, next: 1 }
    }

    fn judge(&mut self, verdicts: Vec<Verdict>) {
        for verdict in verdicts {
            match verdict {
                Verdict::Ask(session) if self.reads.contains(&Some(session)) => self.waiting.push((self.now_ms + self.trip_ms, session)),
                Verdict::Ask(_) => (),
                Verdict::Over(session) => self.close(session),
                Verdict::Cloned(all) => {
                    self.flagged.get_or_insert(self.now_ms);
                    all.into_iter().for_each(|session| self.close(session));
                }
            }
        }
    }

    fn close(&mut self, session: SessionId) {
        self.reads.iter_mut().filter(|reads| **reads == Some(session)).for_each(|reads| *reads = None);
    }

    fn pass(&mut self, until_ms: i64) {
        while self.now_ms < until_ms {
            self.now_ms = until_ms.min(self.now_ms + 50);
            let due: Vec<SessionId> = self.waiting.extract_if(.., |(at, _)| *at <= self.now_ms).map(|(_, session)| session).collect();
            for session in due {
                if self.reads.contains(&Some(session)) {
                    let verdicts = answered(&mut self.twins, session.0.as_u128());
                    self.judge(verdicts);
                }
            }
            let verdicts = look(&mut self.twins, self.now_ms);
            self.judge(verdicts);
        }
    }

    /// An end leaves its socket and opens another.
    fn come(&mut self, end: usize, come: Come) {
        let before = self.reads[end].take();
        if let Some(before) = before.filter(|_| come.noticed) {
            self.twins.ended(before);
        }
        let session = self.next;
        self.next += 1;
        self.reads[end] = Some(socket(session));
        let verdicts = opened(&mut self.twins, session, before.filter(|_| come.ticket).map(|before| before.0.as_u128()), self.now_ms);
        self.judge(verdicts);
    }
}

proptest! {
    #[test]
    fn one_device_is_never_flagged_however_its_links_break(comes in prop::collection::vec(come(), 1..30), trip_ms in 0..ANSWER_MS) {
        let mut world = World::new(1, trip_ms);
        for come in comes {
            world.pass(world.now_ms + come.after_ms);
            world.come(0, come);
        }
        world.pass(world.now_ms + 2 * ANSWER_MS);
        prop_assert_eq!(world.flagged, None);
        let last = world.reads[0];
        prop_assert_eq!(world.twins.sockets().map(Some).collect::<Vec<_>>(), vec![last], "the newest stands, and it alone");
    }

    #[test]
    fn two_copies_that_run_at_once_are_flagged_in_time(first in prop::collection::vec(come(), 0..6), gap_ms in 0..30_000_i64,
        second in come(), trip_ms in 0..ANSWER_MS - 100) {
        let mut world = World::new(2, trip_ms);
        world.come(0, Come { after_ms: 0, noticed: true, ticket: false });
        for come in first {
            world.pass(world.now_ms + come.after_ms);
            world.come(0, come);
        }
        world.pass(world.now_ms + gap_ms);
        let began_ms = world.now_ms;
        world.come(1, second);
        world.pass(began_ms + ANSWER_MS);
        prop_assert!(world.flagged.is_some_and(|at| at <= began_ms + ANSWER_MS), "{:?}", world.flagged);
        prop_assert!(world.twins.is_empty(), "no socket of a flagged device stands");
    }

    #[test]
    fn every_question_ends(comes in prop::collection::vec((0..3_usize, come()), 1..40), trip_ms in 0..2 * ANSWER_MS) {
        let mut world = World::new(3, trip_ms);
        for (end, come) in comes {
            world.pass(world.now_ms + come.after_ms);
            world.come(end, come);
        }
        world.pass(world.now_ms + ANSWER_MS);
        prop_assert!(!world.twins.is_asking());
    }
}
