//! The core by itself: what a gateway says and keeps, without a socket.

use std::sync::Arc;

use protocol::frame::{
    Ack, Bound, ClaimClear, ClaimSet, HeldClaim, MachineKind, MachineReady, Resend, SlotAck, StopAnswer, StopMachine, StopStage,
};
use protocol::ftms::{Layout, Quirks, Stream};
use protocol::{SeqRanges, StopId};
use uuid::Uuid;

use super::*;
use crate::workout::Workout;

fn machine() -> MachineId {
    MachineId(Uuid::from_u128(7))
}

fn gateway(change: impl FnOnce(&mut MachineSpec)) -> Gateway {
    let mut spec = MachineSpec::new(machine(), MachineKind::Bike);
    change(&mut spec);
    let mut gateway = Gateway::new(vec![spec], 1.0, 0, 1_800_000_000_000, Mischief::default(), 1);
    gateway.connected();
    gateway.hear(&Bound { slot: 0 }.into(), 0);
    gateway.take_frames();
    gateway
}

fn play(gateway: &mut Gateway, until_ms: i64) -> Vec<ClientFrame> {
    let workout = Arc::new(Workout::shipped()[0].first(1_000));
    let now_ms = gateway.ticked_ms;
    gateway.at(machine(), |machine, out| machine.play(workout, 1.0, now_ms, out));
    run(gateway, until_ms)
}

fn run(gateway: &mut Gateway, until_ms: i64) -> Vec<ClientFrame> {
    let mut said = Vec::new();
    while gateway.ticked_ms < until_ms {
        gateway.tick(gateway.ticked_ms + 50);
        said.append(&mut gateway.take_frames());
    }
    said
}

fn stored(from: u32, to: u32) -> ServerFrame {
    Ack { acks: vec![SlotAck { slot: 0, accepted_through: to, stored: SeqRanges::from_iter([(from, to)]) }] }.into()
}

#[test]
fn raw_notifications_read_by_the_hubs_codec_make_the_rows_of_the_ledger() {
    for (layout, bytes_max) in [(Layout::Xml2017, 20), (Layout::Gss2024, 20), (Layout::Xml2017, 185)] {
        let mut gateway = gateway(|spec| spec.tongue = Tongue::Raw { layout, bytes_max });
        let (mut stream, mut rows) = (Stream::new(Quirks::default()), Vec::new());
        for frame in play(&mut gateway, 30_000) {
            if let ClientFrame::FtmsRaw(raw) = frame {
                stream.push(raw.seq, raw.dev_ms, raw.uuid, &raw.bytes.0, &mut rows).unwrap();
            }
        }
        stream.close(&mut rows);
        assert!(rows.len() >= 30, "{layout:?} {bytes_max}: {}", rows.len());
        let expected: Vec<_> = gateway.ledger().rows().iter().map(|row| (row.seq, row.dev_ms, row.said.clone())).collect();
        let read: Vec<_> = rows.iter().map(|row| (row.seq, row.dev_ms, Said::Reading(row.reading.clone()))).collect();
        assert_eq!(read, expected, "{layout:?} {bytes_max}");
    }
}

#[test]
fn nothing_leaves_the_buffer_before_it_is_stored_and_a_bind_lists_it() {
    let mut gateway = gateway(|_| ());
    play(&mut gateway, 10_000);
    gateway.hear(&stored(1, 4), 10_000);
    assert_eq!(gateway.buffered(), gateway.machines()[0].sources()[0].last_seq() as usize - 4);
    gateway.disconnected();
    run(&mut gateway, 15_000);
    gateway.connected();
    let last = gateway.machines()[0].sources()[0].last_seq();
    let bind = gateway.take_frames().into_iter().find_map(|frame| if let ClientFrame::Bind(bind) = frame { Some(bind) } else { None });
    assert_eq!(bind.unwrap().held, SeqRanges::from_iter([(5, last)]));
}

