//! Facts into their tables, in order, each idempotent.
//!
//! A fact that the database refuses does not hold up the others: the batch is written again one by one, and the refused fact is put to
//! quarantine in words.

use protocol::ErrorCode;
use protocol::frame::{Event, EventBody, MachineFault, SetDetail};
use protocol::text::Text;
use protocol::{GymId, MemberId, RoomName};

use super::boots::Known;
use super::erased;
use super::late::UNDER_WAY_AT_MS;
use super::sources::ERASED;
use crate::canonical;
use crate::db::{Conn, Value, Wire, values};
use crate::error::StoreError;
use crate::model::{Fact, WorkoutRange};
use crate::open::now_ms;
use crate::words::{json, word};

const DO: &str = "write facts";
/// Serialises the nodes' inserts into `events`, so that a cursor once passed has nothing behind it; any number of our own.
const EVENTS_LOCK: i64 = 0x5370_6f74_7465_7203;

/// Writes all in one transaction.
pub(crate) async fn write_all(wire: &mut Wire, known: &mut Known, facts: &[Fact]) -> Result<(), StoreError> {
    number_sources(wire, known, facts).await?;
    wire.begin(DO).await?;
    let mut conn = wire.conn();
    let dropped = erased::drop_those(&mut conn, known, facts).await?;
    if conn.is_postgres() && facts.iter().any(|fact| matches!(fact, Fact::Event { .. })) {
        conn.fetch(DO, "select pg_advisory_xact_lock($1)", &values![EVENTS_LOCK]).await?;
    }
    for (place, fact) in facts.iter().enumerate() {
        // What was on its way while its member was erased goes nowhere.
        if !dropped.contains(&place) {
            write(&mut conn, known, fact).await?;
        }
    }
    wire.commit(DO).await
}

