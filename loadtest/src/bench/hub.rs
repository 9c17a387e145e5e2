//! The hub under test: a child process with a temporary folder, a free port and a configuration of its own, or one that runs elsewhere.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::line::{Line, LineKind, terminate};
use super::postgres::free_port;
use super::token::{AUDIENCE, ISSUER};

/// A certificate for `localhost`, known to everybody.
pub const TEST_CERTIFICATE: &str = include_str!("../../tls/certificate.pem");
const TEST_KEY: &str = include_str!("../../tls/key.pem");
/// A hub that is not ready by then will not be.
const READY: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// Where to find the hub's binary: as told, else beside this one.
///
/// # Errors
/// Where there is none.
pub fn find_binary(told: Option<&Path>) -> anyhow::Result<PathBuf> {
    if let Some(path) = told {
        ensure!(path.exists(), "--hub-binary {}: no such file", path.display());
        return Ok(path.to_owned());
    }
    let own = std::env::current_exe().context("where this binary is")?;
    // Tests and examples live one folder below.
    for folder in own.ancestors().skip(1).take(2) {
        let beside = folder.join("spotter");
        if beside.is_file() {
            return Ok(beside);
        }
    }
    bail!("no `spotter` beside {}: build it (cargo build --release), or give --hub-binary", own.display())
}

/// A hub as a child process.
pub struct HubChild {
    binary: PathBuf,
    port: u16,
    /// `key=value` over its configuration.
    set: Vec<String>,
    /// Words before its own, such as `prlimit --nofile=200`.
    before: Vec<String>,
    child: Option<Child>,
    /// The address that stays where hubs take over from each other.
    line: Option<Line>,
    folder: TempDir,
    scheme: &'static str,
}

impl HubChild {
    /// Starts a hub on a store; `store_url` none is SQLite in its own folder. `secret` signs the tokens that it takes; `set` are settings
    /// as `key=value` that stand over all others, `before` words that stand before its own, such as `prlimit --nofile=200`.
    ///
    /// # Errors
    /// Where it does not start or does not become ready; with the end of its log.
    pub async fn start(binary: PathBuf, store_url: Option<&str>, secret: &str, set: &[String], before: &[String]) -> anyhow::Result<Self> {
        Self::start_as(binary, store_url, secret, (set, before), "http").await
    }

    /// As [`HubChild::start`], where the hub ends TLS itself with [`TEST_CERTIFICATE`].
    ///
    /// # Errors
    /// As [`HubChild::start`].
    pub async fn start_tls(binary: PathBuf, store_url: Option<&str>, secret: &str) -> anyhow::Result<Self> {
        Self::start_as(binary, store_url, secret, (&[], &[]), "https").await
    }

    async fn start_as(
        binary: PathBuf,
        store_url: Option<&str>,
        secret: &str,
        (set, before): (&[String], &[String]),
        scheme: &'static str,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("loadtest-hub-").tempdir().context("no temporary folder")?;
        let port = free_port()?;
        let sqlite = format!("sqlite:{}", folder.path().join("spotter.db").display());
        let mut config = configuration(port, store_url.unwrap_or(&sqlite), secret, folder.path());
        if scheme == "https" {
            config.push_str(&tls_configuration(folder.path())?);
        }
        std::fs::write(folder.path().join("spotter.toml"), config).context("could not write the hub's configuration")?;
        let mut hub = Self { binary, port, set: set.to_vec(), before: before.to_vec(), child: None, line: None, folder, scheme };
        hub.run().await?;
        Ok(hub)
    }

    /// As [`HubChild::start`], on an address that other hubs can take over.
    ///
    /// # Errors
    /// As [`HubChild::start`].
    pub async fn start_on_line(
        binary: PathBuf,
        store_url: Option<&str>,
        secret: &str,
        set: &[String],
        kind: LineKind,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("loadtest-hub-").tempdir().context("no temporary folder")?;
        let line = Line::open(kind, folder.path())?;
        let port = line.port();
        let sqlite = format!("sqlite:{}", folder.path().join("spotter.db").display());
        let config = configuration(port, store_url.unwrap_or(&sqlite), secret, folder.path());
        std::fs::write(folder.path().join("spotter.toml"), config).context("could not write the hub's configuration")?;
        let mut hub = Self { binary, port, set: set.to_vec(), before: Vec::new(), child: None, line: Some(line), folder, scheme: "http" };
        hub.run().await?;
        Ok(hub)
    }

    /// The next hub takes over: it starts beside the one that runs, with another binary and other settings, and when it is ready that one is told to end.
    /// Answers how long the old one took to end.
    ///
    /// # Errors
    /// Where the new one does not start, or the old one does not end well within `grace`.
    pub async fn take_over(&mut self, binary: PathBuf, set: &[String], grace: Duration) -> anyhow::Result<Duration> {
        let old = self.child.take().context("the hub was not started")?;
        (self.binary, self.set) = (binary, set.to_vec());
        self.run().await?;
        terminate(old, grace).await.with_context(|| self.log_end())
    }

    /// The address that stays.
    pub const fn line(&mut self) -> Option<&mut Line> {
        self.line.as_mut()
    }

