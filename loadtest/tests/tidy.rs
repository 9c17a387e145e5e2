//! What lints cannot keep: the one direction of the crates, a header on every file, the bans of deny.toml.
//!
//! Also prints, without failing, the longest files and functions, for a reader to judge (`cargo nextest run tidy --no-capture`).

#![expect(clippy::unwrap_used, reason = "a test: whatever fails here should end it")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// Which of our crates each crate may see. A new arrow is an architecture change: write it in docs/ARCHITECTURE.md first.
const ARROWS: &[(&str, &[&str])] = &[
    ("protocol", &[]),
    ("activity", &["protocol"]),
    ("config", &["protocol"]),
    ("storage", &["protocol", "config"]),
    ("room", &["protocol"]),
    ("loadtest", &["protocol"]),
    ("hub", &["protocol", "activity", "config", "storage", "room", "loadtest"]),
];

/// What the rules must never see, directly.
const NOT_IN_ROOM: &[&str] = &["tokio", "sqlx", "hyper", "axum", "reqwest", "getrandom"];
/// What gives the rules randomness of their own instead of what is handed in: features of `rand`.
const ENTROPY: &[&str] = &["thread_rng", "sys_rng", "default"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace").to_owned()
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below the root with one of the endings, build products and fetched packages left out.
fn files(endings: &[&str]) -> Vec<PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![root()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()) {
            let name = entry.file_name().unwrap().to_string_lossy().into_owned();
            if entry.is_dir() {
                if !["target", "node_modules", ".git", ".cache"].contains(&name.as_str()) {
                    folders.push(entry);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(entry);
            }
        }
    }
    found.sort();
    found
}

/// What cargo knows of the packages built here; other platforms' packages need not have been fetched.
fn metadata() -> Value {
    let rustc = Command::new("rustc").arg("-vV").output().unwrap();
    let rustc = String::from_utf8(rustc.stdout).unwrap();
    let host = rustc.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");
    let answer = cargo(&["metadata", "--format-version", "1", "--locked", "--offline", "--filter-platform", host]);
    serde_json::from_str(&answer).unwrap()
}

/// What cargo prints.
fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(option_env!("CARGO").unwrap_or("cargo")).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "cargo {}: {}", arguments[0], String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn crates_see_each_other_in_one_direction_only() {
    let metadata = metadata();
    let ours: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    for package in metadata["packages"].as_array().unwrap().iter().filter(|package| package["source"].is_null()) {
        let name = package["name"].as_str().unwrap();
        let (_, allowed) = ARROWS
            .iter()
            .find(|(known, _)| *known == name)
            .unwrap_or_else(|| panic!("crate `{name}` has no row in ARROWS: where does it stand?"));
        for dependency in package["dependencies"].as_array().unwrap() {
            let (seen, kind) = (dependency["name"].as_str().unwrap(), &dependency["kind"]);
            assert!(!ours.contains(seen) || allowed.contains(&seen), "{name} -> {seen} ({kind}) is against the one direction");
            if name == "room" && kind.is_null() {
                assert!(!NOT_IN_ROOM.contains(&seen), "the rules must not see {seen}");
                let features = dependency["features"].as_array().unwrap();
                let seeded =
                    dependency["uses_default_features"] == false && !features.iter().any(|name| ENTROPY.contains(&name.as_str().unwrap()));
                assert!(seen != "rand" || seeded, "the rules draw from a seed that is handed in, not from the system");
            }
        }
    }
}

#[test]
fn every_source_file_opens_with_what_it_is_for() {
    let bare: Vec<_> = files(&[".rs"])
        .into_iter()
        .filter(|path| {
            !read(path).lines().find(|line| !line.is_empty() && !line.starts_with("#!")).is_some_and(|line| line.starts_with("//!"))
        })
        .collect();
    assert!(bare.is_empty(), "no //! header: {bare:#?}");
    let bare: Vec<_> = files(&[".js", ".mjs", ".css"])
        .into_iter()
        .filter(|path| !["//", "/*"].iter().any(|comment| read(path).trim_start().starts_with(comment)))
        .collect();
    assert!(bare.is_empty(), "no header comment: {bare:#?}");
}

/// Floors of published faults: a line that is deleted from deny.toml would say nothing.
const FLOORS: &[&str] = &[
    "tungstenite@<0.20.1",
    "tracing-subscriber@<0.3.20",
    "bytes@<1.11.1",
    "rustls@<0.23.45",
    "rustls-webpki@<0.103.13",
    "time@<0.3.47",
    "socketioxide@<0.18.9",
];

#[test]
fn the_floors_of_published_faults_stand_in_deny_toml() {
    let deny: toml::Table = read(&root().join("deny.toml")).parse().unwrap();
    let bans: Vec<&str> = deny["bans"]["deny"].as_array().unwrap().iter().map(|ban| ban["crate"].as_str().unwrap()).collect();
    for floor in FLOORS {
        let (name, below) = floor.split_once("@<").unwrap();
        let held = bans.iter().filter_map(|ban| ban.strip_prefix(name)?.strip_prefix("@<")).any(|found| version(found) >= version(below));
        assert!(held, "{floor} is not held any more");
    }
}