/// Writes each in a transaction of its own; returns how many were refused.
pub(crate) async fn write_each(wire: &mut Wire, known: &mut Known, facts: &[Fact]) -> Result<usize, StoreError> {
    let mut refused = 0;
    for fact in facts {
        match write_all(wire, known, std::slice::from_ref(fact)).await {
            Ok(()) => {}
            Err(StoreError::Refused { source, .. }) => {
                wire.conn().script(DO, "rollback").await?;
                quarantine(&mut wire.conn(), fact, &source.to_string()).await?;
                refused += 1;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(refused)
}

async fn quarantine(conn: &mut Conn<'_>, fact: &Fact, detail: &str) -> Result<(), StoreError> {
    let content = format!("{fact:?}").into_bytes();
    let fingerprint = canonical::fingerprint(&content);
    let sql = "insert into quarantine (source, boot, seq, code, detail, content, fingerprint, received_at_ms)
         values (null, 0, 0, $1, $2, $3, $4, $5)";
    let params = values![ErrorCode::Unprocessable.code(), detail, content, fingerprint, now_ms()];
    conn.execute("put a fact to quarantine", sql, &params).await.map(drop)
}

async fn number_sources(wire: &mut Wire, known: &mut Known, facts: &[Fact]) -> Result<(), StoreError> {
    for fact in facts {
        if let Fact::WorkoutRange { range, .. } = fact {
            known.sources.number(wire, &range.source).await?;
        }
    }
    Ok(())
}

async fn write(conn: &mut Conn<'_>, known: &Known, fact: &Fact) -> Result<(), StoreError> {
    let (sql, params): (&'static str, Vec<Value>) = match fact {
        Fact::Claim { gym, machine, member, fence, workout, may_control, at_ms } => (
            "insert into claims (machine, fence, gym, member, workout, may_control, granted_at_ms) values ($1, $2, $3, $4, $5, $6, $7)
             on conflict (machine, fence) do update set gym = excluded.gym, member = excluded.member, workout = excluded.workout,
             may_control = excluded.may_control, granted_at_ms = excluded.granted_at_ms where claims.member is null",
            values![*machine, fence_of(*fence), *gym, *member, *workout, *may_control, *at_ms].into(),
        ),
        Fact::ClaimEnded { machine, fence, reason, at_ms } => (
            "insert into claims (machine, fence, ended_at_ms, reason) values ($1, $2, $3, $4)
             on conflict (machine, fence) do update set ended_at_ms = excluded.ended_at_ms, reason = excluded.reason
             where claims.ended_at_ms is null",
            values![*machine, fence_of(*fence), *at_ms, word(reason)].into(),
        ),
        Fact::Visit { visit, gym, member, state, started_at_ms, ended_at_ms, machines } => {
            for machine in machines {
                let sql = "insert into visit_machines (visit, machine) values ($1, $2) on conflict do nothing";
                conn.execute(DO, sql, &values![*visit, *machine]).await?;
            }
            (
                "insert into visits (visit, gym, member, state, started_at_ms, ended_at_ms) values ($1, $2, $3, $4, $5, $6)
                 on conflict (visit) do update set state = excluded.state, ended_at_ms = excluded.ended_at_ms where visits.state = 'active'",
                values![*visit, *gym, *member, word(state), *started_at_ms, *ended_at_ms].into(),
            )
        }
        Fact::Workout { workout, gym, member, visit, stage, started_at_ms, ended_at_ms } => (
            "insert into workouts (workout, gym, member, visit, stage, started_at_ms, ended_at_ms) values ($1, $2, $3, $4, $5, $6, $7)
             on conflict (workout) do update set stage = excluded.stage, ended_at_ms = coalesce(excluded.ended_at_ms, workouts.ended_at_ms),
             started_at_ms = case when excluded.started_at_ms < workouts.started_at_ms then excluded.started_at_ms else workouts.started_at_ms end
             where workouts.stage <> 'sealed' and (workouts.stage <> 'ended' or excluded.stage in ('ended', 'sealed'))",
            values![*workout, *gym, *member, *visit, word(stage), *started_at_ms, *ended_at_ms].into(),
        ),
        Fact::WorkoutRange { workout, range } => return workout_range(conn, known, *workout, range).await,
        Fact::Totals { workout, revision, totals } => {
            // A mark of what came since these were added up stays.
            let sql = "update workouts set stage = 'sealed', revision = $2, late_at_ms = nullif(late_at_ms, $3)
                 where workout = $1 and (revision is null or revision < $2)";
            conn.execute(DO, sql, &values![*workout, *revision, UNDER_WAY_AT_MS]).await?;
            (
                "insert into workout_totals (workout, revision, totals, at_ms) values ($1, $2, $3, $4) on conflict do nothing",
                values![*workout, *revision, json(totals), now_ms()].into(),
            )
        }
        Fact::Event { gym, room, member, event } => return write_event(conn, *gym, *room, *member, event).await,
        Fact::BoardScore { board, workout, member, base, score } => (
            "insert into board_scores (board, workout, member, base, score) values ($1, $2, $3, $4, $5)
             on conflict (board, workout) do update set score = excluded.score where excluded.score is not null",
            values![*board, *workout, *member, *base, *score].into(),
        ),
        Fact::Ticket { gym, machine, ticket, severity, fault, at_ms } => (
            "insert into tickets (ticket, gym, machine, severity, text, opened_at_ms) values ($1, $2, $3, $4, $5, $6) on conflict do nothing",
            values![*ticket, *gym, *machine, word(severity), &fault_text(fault), *at_ms].into(),
        ),
        Fact::Maintenance { machine, open, text, at_ms } => (
            "insert into maintenance (machine, open, text, at_ms) values ($1, $2, $3, $4) on conflict do nothing",
            values![*machine, *open, text, *at_ms].into(),
        ),
        Fact::LoggedSet { id, workout, member, logged_at_ms, set } => {
            let mut params: Vec<Value> = values![*id, *workout, *member, *logged_at_ms].into();
            params.extend(set_params(set));
            (
                "insert into logged_sets (id, workout, member, logged_at_ms, set_no, target_reps, reps, load_hg, seconds, rest_s, exercise,
                 tempo, note) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) on conflict do nothing",
                params,
            )
        }
        Fact::Stop { gym, machine, stop, outcome, code, at_ms } => (
            "insert into stops (stop, gym, machine, outcome, code, at_ms) values ($1, $2, $3, $4, $5, $6)
             on conflict (stop) do update set outcome = excluded.outcome, code = excluded.code, at_ms = excluded.at_ms
             where excluded.at_ms > stops.at_ms",
            values![*stop, *gym, *machine, word(outcome), *code, *at_ms].into(),
        ),
        Fact::AddUp { .. } => return Ok(()),
    };
    conn.execute(DO, sql, &params).await.map(drop)
}

/// A stretch that is added to a workout, sealed or under way, makes it late, like a row would.
async fn workout_range(conn: &mut Conn<'_>, known: &Known, workout: protocol::WorkoutId, range: &WorkoutRange) -> Result<(), StoreError> {
    let Some(source) = known.sources.get(&range.source) else { return Err(StoreError::Stale { operation: DO }) };
    if source == ERASED {
        return Ok(());
    }
    let sql = "insert into workout_ranges (workout, source, boot, from_seq, to_seq) values ($1, $2, $3, $4, $5)
         on conflict (workout, source, boot, from_seq) do update set to_seq = excluded.to_seq
         where workout_ranges.to_seq <> excluded.to_seq";
    // A stretch that reaches further back than before stands under another key: it takes the place of what it covers.
    let covered = "delete from workout_ranges where workout = $1 and source = $2 and boot = $3 and from_seq > $4 and from_seq <= $5";
    conn.execute(DO, covered, &values![workout, source, range.boot, range.from_seq, range.to_seq]).await?;
    let changed = conn.execute(DO, sql, &values![workout, source, range.boot, range.from_seq, range.to_seq]).await?;
    if changed == 0 {
        return Ok(());
    }
    // Of a workout that nobody added up the row is written all the same: an adding up that begins just now waits for this stretch.
    let late =
        "update workouts set late_at_ms = case when revision is null and late_at_ms is null then null else $2 end where workout = $1";
    conn.execute(DO, late, &values![workout, now_ms()]).await.map(drop)
}

async fn write_event(conn: &mut Conn<'_>, gym: GymId, room: RoomName, member: Option<MemberId>, event: &Event) -> Result<(), StoreError> {
    let sql =
        "insert into events (id, gym, room, member, kind, at_ms, event) values ($1, $2, $3, $4, $5, $6, $7) on conflict (id) do nothing";
    let params = values![event.id, gym, room.to_string(), member, kind_of(&event.body), event.at_ms, json(event)];
    conn.execute(DO, sql, &params).await?;
    if let (EventBody::Achievement { name }, Some(member)) = (&event.body, member) {
        let sql = "insert into achievements (member, gym, name, at_ms) values ($1, $2, $3, $4) on conflict do nothing";
        conn.execute(DO, sql, &values![member, gym, name, event.at_ms]).await?;
    }
    Ok(())
}

/// The key of the body's JSON object.
fn kind_of(body: &EventBody) -> String {
    match serde_json::to_value(body) {
        Ok(serde_json::Value::Object(object)) => object.keys().next().cloned().unwrap_or_default(),
        Ok(serde_json::Value::String(word)) => word,
        _ => String::new(),
    }
}

fn fault_text(fault: &MachineFault) -> Text<256> {
    let mut text = fault.code.to_string();
    for more in [fault.subsystem.as_deref(), fault.text.as_deref()].into_iter().flatten() {
        text.push_str(": ");
        text.push_str(more);
    }
    Text::cut(&text)
}

/// Set columns in the order `set_no, target_reps, reps, load_hg, seconds, rest_s, exercise, tempo, note`.
fn set_params(set: &SetDetail) -> [Value; 9] {
    values![
        set.set,
        set.target_reps,
        set.reps,
        set.load_hg,
        set.seconds,
        set.rest_s,
        set.exercise.as_ref(),
        set.tempo.as_ref(),
        set.note.as_ref(),
    ]
}

/// Fences are `start << 24 + n` and stay far below the sign bit.
fn fence_of(fence: u64) -> i64 {
    i64::try_from(fence).unwrap_or(i64::MAX)
}
