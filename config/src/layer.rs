//! The layers a configuration is made of, lowest first: embedded defaults, profile, file, environment, flags.
//!
//! Each file, variable and flag is a figment provider of its own, so that every value knows where it was said.
//! Reads no global state: the caller hands in the environment.

use std::path::{Path, PathBuf};

use figment::providers::{Format, Toml};
use figment::value::{Dict, Map, Value};
use figment::{Error, Figment, Metadata, Provider};

use crate::problem::{Origin, Problem};

/// The manual, and the lowest layer.
pub const DEFAULT_TOML: &str = include_str!("../default.toml");
/// What the `dev` profile says over it.
pub const DEV_TOML: &str = include_str!("../dev.toml");

/// How safe this hub must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    /// On a developer's machine: unsafe switches are allowed.
    Dev,
    /// For people: unsafe switches refuse to start.
    Production,
}

impl Profile {
    /// The word in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Production => "production",
        }
    }
}

/// Everything that an operator said, unread.
#[derive(Debug, Clone)]
pub struct Sources {
    /// Profile where nobody says one: production for `serve`, dev for `demo`.
    pub profile: Profile,
    /// A file, from `--config` or `SPOTTER_CONFIG`.
    pub file: Option<PathBuf>,
    /// The environment: all of it, or what a test wants.
    pub environment: Vec<(String, String)>,
    /// Flags as key, value and the flag as it was written.
    pub flags: Vec<(String, String, String)>,
}

impl Sources {
    /// Only the defaults of a profile.
    #[must_use]
    pub fn of(profile: Profile) -> Self {
        Self { profile, file: None, environment: Vec::new(), flags: Vec::new() }
    }

    /// Reads `SPOTTER_CONFIG` and the variables of this process.
    #[must_use]
    pub fn of_process(profile: Profile, file: Option<PathBuf>) -> Self {
        let environment: Vec<(String, String)> =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?))).collect();
        let file = file.or_else(|| environment.iter().find(|(name, _)| name == "SPOTTER_CONFIG").map(|(_, path)| PathBuf::from(path)));
        Self { profile, file, environment, flags: Vec::new() }
    }

    /// Adds a flag that says one key.
    #[must_use]
    pub fn flag(mut self, key: &str, value: impl Into<String>, written: &str) -> Self {
        self.flags.push((key.to_owned(), value.into(), written.to_owned()));
        self
    }

    /// Adds `KEY=VALUE` of `--set`.
    ///
    /// # Errors
    /// A sentence, where there is no `=`.
    pub fn set(self, key_value: &str) -> Result<Self, String> {
        let (key, value) =
            key_value.split_once('=').ok_or_else(|| format!("--set {key_value}: write KEY=VALUE, such as log.level=debug"))?;
        Ok(self.flag(key, value, &format!("--set {key}")))
    }
}

struct Layer {
    metadata: Metadata,
    data: Dict,
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        self.metadata.clone()
    }
    fn data(&self) -> Result<Map<figment::Profile, Dict>, Error> {
        Ok(figment::Profile::Default.collect(self.data.clone()))
    }
}

fn layer(kind: &'static str, source: impl Into<String>, data: Dict) -> Layer {
    Layer { metadata: Metadata::named(kind).source(figment::Source::Custom(source.into())), data }
}

/// Stacks all layers and decides the profile. Files that cannot be read and TOML that cannot be parsed are problems.
pub(crate) fn stack(sources: &Sources) -> Result<(Figment, Profile), Vec<Problem>> {
    let said = said_layers(sources)?;
    let mut upper = Figment::new();
    for layer in &said {
        upper = upper.merge(layer.clone_layer());
    }
    let profile = match upper.find_value("profile") {
        Ok(_) => upper.extract_inner::<Profile>("profile").map_err(|error| vec![Problem::of_figment(&error, "")])?,
        Err(_) => sources.profile,
    };
    let mut all = Figment::new().merge(layer("default", "", embedded(DEFAULT_TOML)));
    all = all.merge(layer("default", "", Dict::from([("profile".to_owned(), Value::from(profile.name()))])));
    if profile == Profile::Dev {
        all = all.merge(layer("profile", profile.name(), embedded(DEV_TOML)));
    }
    for layer in said {
        all = all.merge(layer);
    }
    Ok((all, profile))
}

impl Layer {
    fn clone_layer(&self) -> Self {
        Self { metadata: self.metadata.clone(), data: self.data.clone() }
    }
}

/// The operator's own layers: file, environment, flags.
fn said_layers(sources: &Sources) -> Result<Vec<Layer>, Vec<Problem>> {
    let mut layers = Vec::new();
    if let Some(path) = &sources.file {
        layers.push(file(path).map_err(|problem| vec![problem])?);
    }
    for (name, value) in &sources.environment {
        if let Some(key) = key_of_variable(name) {
            layers.push(layer("environment", name.clone(), nest(&key, value)));
        }
    }
    for (key, value, written) in &sources.flags {
        layers.push(layer("flag", written.clone(), nest(key, value)));
    }
    Ok(layers)
}

fn file(path: &Path) -> Result<Layer, Problem> {
    let shown = path.display().to_string();
    let problem = |what: String, instead: &str| Problem {
        key: String::new(),
        origin: Origin::File(shown.clone()),
        what,
        instead: instead.to_owned(),
    };
    let text = std::fs::read_to_string(path).map_err(|error| {
        problem(format!("the file cannot be read: {error}"), "give a readable file, or leave --config and SPOTTER_CONFIG away")
    })?;
    let dict = parse(&text).map_err(|error| problem(format!("the file is no TOML: {}", error.trim_end()), "mend it there"))?;
    Ok(layer("file", shown.clone(), dict))
}

fn parse(text: &str) -> Result<Dict, String> {
    toml::from_str::<Dict>(text).map_err(|error| error.to_string())
}

fn embedded(text: &str) -> Dict {
    let data = Toml::string(text).data().expect("the embedded files parse: a test reads them");
    data.into_values().next().unwrap_or_default()
}

/// `SPOTTER_LISTEN__ADDRESS` is `listen.address`; variables without `__` are not ours, but for the profile.
fn key_of_variable(name: &str) -> Option<String> {
    let rest = name.strip_prefix("SPOTTER_")?;
    if rest == "PROFILE" || rest.contains("__") { Some(rest.to_ascii_lowercase().replace("__", ".")) } else { None }
}

/// A value at a path, as nested tables. Values read as TOML where they are, as text otherwise.
fn nest(key: &str, value: &str) -> Dict {
    let value: Value = scalar(value);
    let mut parts = key.rsplit('.');
    let last = parts.next().unwrap_or_default().to_owned();
    parts.fold(Dict::from([(last, value)]), |inner, part| Dict::from([(part.to_owned(), Value::from(inner))]))
}

fn scalar(text: &str) -> Value {
    toml::from_str::<Dict>(&format!("v = {text}"))
        .ok()
        .filter(|dict| dict.len() == 1)
        .and_then(|mut dict| dict.remove("v"))
        .unwrap_or_else(|| Value::from(text))
}
