//! The table against every role, every action, and things of one's own and of others.

use super::*;

const TENANT: TenantId = TenantId(Uuid::from_u128(1));
const OTHER_TENANT: TenantId = TenantId(Uuid::from_u128(2));
const GYM: GymId = GymId(Uuid::from_u128(3));
const TEAM: TeamId = TeamId(Uuid::from_u128(4));
const ME: Uuid = Uuid::from_u128(5);
const OTHER: Uuid = Uuid::from_u128(6);

fn viewer(role: Role) -> Viewer {
    Viewer { tenant: TENANT, role, subject: ME, gyms: vec![GYM], teams: vec![TEAM] }
}

/// Everything about the object fits the viewer.
fn mine() -> Object<'static> {
    Object {
        tenant: Some(TENANT),
        gym: Some(GYM),
        member: Some(MemberId(ME)),
        teams: &[TEAM],
        machine: Some(MachineId(ME)),
        gateway: Some(GatewayId(ME)),
        holder: Some(MemberId(ME)),
        watching: true,
    }
}

#[test]
fn nothing_of_another_tenant_exists_for_any_role_and_action() {
    for role in Role::ALL {
        for action in Action::ALL {
            for tenant in [Some(OTHER_TENANT), None] {
                assert_eq!(allows(&viewer(role), *action, &Object { tenant, ..mine() }), Err(ErrorCode::NotFound), "{role:?} {action:?}");
            }
        }
    }
}

#[test]
fn what_is_not_known_of_an_object_allows_nothing_but_what_the_tenant_alone_allows() {
    let unknown = Object { tenant: Some(TENANT), ..Object::default() };
    for role in Role::ALL {
        for action in Action::ALL {
            let expected = if action.rule(role) == Rule::Tenant { Ok(()) } else { Err(ErrorCode::Forbidden) };
            assert_eq!(allows(&viewer(role), *action, &unknown), expected, "{role:?} {action:?}");
        }
    }
}

#[test]
fn each_rule_is_broken_by_the_one_thing_it_asks_for() {
    for role in Role::ALL {
        for action in Action::ALL {
            let rule = action.rule(role);
            let expected = if rule == Rule::No { Err(ErrorCode::Forbidden) } else { Ok(()) };
            assert_eq!(allows(&viewer(role), *action, &mine()), expected, "{role:?} {action:?}");
            let other = match rule {
                Rule::No | Rule::Tenant => continue,
                Rule::SameGym => Object { gym: Some(GymId(OTHER)), ..mine() },
                Rule::SameTeam => Object { teams: &[], ..mine() },
                Rule::TeamWatching => Object { watching: false, ..mine() },
                Rule::Own => Object { member: Some(MemberId(OTHER)), ..mine() },
                Rule::Holder => Object { holder: Some(MemberId(OTHER)), ..mine() },
                Rule::OwnMachine => Object { machine: Some(MachineId(OTHER)), gateway: Some(GatewayId(OTHER)), ..mine() },
            };
            assert_eq!(allows(&viewer(role), *action, &other), Err(ErrorCode::Forbidden), "{role:?} {action:?}");
        }
    }
}

#[test]
fn every_client_frame_has_its_row() {
    for frame in protocol::ClientFrame::TABLE {
        assert!(Action::ALL.iter().any(|action| action.name() == frame.name), "{} has no row", frame.name);
    }
}

#[test]
fn a_display_writes_nothing() {
    for action in Action::ALL {
        let reads = action.name().contains("room.") || action.name().ends_with(".read") || action.group() == "frame, the session itself";
        assert!(action.rule(Role::Display) == Rule::No || reads, "{action:?}");
    }
}

#[test]
fn an_operator_sees_no_workout_and_no_health_data() {
    for action in [Action::RoomWorkout, Action::RoomMember, Action::HttpWorkoutRead, Action::HttpSampleRead, Action::HttpVisitRead] {
        assert_eq!(action.rule(Role::Operator), Rule::No, "{action:?}");
    }
}

#[test]
fn the_document_says_what_the_table_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/RIGHTS.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, document()).expect("docs/ is writable");
    }
    assert_eq!(std::fs::read_to_string(path).expect("docs/RIGHTS.md is there"), document(), "run with UPDATE_DOCS=1");
}
