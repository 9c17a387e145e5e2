//! Logs and pages.

use std::path::PathBuf;

use serde::Deserialize;

use crate::check::Checker;

/// What is logged and how it looks.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Directives, such as `info,hub=debug`.
    pub level: String,
    /// How lines look.
    pub format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// For a person.
    Text,
}

/// The pages that the hub serves.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pages {
    /// Whether they are served.
    pub serve: bool,
    /// From this folder; none: from the binary.
    #[serde(default)]
    pub folder: Option<PathBuf>,
}

pub(crate) fn check_log(checker: &mut Checker<'_>) -> Option<Log> {
    let log: Log = checker.section("log")?;
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    for directive in log.level.split(',') {
        let level = directive.rsplit_once('=').map_or(directive, |(_, level)| level).trim();
        checker.hold(
            levels.contains(&level),
            "log.level",
            || format!("has \"{directive}\""),
            || format!("write one of {}, or \"info,hub=debug\"", levels.join(", ")),
        );
    }
    Some(log)
}

pub(crate) fn check_pages(checker: &mut Checker<'_>) -> Option<Pages> {
    let pages: Pages = checker.section("pages")?;
    if let Some(folder) = &pages.folder {
        checker.hold(
            folder.is_dir(),
            "pages.folder",
            || format!("is {}, which is no folder: every page would be missing", folder.display()),
            || "name the folder with the pages, or leave it away".to_owned(),
        );
    }
    Some(pages)
}
