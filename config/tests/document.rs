//! Keeps `docs/CONFIG.md` equal to the embedded manual. `UPDATE_DOCS=1` writes it anew.

const HEAD: &str = "# Configuration

Written from `config/default.toml`, which the binary embeds and which is the manual; a test keeps this page equal to it.

- `spotter config check` reads everything and says what is wrong: the key, where it was said, what would follow, what to write instead.
- `spotter config show` prints every effective value with its origin; secrets are masked.
- Secrets come from files (`…_file`) or the environment.

## Everything, with its defaults

```toml
";

#[test]
#[expect(clippy::disallowed_methods, reason = "a test's own switch")]
fn the_page_is_the_manual() {
    let page = format!("{HEAD}{}```\n\n## What the dev profile says over it\n\n```toml\n{}```\n", config::DEFAULT_TOML, config::DEV_TOML);
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/CONFIG.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(file, &page).unwrap();
    }
    let committed = std::fs::read_to_string(file).unwrap_or_default();
    assert!(committed == page, "docs/CONFIG.md is not what config/default.toml says: run UPDATE_DOCS=1 cargo test -p config");
}
