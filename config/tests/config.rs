//! What an operator reads when the configuration is wrong, and what holds when it is right.

use std::time::Duration;

use config::{Config, Keys, Origin, Profile, Proxy, ShardCount, Sources, StoreTarget, load, show};

fn with_file(profile: Profile, text: &str) -> (tempfile::TempDir, Sources) {
    let folder = tempfile::tempdir().expect("a folder for the test");
    let file = folder.path().join("spotter.toml");
    std::fs::write(&file, text).expect("a file in it");
    let sources = Sources { file: Some(file), ..Sources::of(profile) };
    (folder, sources)
}

/// The sentences for a file, without the folder's name.
fn sentences(profile: Profile, text: &str) -> Vec<String> {
    let (folder, sources) = with_file(profile, text);
    let prefix = format!("{}/", folder.path().display());
    match load(&sources) {
        Ok(_) => Vec::new(),
        Err(error) => error.problems.iter().map(|problem| problem.to_string().replace(&prefix, "")).collect(),
    }
}

fn in_environment(name: &str, value: &str) -> Result<Config, config::ConfigError> {
    load(&Sources { environment: vec![(name.to_owned(), value.to_owned())], ..Sources::of(Profile::Production) })
}

#[test]
fn the_defaults_of_both_profiles_hold() {
    let production = load(&Sources::of(Profile::Production)).unwrap();
    assert_eq!(production.listen.address.to_string(), "127.0.0.1:8080");
    assert_eq!(production.session.heartbeat, Duration::from_secs(25));
    assert_eq!(production.shards.count, ShardCount::Auto);
    assert!(!production.dev.built_in_issuer && !production.dev.raw_echo);
    let dev = load(&Sources::of(Profile::Dev)).unwrap();
    assert!(dev.dev.built_in_issuer && dev.dev.raw_echo && !dev.dev.open_auth);
}

#[test]
fn the_defaults_are_the_limits_of_the_protocol() {
    let config = load(&Sources::of(Profile::Production)).unwrap();
    assert_eq!(config.limits.message_bytes, protocol::limits::MESSAGE_BYTES_MAX);
    assert_eq!(config.limits.hello_bytes, protocol::limits::HELLO_BYTES_MAX);
    assert_eq!(config.session.heartbeat, Duration::from_millis(protocol::limits::HEARTBEAT_MS));
    assert_eq!(config.session.pong_timeout, Duration::from_millis(protocol::limits::HEARTBEAT_GRACE_MS));
}

#[test]
fn a_file_wins_over_defaults_the_environment_over_the_file_and_a_flag_over_all() {
    let (_folder, mut sources) = with_file(Profile::Production, "[log]\nlevel = \"warn\"\n[session]\nheartbeat = \"20s\"");
    assert_eq!(load(&sources).unwrap().log.level, "warn");
    sources.environment = vec![("SPOTTER_LOG__LEVEL".into(), "debug".into())];
    assert_eq!(load(&sources).unwrap().log.level, "debug");
    let sources = sources.set("log.level=trace").unwrap();
    let config = load(&sources).unwrap();
    assert_eq!((config.log.level.as_str(), config.session.heartbeat), ("trace", Duration::from_secs(20)));
}

#[test]
fn a_misspelled_key_is_named_with_the_right_one() {
    assert_eq!(
        sentences(Profile::Production, "[session]\nheartbeet = \"20s\""),
        ["session.heartbeet (file spotter.toml) is no key: did you mean `heartbeat`?"]
    );
    assert_eq!(sentences(Profile::Production, "[sesion]\nx = 1"), ["sesion (file spotter.toml) is no table: did you mean `session`?"]);
    let error = in_environment("SPOTTER_LISTEN__ADRESS", "0.0.0.0:1").unwrap_err();
    assert_eq!(error.problems[0].to_string(), "listen.adress (environment SPOTTER_LISTEN__ADRESS) is no key: did you mean `address`?");
}

#[test]
fn a_value_without_a_unit_is_told_what_to_write() {
    assert_eq!(
        sentences(Profile::Production, "[session]\nheartbeat = 25"),
        [
            "session.heartbeat (file spotter.toml) is 25: write a time above zero with its unit, such as \"250ms\", \"25s\", \"10m\", \"24h\" or \"7d\""
        ]
    );
    let zero = sentences(Profile::Production, "[limits]\nconnections = 0");
    assert_eq!(zero, ["limits.connections (file spotter.toml) is 0: write a whole number from 1 to 4294967295"]);
    let error = in_environment("SPOTTER_LIMITS__MESSAGE_BYTES", "64K").unwrap_err();
    assert_eq!(
        error.problems[0].to_string(),
        "limits.message_bytes (environment SPOTTER_LIMITS__MESSAGE_BYTES) is \"64K\": write a size above zero, such as \"64KiB\", \"1MiB\" or 65536"
    );
}

