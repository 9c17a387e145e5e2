//! The built-in issuer and the personas.

use std::os::unix::fs::PermissionsExt;

use protocol::frame::Role;

use super::super::{BuiltInIssuer, IssuerError, personas};
use super::*;

fn with(built_in: Option<&BuiltInIssuer>, open: bool) -> Verifier {
    Verifier::new(&auth(vec![]), built_in, open, Arc::new(Revocations::default())).unwrap()
}

#[test]
fn its_tokens_are_good_here_and_nowhere_else() {
    let (one, other) = (BuiltInIssuer::in_memory().unwrap(), BuiltInIssuer::in_memory().unwrap());
    for persona in personas::ALL {
        let token = one.token(&persona.request(AT_MS, 60_000)).unwrap();
        let identity = with(Some(&one), false).verify(&token, AT_MS).unwrap();
        assert_eq!(
            (identity.viewer.role, identity.viewer.subject, identity.viewer.tenant),
            (persona.role, persona.subject, personas::TENANT)
        );
        assert_eq!((identity.issued_at_ms, identity.expires_at_ms), (AT_MS, AT_MS + 60_000));
        assert_eq!(with(Some(&other), false).verify(&token, AT_MS), Err(AuthError::UnknownKey));
        assert_eq!(with(None, false).verify(&token, AT_MS), Err(AuthError::UnknownIssuer));
    }
}

#[test]
fn its_key_is_kept_and_only_its_owner_reads_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("issuer.p8");
    let token = BuiltInIssuer::in_file(&path).unwrap().token(&personas::ALL[0].request(AT_MS, 60_000)).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let again = BuiltInIssuer::in_file(&path).unwrap();
    assert!(with(Some(&again), false).verify(&token, AT_MS).is_ok());
    std::fs::write(&path, "no key").unwrap();
    assert!(matches!(BuiltInIssuer::in_file(&path), Err(IssuerError::NotAKey(_))));
}

#[test]
fn two_processes_that_start_at_once_share_one_key() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("issuer.p8");
    let kids: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(|| BuiltInIssuer::in_file(&path).map(|issuer| issuer.kid().to_owned()))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap().unwrap()).collect()
    });
    assert!(kids.iter().all(|kid| *kid == kids[0]), "{kids:?}");
}

#[test]
fn a_persona_is_let_in_by_name_only_where_auth_is_open() {
    assert_eq!(with(None, true).verify("operator", AT_MS).unwrap().viewer.role, Role::Operator);
    assert!(matches!(with(None, false).verify("operator", AT_MS), Err(AuthError::Malformed(_))));
    assert!(matches!(with(None, true).verify("nobody", AT_MS), Err(AuthError::Malformed(_))));
}