#[test]
fn after_a_break_live_goes_first_and_the_buffer_follows_at_the_rate_that_was_granted() {
    let mut gateway = gateway(|_| ());
    play(&mut gateway, 2_000);
    gateway.disconnected();
    run(&mut gateway, 302_000);
    gateway.connected();
    gateway.hear(&Bound { slot: 0 }.into(), 302_000);
    let last = gateway.machines()[0].sources()[0].last_seq();
    gateway.hear(&Resend { slot: 0, from: 1, to: last, rate: 100 }.into(), 302_000);
    let said = run(&mut gateway, 303_000);
    let live = said.iter().filter(|frame| matches!(frame, ClientFrame::Sample(sample) if sample.seq > last)).count();
    let backfilled: usize = said.iter().map(|frame| if let ClientFrame::Batch(batch) = frame { batch.columns.seq.len() } else { 0 }).sum();
    assert_eq!(live, 1);
    assert!((90..=110).contains(&backfilled), "{backfilled} in one second");
    let rest = run(&mut gateway, 310_000);
    let seqs: SeqRanges = said
        .iter()
        .chain(&rest)
        .filter_map(|frame| if let ClientFrame::Batch(batch) = frame { batch.columns.unpack().ok() } else { None })
        .flatten()
        .map(|(seq, ..)| seq)
        .collect();
    assert_eq!(seqs, SeqRanges::from_iter([(1, last)]));
}

#[test]
fn a_full_buffer_loses_its_oldest_and_says_so() {
    let mut gateway = gateway(|spec| spec.buffer_max = 10);
    let said = play(&mut gateway, 20_000);
    gateway.hear(&stored(11, 20), 20_000);
    let lost: SeqRanges =
        said.iter().filter_map(|frame| if let ClientFrame::Lost(lost) = frame { Some((lost.from, lost.to)) } else { None }).collect();
    assert_eq!(lost, *gateway.machines()[0].sources()[0].lost());
    assert!(lost.contains(1) && lost.count() >= 10, "{lost:?}");
}

#[test]
fn a_claim_survives_a_break_and_a_reboot_and_an_older_fence_has_no_power() {
    let mut gateway = gateway(|_| ());
    let claim = HeldClaim { member: Uuid::nil().into(), fence: 5, workout: Uuid::nil().into() };
    gateway.hear(&ClaimSet { machine: machine(), claim }.into(), 0);
    assert!(matches!(gateway.take_frames()[..], [ClientFrame::ClaimHeld(ref held)] if held.fence == 5));
    gateway.hear(&ClaimSet { machine: machine(), claim: HeldClaim { fence: 4, ..claim } }.into(), 0);
    gateway.hear(&ClaimClear { machine: machine(), fence: 4 }.into(), 0);
    gateway.hear(&StopMachine { machine: machine(), id: StopId(Uuid::nil()), fence: 4 }.into(), 0);
    assert!(gateway.take_frames().is_empty(), "orders under an older claim do nothing");
    gateway.disconnected();
    gateway.reboot(machine(), 1.0, 1_000);
    gateway.connected();
    let frames = gateway.take_frames();
    assert!(matches!(&frames[0], ClientFrame::MachineHello(hello) if hello.claim == Some(claim)));
    assert!(matches!(&frames[1], ClientFrame::Bind(bind) if bind.boot == 2 && bind.slot == 1), "{:?}", frames[1]);
    gateway.hear(&MachineReady { machine: machine(), claim: None }.into(), 1_000);
    assert_eq!(gateway.machines()[0].claim(), None, "the hub's word counts");
}

#[test]
fn a_stop_brings_readings_at_rest_and_then_silence() {
    let mut gateway = gateway(|_| ());
    play(&mut gateway, 5_000);
    let id = StopId(Uuid::from_u128(1));
    gateway.hear(&StopMachine { machine: machine(), id, fence: 0 }.into(), 5_000);
    let mut said = gateway.take_frames();
    said.append(&mut run(&mut gateway, 20_000));
    let stages: Vec<_> = said
        .iter()
        .filter_map(|frame| if let ClientFrame::StopAnswer(StopAnswer { answer, .. }) = frame { Some(*answer) } else { None })
        .collect();
    assert_eq!(stages, [StopStage::Received, StopStage::Confirmed, StopStage::Stopped]);
    let rests = said.iter().filter(|frame| matches!(frame, ClientFrame::Sample(sample) if sample.reading.values() == [0, 0])).count();
    assert_eq!(rests, 10);
    assert!(run(&mut gateway, 30_000).is_empty(), "an idle machine says nothing");
}