#[test]
fn all_problems_come_at_once() {
    let all = sentences(Profile::Production, "[session]\nheartbeat = 25\n[log]\nformat = \"xml\"\n[listen]\naddress = \"here\"");
    assert_eq!(all.len(), 3, "{all:#?}");
    assert!(all[0].starts_with("listen.address (file spotter.toml) is \"here\": write an IP address and a port"), "{}", all[0]);
    assert_eq!(all[2], "log.format (file spotter.toml) is \"xml\": write \"json\" or \"text\"");
}

#[test]
fn relations_name_what_would_follow() {
    let cases = [
        ("[session]\npong_timeout = \"25s\"", "session.pong_timeout", "asked again before it is found dead"),
        ("[session]\nwrite_timeout = \"30s\"", "session.write_timeout", "hold the drain"),
        ("[limits]\nhello_bytes = \"65KiB\"", "limits.hello_bytes", "a stranger could send more than a peer"),
        ("[limits]\nhello_bytes = \"8KiB\"", "limits.hello_bytes", "hello would be refused"),
        ("[limits]\nmessage_bytes = \"65KiB\"", "limits.message_bytes", "clients count on"),
        ("[limits]\nbytes_burst = \"32KiB\"", "limits.bytes_burst", "the largest message could never be sent"),
        ("[limits]\nframes_burst = 1", "limits.frames_burst", "the rate could never be reached"),
        ("[limits]\nunauthenticated = 100000", "limits.unauthenticated", "strangers could take every socket"),
        ("[session]\noutbox_bytes = \"1MiB\"", "session.outbox_bytes", "more than 1 MiB"),
        ("[session]\noutbox_bytes = \"64KiB\"", "session.outbox_bytes", "one large frame would close a session"),
        ("[store]\nbatch_rows = 200000", "store.batch_rows", "sources told to hold for nothing"),
        ("[store]\nbatch_wait = \"2s\"", "store.batch_wait", "each second"),
        ("[store]\nstatement_timeout = \"30s\"", "store.statement_timeout", "the last batch could be cut off"),
        ("[auth]\nleeway = \"61s\"", "auth.leeway", "tokens would live that much longer"),
        ("[auth]\nunknown_key_wait = \"10s\"", "auth.unknown_key_wait", "closed while it waits"),
        ("[auth]\njwks_refresh = \"2s\"", "auth.jwks_min_interval", "a new key would wait"),
        ("[shards]\ntick = \"51ms\"", "shards.tick", "a stop is repeated"),
        ("[listen]\nproxy_protocol = true", "listen.proxy_protocol", "every connection would be refused"),
    ];
    for (text, key, consequence) in cases {
        let all = sentences(Profile::Production, text);
        assert!(all.iter().any(|s| s.starts_with(&format!("{key} (")) && s.contains(consequence)), "{text}: {all:#?}");
    }
}

#[test]
fn each_unsafe_switch_refuses_to_start_in_production_with_words() {
    for switch in ["built_in_issuer", "open_auth", "token_in_url", "raw_echo", "hs256"] {
        let text = format!("[dev]\n{switch} = true");
        let all = sentences(Profile::Production, &text);
        assert_eq!(all.len(), 1, "{all:#?}");
        assert!(all[0].starts_with(&format!("dev.{switch} (file spotter.toml) is true in the production profile: ")), "{}", all[0]);
        assert_eq!(sentences(Profile::Dev, &text), [""; 0]);
    }
}

#[test]
fn a_file_may_choose_the_profile_and_only_a_known_one() {
    let (_folder, sources) = with_file(Profile::Production, "profile = \"dev\"\n[dev]\nopen_auth = true");
    assert_eq!(load(&sources).unwrap().profile, Profile::Dev);
    assert_eq!(
        sentences(Profile::Dev, "profile = \"staging\""),
        ["profile (file spotter.toml) is \"staging\": write \"dev\" or \"production\""]
    );
}

#[test]
fn wildcard_origins_are_refused_and_others_are_normal() {
    let all = sentences(Profile::Production, "[listen]\norigins = [\"*\", \"gym.example\"]");
    assert!(all[0].contains("any page could open a socket"), "{}", all[0]);
    assert!(all[1].contains("write scheme and host"), "{}", all[1]);
    let (_folder, sources) = with_file(Profile::Production, "[listen]\norigins = [\"https://Gym.Example/\"]");
    assert_eq!(load(&sources).unwrap().listen.origins, ["https://gym.example"]);
}

const ISSUER: &str = "[[auth.issuers]]\nissuer = \"https://id/\"\naudience = [\"spotter\"]\nalgorithms = [\"ES256\"]\n";