    /// Starts the process again after [`HubChild::kill`], on the same store and port, and waits until it is ready.
    ///
    /// # Errors
    /// As [`HubChild::start`].
    pub async fn run(&mut self) -> anyhow::Result<()> {
        self.spawn()?;
        match &self.line {
            Some(line) => line.ready().await.with_context(|| self.log_end()),
            None => self.ready().await,
        }
    }

    /// Starts the process and does not wait for it.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn spawn(&mut self) -> anyhow::Result<()> {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.log_path()).context("could not open the hub's log")?;
        let mut words = self.before.iter().map(std::ffi::OsStr::new).chain([self.binary.as_os_str()]);
        let program = words.next().unwrap_or(self.binary.as_os_str());
        let mut command = Command::new(program);
        command
            .args(words)
            .arg("serve")
            .arg("--config")
            .arg(self.folder.path().join("spotter.toml"))
            .args(self.set.iter().flat_map(|set| ["--set", set]))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .kill_on_drop(true);
        if let Some(line) = &mut self.line {
            line.prepare(&mut command)?;
        }
        let child = command.spawn().with_context(|| format!("could not start {}", self.binary.display()))?;
        self.child = Some(child);
        Ok(())
    }

    async fn ready(&mut self) -> anyhow::Result<()> {
        // The test certificate is nobody's: whoever asks whether the hub is up may take it as it is.
        let client = reqwest::Client::builder().timeout(Duration::from_secs(2)).no_proxy().tls_danger_accept_invalid_certs(true);
        let client = client.build().context("no HTTP client")?;
        let (url, deadline) = (format!("{}/ready", self.http()), Instant::now() + READY);
        loop {
            let child = self.child.as_mut().context("the hub was not started")?;
            if let Some(status) = child.try_wait()? {
                bail!("the hub ended with {status}:\n{}", self.log_end());
            }
            if client.get(&url).send().await.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(());
            }
            ensure!(Instant::now() < deadline, "the hub was not ready within {READY:?}:\n{}", self.log_end());
            tokio::time::sleep(POLL).await;
        }
    }

    /// How the process ended, where it has by itself.
    ///
    /// # Errors
    /// Where it was not started, or cannot be asked.
    pub fn ended(&mut self) -> anyhow::Result<Option<std::process::ExitStatus>> {
        let child = self.child.as_mut().context("the hub was not started")?;
        child.try_wait().context("could not ask how the hub is")
    }

    /// SIGKILL, as the power goes. Returns when the process is gone.
    ///
    /// # Errors
    /// Where it cannot be killed.
    pub async fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().await.context("could not kill the hub")?;
        }
        Ok(())
    }

    /// SIGTERM, and how it ended.
    ///
    /// # Errors
    /// Where it cannot be told, or does not end within `patience`.
    pub async fn terminate(&mut self, patience: Duration) -> anyhow::Result<std::process::ExitStatus> {
        let mut child = self.child.take().context("the hub does not run")?;
        let pid = child.id().context("the hub is gone")?.to_string();
        let told = Command::new("kill").args(["-TERM", &pid]).status().await.context("could not run kill")?;
        ensure!(told.success(), "could not send SIGTERM");
        let ended = tokio::time::timeout(patience, child.wait()).await;
        ended.with_context(|| format!("the hub did not end within {patience:?}"))?.context("could not wait for the hub")
    }

    /// `http://127.0.0.1:PORT`, or `https:` behind TLS.
    #[must_use]
    pub fn http(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.port)
    }

    /// Process id of the running hub.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// The SQLite file, where that is its store.
    #[must_use]
    pub fn sqlite_path(&self) -> PathBuf {
        self.folder.path().join("spotter.db")
    }

    fn log_path(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    /// Its whole log.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// The last lines of its log.
    #[must_use]
    pub fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }
}

/// Writes the test certificate and its key, and names them.
fn tls_configuration(folder: &Path) -> anyhow::Result<String> {
    let (certificate, key) = (folder.join("tls.crt"), folder.join("tls.key"));
    std::fs::write(&certificate, TEST_CERTIFICATE).context("could not write the certificate")?;
    std::fs::write(&key, TEST_KEY).context("could not write its key")?;
    Ok(format!("[listen.tls]\ncertificate = \"{}\"\nkey = \"{}\"\n", certificate.display(), key.display()))
}

/// The `dev` profile with an issuer of ours, limits that a load generator on one address needs, and quiet logs.
fn configuration(port: u16, store_url: &str, secret: &str, folder: &Path) -> String {
    let key = folder.join("issuer.p8");
    format!(
        r#"profile = "dev"
[listen]
address = "127.0.0.1:{port}"
[store]
url = "{store_url}"
[dev]
hs256 = true
issuer_key = "{}"
[log]
level = "warn"
[limits]
unauthenticated = 50000
unauthenticated_per_address = 50000
gateway_frames_per_s = 200000
gateway_frames_burst = 400000
gateway_bytes_per_s = "256MiB"
gateway_bytes_burst = "256MiB"
requests_per_address_per_hour = 1000000
requests_per_subject_per_minute = 100000
[[auth.issuers]]
issuer = "{ISSUER}"
audience = ["{AUDIENCE}"]
algorithms = ["HS256"]
[[auth.issuers.keys]]
algorithm = "HS256"
secret = "{secret}"
"#,
        key.display()
    )
}
