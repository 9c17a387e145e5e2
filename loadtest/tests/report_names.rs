//! The names of a report are those of `docs/LOADTEST.md`.

use loadtest::bench::ALWAYS;

const DOCUMENT: &str = include_str!("../../docs/LOADTEST.md");

#[test]
fn names_that_are_always_there_are_documented() {
    for name in ALWAYS {
        assert!(DOCUMENT.contains(&format!("`{name}`")), "{name}");
    }
}

/// Every literal name that a scenario sets stands in the document.
#[test]
fn names_that_scenarios_set_are_documented() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let mut folders = vec![std::path::PathBuf::from(folder)];
    let mut names = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                for set in ["report.set(\"", "report.set_rounded(\""] {
                    names.extend(text.split(set).skip(1).filter_map(|rest| rest.split('"').next().map(str::to_owned)));
                }
            }
        }
    }
    assert!(names.len() > 30, "{names:?}");
    for name in names {
        assert!(DOCUMENT.contains(&format!("`{name}`")), "{name} is not in docs/LOADTEST.md");
    }
}