#[test]
fn the_lock_file_of_the_fuzz_targets_keeps_the_same_floors() {
    let lock: toml::Table = read(&root().join("fuzz/Cargo.lock")).parse().unwrap();
    for package in lock["package"].as_array().unwrap() {
        let (name, found) = (package["name"].as_str().unwrap(), package["version"].as_str().unwrap());
        let below = FLOORS.iter().find_map(|floor| floor.strip_prefix(name)?.strip_prefix("@<"));
        assert!(below.is_none_or(|below| version(found) >= version(below)), "{name} {found} is below its floor");
    }
}

#[test]
fn what_deny_toml_bans_is_not_built() {
    let deny: toml::Table = read(&root().join("deny.toml")).parse().unwrap();
    let metadata = metadata();
    let built = built(&metadata);
    for ban in deny["bans"]["deny"].as_array().unwrap() {
        let (name, below) = match ban["crate"].as_str().unwrap().split_once("@<") {
            Some((name, floor)) => (name, Some(version(floor))),
            None => (ban["crate"].as_str().unwrap(), None),
        };
        for package in built.iter().filter(|package| package["name"] == name) {
            let found = package["version"].as_str().unwrap();
            assert!(below.as_ref().is_some_and(|floor| version(found) >= *floor), "{name} {found} is banned: {}", ban["reason"]);
        }
    }
    for source in built.iter().filter_map(|package| package["source"].as_str()) {
        assert_eq!(source, "registry+https://github.com/rust-lang/crates.io-index", "a source that deny.toml refuses");
    }
}

/// Packages that are really built, as `cargo tree` has them: the lock file also names optional ones that no feature turns on.
fn built(metadata: &Value) -> Vec<&Value> {
    let tree = cargo(&["tree", "--workspace", "--locked", "--offline", "--prefix", "none", "--format", "{p}", "-e", "all"]);
    let names: BTreeSet<(&str, &str)> = tree
        .lines()
        .filter_map(|line| line.split_once(" v"))
        .map(|(name, rest)| (name, rest.split(' ').next().unwrap_or_default()))
        .collect();
    let is_built = |package: &&Value| names.contains(&(package["name"].as_str().unwrap(), package["version"].as_str().unwrap()));
    metadata["packages"].as_array().unwrap().iter().filter(is_built).collect()
}

fn version(text: &str) -> Vec<u64> {
    text.split(['.', '+', '-']).map_while(|part| part.parse().ok()).collect()
}

#[test]
fn every_licence_is_one_that_deny_toml_allows() {
    let deny: toml::Table = read(&root().join("deny.toml")).parse().unwrap();
    let allowed: BTreeSet<&str> = deny["licenses"]["allow"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    let metadata = metadata();
    let mut refused = BTreeMap::new();
    for package in built(&metadata) {
        let licence = package["license"].as_str().unwrap_or("none stated").replace('/', " OR ");
        // `A OR B` needs one, `A AND B` all; parentheses do not mix the two in any crate seen so far.
        let fits = licence.split(" AND ").all(|all| {
            all.split(" OR ").any(|one| allowed.contains(one.trim_matches(['(', ')', ' ']).split(" WITH ").next().unwrap_or_default()))
        });
        if !fits {
            refused.insert(package["name"].to_string(), licence);
        }
    }
    assert!(refused.is_empty(), "not in deny.toml: {refused:#?}");
}

#[test]
fn the_longest_files_and_functions_are_printed_for_a_reader() {
    let sources: Vec<_> =
        files(&[".rs", ".js"]).into_iter().filter(|path| !path.components().any(|part| part.as_os_str() == "tests")).collect();
    assert!(sources.len() > 20, "the walk found only {} files", sources.len());
    let mut lengths: Vec<_> =
        sources.iter().map(|path| (read(path).lines().count(), path.strip_prefix(root()).unwrap().to_owned())).collect();
    lengths.sort_by_key(|(lines, _)| std::cmp::Reverse(*lines));
    for (lines, path) in lengths.iter().take(8) {
        println!("{lines:5} lines  {}", path.display());
    }
    let mut functions: Vec<_> =
        sources.iter().filter(|path| path.extension().is_some_and(|end| end == "rs")).flat_map(|path| long_functions(path)).collect();
    functions.sort_by_key(|(lines, _)| std::cmp::Reverse(*lines));
    for (lines, place) in functions.iter().take(8) {
        println!("{lines:5} lines  {place}");
    }
}

/// Functions of a file with their length, by the indentation that rustfmt gives their braces.
fn long_functions(path: &Path) -> Vec<(usize, String)> {
    let (text, mut found, mut open) = (read(path), Vec::new(), None);
    for (at, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        if open.is_none() && line.contains("fn ") && line.ends_with('{') && !line.trim_start().starts_with("//") {
            open = Some((indent, at, line.trim().to_owned()));
        } else if let Some((depth, start, name)) = open.take_if(|(depth, ..)| line.trim_end() == format!("{}}}", " ".repeat(*depth))) {
            debug_assert_eq!(depth, indent);
            found.push((at - start + 1, format!("{}:{} {name}", path.strip_prefix(root()).unwrap().display(), start + 1)));
        }
    }
    found
}
