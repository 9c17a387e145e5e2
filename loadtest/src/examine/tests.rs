//! The simulated gateway passes; one that breaks a rule is told which.

use std::sync::Arc;

use protocol::frame::MachineKind;
use protocol::ftms::Layout;

use super::*;
use crate::gateway::{Gateway, MachineSpec, Mischief, Tongue};
use crate::workout::Workout;

const UTC_MS: i64 = 1_800_000_000_000;

/// Runs gateway and examiner against each other without a socket; `spoil` may change what the gateway says.
fn examine(mut spoil: impl FnMut(ClientFrame) -> Option<ClientFrame>) -> Examiner {
    let machine = |number: u128| MachineId(Uuid::from_u128(number));
    let mut specs = vec![MachineSpec::new(machine(1), MachineKind::Bike), MachineSpec::new(machine(2), MachineKind::Rower)];
    specs[1].tongue = Tongue::Raw { layout: Layout::Xml2017, bytes_max: 20 };
    let mut gateway = Gateway::new(specs, 1.0, 0, UTC_MS, Mischief::default(), 1);
    let (hub, tenant) = (protocol::HubId(Uuid::from_u128(5)), protocol::TenantId(Uuid::from_u128(6)));
    let device = crate::Device::new(crate::DeviceKey::of_seed(&[3; 32]), protocol::DeviceId(Uuid::from_u128(7)), hub, tenant);
    let mut examiner = Examiner::new().with_device(ExamDevice { hub, tenant, key: *device.key().public() });
    let workout = Arc::new(Workout::shipped()[0].clone());
    for number in [1, 2] {
        gateway.at(machine(number), |machine, out| machine.play(workout.clone(), 1.0, 0, out));
    }
    let mut connected = false;
    for now_ms in (0..60_000).step_by(20) {
        if !connected {
            examiner.opened(now_ms);
            let hello = crate::peer::Options::enrolled(device.clone()).hello();
            for asked in examiner.hear(hello.into(), now_ms) {
                let ServerFrame::Challenge(challenge) = asked else { continue };
                let proof = device.prove(&challenge).map(ClientFrame::from).and_then(&mut spoil);
                proof.into_iter().for_each(|proof| drop(examiner.hear(proof, now_ms)));
            }
            gateway.connected();
            connected = true;
        }
        gateway.tick(now_ms);
        let mut said = Vec::new();
        for frame in gateway.take_frames().into_iter().filter_map(&mut spoil) {
            said.extend(examiner.hear(frame, now_ms));
        }
        said.extend(examiner.tick(now_ms));
        said.iter().for_each(|frame| gateway.hear(frame, now_ms));
        if examiner.wants_break() {
            examiner.closed(now_ms);
            gateway.disconnected();
            connected = false;
        }
        if examiner.is_over() {
            return examiner;
        }
    }
    examiner
}

fn broken(examiner: &Examiner) -> Vec<Rule> {
    let mut rules: Vec<Rule> = examiner.findings().iter().map(|finding| finding.rule).collect();
    rules.dedup();
    rules
}

#[test]
fn the_simulated_gateway_breaks_no_rule_and_every_rule_is_tried() {
    let examiner = examine(Some);
    assert_eq!(examiner.findings(), [], "{:#?}", examiner.findings());
    let untried: Vec<_> = Rule::ALL.iter().filter(|rule| !examiner.tried().contains(rule)).collect();
    assert!(untried.is_empty(), "{untried:?}");
    assert!(examiner.is_over());
}

#[test]
fn a_gateway_that_leaves_a_number_out_is_told() {
    let examiner = examine(|frame| match frame {
        ClientFrame::Sample(sample) if sample.seq == 4 => None,
        other => Some(other),
    });
    assert_eq!(broken(&examiner)[0], Rule::SeqByOne, "{:?}", examiner.findings());
}

#[test]
fn a_gateway_that_forgets_its_claim_and_its_nonce_is_told() {
    let mut connects = 0;
    let examiner = examine(|frame| match frame {
        ClientFrame::MachineHello(hello) => Some(MachineHello { claim: None, ..hello }.into()),
        ClientFrame::Bind(bind) => {
            connects += 1;
            Some(protocol::frame::Bind { nonce: connects, ..bind }.into())
        }
        other => Some(other),
    });
    assert!(broken(&examiner).contains(&Rule::ClaimKept), "{:?}", examiner.findings());
    assert!(broken(&examiner).contains(&Rule::BootAndNonce), "{:?}", examiner.findings());
}

#[test]
fn a_gateway_that_does_not_know_from_which_number_its_claim_counts_is_told() {
    for wrong in [None, Some(1)] {
        let examiner = examine(|frame| match frame {
            ClientFrame::Bind(bind) => Some(protocol::frame::Bind { claim_from_seq: wrong, ..bind }.into()),
            other => Some(other),
        });
        assert_eq!(broken(&examiner), [Rule::ClaimFrom], "{:?}", examiner.findings());
    }
}

#[test]
fn a_gateway_that_is_deaf_to_stops_and_clocks_is_told() {
    let examiner = examine(|frame| match frame {
        ClientFrame::StopAnswer(_) | ClientFrame::Clock(_) => None,
        other => Some(other),
    });
    assert_eq!(broken(&examiner), [Rule::ClockAnswered, Rule::StopHeard], "{:?}", examiner.findings());
}

#[test]
fn a_gateway_that_holds_nothing_is_told() {
    let examiner = examine(|frame| match frame {
        ClientFrame::Bind(bind) => Some(protocol::frame::Bind { held: protocol::SeqRanges::new(), ..bind }.into()),
        ClientFrame::Batch(_) => None,
        other => Some(other),
    });
    assert!(broken(&examiner).contains(&Rule::KeepUntilStored), "{:?}", examiner.findings());
    assert!(broken(&examiner).contains(&Rule::ResendAtRate), "{:?}", examiner.findings());
}

#[test]
fn a_device_that_signs_something_else_is_told() {
    let examiner = examine(|frame| match frame {
        ClientFrame::Prove(mut prove) => {
            prove.signature.0[5] ^= 1;
            Some(prove.into())
        }
        other => Some(other),
    });
    assert_eq!(broken(&examiner), [Rule::Proves], "{:?}", examiner.findings());
}