#[test]
fn issuers_need_an_audience_keys_and_safe_ways() {
    let cases = [
        (ISSUER.to_owned(), "has no keys"),
        (format!("{ISSUER}jwks_url = \"http://id/jwks\""), "is not https"),
        (format!("{ISSUER}jwks_url = \"https://id/jwks\"\njwks_file = \"x\""), "from several places"),
        (ISSUER.replace("[\"spotter\"]", "[]") + "jwks_url = \"https://id/jwks\"", "made for others would be good here"),
        (ISSUER.replace("ES256", "HS256") + "jwks_url = \"https://id/jwks\"", "whoever can check a token can make one"),
        (ISSUER.replace("ES256", "none") + "jwks_url = \"https://id/jwks\"", "write \"RS256\", \"ES256\", \"EdDSA\" or \"HS256\""),
        (format!("{ISSUER}jwks_url = \"https://id/jwks\"\ntenant = \"acme\""), "is no UUID"),
        (format!("{ISSUER}jwks_url = \"https://id/jwks\"\n[auth.issuers.roles]\nboss = \"king\""), "\"operator\""),
        (format!("{ISSUER}[[auth.issuers.keys]]\nalgorithm = \"EdDSA\"\npem = \"x\""), "the key would never count"),
        (format!("{ISSUER}[[auth.issuers.keys]]\nalgorithm = \"ES256\""), "needs its key in one place"),
        (format!("{ISSUER}jwks_url = \"https://id/jwks\"\n{ISSUER}jwks_url = \"https://id/jwks\""), "a second time"),
    ];
    for (text, words) in cases {
        let all = sentences(Profile::Production, &text);
        assert!(all.iter().any(|s| s.contains(words)), "{text}: {all:#?}");
    }
}

#[test]
fn secrets_come_from_files_and_are_never_printed() {
    let (folder, mut sources) = with_file(Profile::Dev, "");
    let canary = "hunter2canary";
    let url = folder.path().join("url");
    std::fs::write(&url, format!("postgres://u:{canary}@db/spotter\n")).unwrap();
    sources.environment = vec![
        ("SPOTTER_STORE__URL_FILE".into(), url.display().to_string()),
        ("SPOTTER_STORE__URL".into(), format!("postgres://u:{canary}@db/spotter?password={canary}")),
        ("SPOTTER_DEV__HS256".into(), "true".into()),
        (
            "SPOTTER_AUTH__ISSUERS".into(),
            format!("[{{issuer='i', audience=['a'], algorithms=['HS256'], keys=[{{algorithm='HS256', secret='{canary}'}}]}}]"),
        ),
    ];
    let config = load(&sources).unwrap();
    assert!(matches!(config.store.target, StoreTarget::Postgres(_)));
    assert!(matches!(&config.auth.issuers[0].keys, Keys::Static(keys) if keys.len() == 1));
    assert!(!format!("{config:?}").contains(canary));
    let shown = show(&sources).unwrap();
    assert!(!format!("{shown:?}").contains(canary), "{shown:#?}");
    let url = shown.iter().find(|s| s.key == "store.url").unwrap();
    assert_eq!((url.value.as_str(), url.origin.to_string().as_str()), ("\"postgres://***@db/spotter\"", "environment SPOTTER_STORE__URL"));
    for bad in [format!("mysql://u:{canary}@db/x"), canary.to_owned()] {
        let error = in_environment("SPOTTER_STORE__URL", &bad).unwrap_err();
        assert!(!error.to_string().contains(canary), "{error}");
    }
}

#[test]
fn show_tells_every_value_of_the_manual_and_where_it_was_said() {
    let sources = Sources::of(Profile::Dev).set("limits.connections=7").unwrap();
    let shown = show(&sources).unwrap();
    let find = |key: &str| shown.iter().find(|s| s.key == key).unwrap_or_else(|| panic!("{key} in {shown:#?}")).clone();
    assert_eq!(
        (find("limits.connections").value, find("limits.connections").origin),
        ("7".into(), Origin::Flag("--set limits.connections".into()))
    );
    assert_eq!(find("dev.raw_echo").origin, Origin::Profile("dev".into()));
    assert_eq!((find("session.heartbeat").value, find("session.heartbeat").origin), ("\"25s\"".into(), Origin::Default));
    assert_eq!(find("profile").value, "\"dev\"");
}

#[test]
fn variables_that_kubernetes_sets_for_a_service_of_this_name_are_not_ours() {
    let environment = vec![
        ("SPOTTER_PORT".into(), "tcp://10.0.0.1:80".into()),
        ("SPOTTER_SERVICE_HOST".into(), "10.0.0.1".into()),
        ("SPOTTER_PROFILE".into(), "dev".into()),
    ];
    let config = load(&Sources { environment, ..Sources::of(Profile::Production) }).unwrap();
    assert_eq!(config.profile, Profile::Dev);
}

#[test]
fn a_broken_or_missing_file_says_where() {
    let all = sentences(Profile::Production, "[session\nheartbeat = 1");
    assert!(all[0].contains("(file spotter.toml)") && all[0].contains("line 1"), "{}", all[0]);
    let error = load(&Sources { file: Some("/nonexistent/spotter.toml".into()), ..Sources::of(Profile::Production) }).unwrap_err();
    assert!(error.to_string().contains("/nonexistent/spotter.toml"), "{error}");
}

#[test]
fn only_trusted_proxies_may_speak_for_others() {
    let (_folder, sources) = with_file(Profile::Production, "[listen]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]");
    let proxy = load(&sources).unwrap().listen.proxy;
    assert!(matches!(proxy, Proxy::Forwarded(_)));
    assert!(
        proxy.trusts("10.1.2.3".parse().unwrap()) && proxy.trusts("::1".parse().unwrap()) && !proxy.trusts("11.0.0.1".parse().unwrap())
    );
}
